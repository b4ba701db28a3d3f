"""Overlay root filesystems on the real kernel, in the test's own directory."""

import asyncio
import os
from pathlib import Path

import pytest

from tidegate.base.errors import NotFoundError, NotSupportedError
from tidegate.drivers.rootfs.overlay import OverlayRootFilesystems, knows_lowerdir_plus, mount_by_data, plan_mount_data
from tidegate.kernel.mounts import MNT_DETACH, mount_points, umount2

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@needs_root
def test_many_layers_mount_write_unmount_remove(tmp_path: Path) -> None:
    chain_ids = [f"sha256:{number:064x}" for number in range(150)]
    for chain_id in chain_ids:
        layer = tmp_path / "layers" / chain_id
        layer.mkdir(parents=True)
        (layer / "who").write_text(chain_id)
    (tmp_path / "layers" / chain_ids[-1]).chmod(0o1777)
    filesystems = OverlayRootFilesystems(tmp_path, lambda chain_id: tmp_path / "layers" / chain_id)

    async def story() -> None:
        await filesystems.prepare("c1", chain_ids)
        merged = await filesystems.mount("c1")
        try:
            assert await filesystems.mount("c1") == merged
            assert (merged / "who").read_text() == chain_ids[-1]
            assert merged.stat().st_mode & 0o7777 == 0o1777
            (merged / "new").write_bytes(b"x" * 1000)
            assert await filesystems.usage_bytes("c1") == 1000
            assert mount_points(str(merged)) == (str(merged),)
        finally:
            await filesystems.unmount("c1")
        await filesystems.unmount("c1")
        assert mount_points(str(tmp_path)) == ()
        assert await filesystems.container_ids() == ["c1"]
        await filesystems.remove("c1")
        await filesystems.remove("c1")
        assert await filesystems.container_ids() == []
        assert (tmp_path / "trash/c1/upper/new").exists()
        filesystems.trash.empty()
        assert list((tmp_path / "trash").iterdir()) == []

    asyncio.run(story())


@needs_root
def test_128_layers_mount_without_lowerdir_plus(tmp_path: Path) -> None:
    layers = [tmp_path / "layers" / f"{number:064x}" / "diff" for number in range(128)]
    places = [tmp_path / name for name in ("upper", "work", "merged")]
    for directory in (*layers, *places):
        directory.mkdir(parents=True)
    for number, layer in enumerate(layers):
        (layer / f"file{number}").touch()
    upper, work, merged = places
    mount_by_data([str(layer) for layer in layers], [("upperdir", str(upper)), ("workdir", str(work))], merged)
    try:
        assert len(list(merged.iterdir())) == 128
    finally:
        umount2(str(merged), MNT_DETACH)


@pytest.mark.parametrize(
    ("release", "knows"),
    [("6.1.0-56-cloud-amd64", False), ("5.10.0", False), ("6.7.0", True), ("6.12.117+deb13-amd64", True), ("7", False)],
)
def test_which_kernels_are_asked_for_lowerdir_plus(release: str, knows: bool) -> None:
    assert knows_lowerdir_plus(release) is knows


@needs_root
def test_an_image_without_layers_mounts_and_remove_unmounts(tmp_path: Path) -> None:
    filesystems = OverlayRootFilesystems(tmp_path, lambda chain_id: tmp_path / chain_id)

    async def story() -> None:
        await filesystems.prepare("c2", [])
        merged = await filesystems.mount("c2")
        assert list(merged.iterdir()) == []
        await filesystems.remove("c2")
        assert mount_points(str(tmp_path)) == ()
        with pytest.raises(NotFoundError):
            await filesystems.mount("c2")
        with pytest.raises(NotFoundError, match="layer does not exist"):
            await filesystems.prepare("c3", ["sha256:gone"])

    asyncio.run(story())


def test_old_kernels_get_escaped_options_or_a_clear_refusal() -> None:
    assert plan_mount_data(["/a:b", "/c,d"], [("upperdir", "/u")]) == "lowerdir=/a\\:b:/c\\,d,upperdir=/u"
    with pytest.raises(NotSupportedError, match="needs Linux 6.7"):
        plan_mount_data(["/layers/" + "x" * 64] * 100, [])


@needs_root
def test_whichever_ends_last_unmounts_container_or_hold(tmp_path: Path) -> None:
    filesystems = OverlayRootFilesystems(tmp_path, lambda chain_id: tmp_path / chain_id)

    async def story() -> None:
        await filesystems.prepare("c", [])
        merged = tmp_path / "rootfs/c/merged"
        async with filesystems.hold("c"), filesystems.hold("c") as held:
            assert held == merged and merged.is_mount()
            await filesystems.mount("c")  # started meanwhile
        assert merged.is_mount()
        async with filesystems.hold("c"):
            await filesystems.unmount("c")  # ended meanwhile
            assert merged.is_mount()
        assert not merged.is_mount()
        async with filesystems.hold("c"):
            await filesystems.remove("c")
        assert mount_points(str(tmp_path)) == ()

    asyncio.run(story())
