"""Layers and volumes in a user namespace, with the ids on disk unchanged, on the real kernel."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tidegate.drivers.mounts.idmapped import MappedIds
from tidegate.drivers.mounts.stage import MountStage
from tidegate.drivers.rootfs.overlay import OverlayRootFilesystems
from tidegate.drivers.user_namespaces import UnsharedNamespaces
from tidegate.engine.isolation.user_namespaces import IdMapping, IdRange
from tidegate.engine.mounts.points import MountPoint
from tidegate.kernel import mounts
from tidegate.kernel.credentials import with_filesystem_ids

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and util-linux"
)
FIRST = 240_000
RANGES = (IdRange(0, FIRST, 65536),)


@pytest.fixture(scope="module")
def namespaces() -> UnsharedNamespaces:
    return UnsharedNamespaces(IdMapping(RANGES, RANGES))


def test_a_root_filesystem_is_mapped_and_its_layers_are_not(tmp_path: Path, namespaces: UnsharedNamespaces) -> None:
    for number in range(3):
        layer = tmp_path / f"layer{number}"
        layer.mkdir()
        (layer / f"file{number}").touch()
        os.chown(layer / f"file{number}", number, number)
    stage = tmp_path / "stage"
    filesystems = OverlayRootFilesystems(tmp_path, lambda chain_id: tmp_path / chain_id, namespaces.ids, stage)

    async def story() -> None:
        await filesystems.prepare("c1", ["layer0", "layer1", "layer2"])
        merged = await filesystems.mount("c1", mapped=True)
        try:
            assert list(stage.iterdir()) == []
            assert [(merged / f"file{number}").stat().st_uid for number in range(3)] == [FIRST, FIRST + 1, FIRST + 2]
            ids = namespaces.ids()
            with_filesystem_ids(ids.uid, ids.gid, (merged / "made").touch)
            os.chown(merged / "file1", FIRST + 7, FIRST)  # copied up by whoever mounted it
            (merged / "file2").unlink()
        finally:
            await filesystems.unmount("c1")
        upper = tmp_path / "rootfs/c1/upper"
        assert [(upper / name).stat().st_uid for name in ("made", "file1")] == [0, 7]
        assert (tmp_path / "layer1/file1").stat().st_uid == 1
        merged = await filesystems.mount("c1")
        assert (merged / "file1").stat().st_uid == 7 and not (merged / "file2").exists()
        await filesystems.unmount("c1")

    asyncio.run(story())
    assert mounts.mount_points(str(tmp_path)) == ()


def test_volumes_and_images_are_mapped_and_binds_are_not(tmp_path: Path, namespaces: UnsharedNamespaces) -> None:
    volume = tmp_path / "v"
    (volume / "sub").mkdir(parents=True)
    os.chown(volume / "sub", 5, 5)
    stage = MountStage(tmp_path / "stage", lambda _: volume, lambda chain: tmp_path / chain, Path("/proc/self/ns/mnt"))
    points = [
        MountPoint("volume", "/a", "v"),
        MountPoint("volume", "/b", "v", subpath="sub"),
        MountPoint("image", "/c", "img", True, chain_ids=("v",)),
        MountPoint("bind", "/d", str(volume)),
    ]
    ids: MappedIds = namespaces.ids()
    whole, part, image, bind = map(Path, stage.stage("c1", points, ids))
    assert [(each / "sub").stat().st_uid for each in (whole, image, bind)] == [FIRST + 5, FIRST + 5, 5]
    assert part.stat().st_uid == FIRST + 5
    stage.clear("c1")
    assert mounts.mount_points(str(tmp_path)) == ()


def test_a_user_namespace_with_a_network_of_its_own(namespaces: UnsharedNamespaces) -> None:
    asyncio.run(namespaces.create("c1", None, own_network=True))
    path, network = namespaces.path("c1"), namespaces.take_network("c1")
    assert path is not None and Path(path).readlink() != Path("/proc/self/ns/user").readlink()
    assert network is not None and namespaces.take_network("c1") is None
    asyncio.run(namespaces.create("c2", path, own_network=True))
    assert namespaces.path("c2") == path
    os.close(network)
    for name in ("c1", "c2", "c2"):
        namespaces.close(name)
    assert namespaces.path("c1") is None
