"""What a writable layer changes, on the real overlayfs: told, and written as a layer that makes the same tree again."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.drivers.files.compared_layers import ComparedLayers
from tidegate.drivers.rootfs.layers import LayerDirectories
from tidegate.drivers.rootfs.overlay import OverlayRootFilesystems
from tidegate.spec.oci_image import EMPTY_LAYER, OCI_LAYER, digest_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
CHAIN = [f"sha256:{number:064x}" for number in range(2)]


def play(tmp_path: Path, work: Callable[[Path], None]) -> tuple[list[tuple[str, str]], bytes]:
    """(the changes of a container whose files ``work`` altered, the layer of them)."""
    lower, upper_layer = (tmp_path / chain_id for chain_id in CHAIN)
    for directory in (lower / "etc/conf", lower / "tree/deep/deeper", upper_layer / "etc/conf"):
        directory.mkdir(parents=True)
    (lower / "etc/hosts").touch()
    (lower / "etc/conf/a").write_text("a")
    (lower / "tree/deep/file").write_text("f")
    (lower / "tree/other").write_text("o")
    (lower / "gone").write_text("hidden by the layer above")
    os.mknod(upper_layer / "gone", 0o020000, 0)
    (upper_layer / "etc/conf/b").write_text("b")
    filesystems = OverlayRootFilesystems(tmp_path, lambda chain_id: tmp_path / chain_id)

    async def story() -> tuple[list[tuple[str, str]], bytes]:
        await filesystems.prepare("c", CHAIN)
        async with filesystems.hold("c") as merged:
            await asyncio.to_thread(work, merged)
            layers = ComparedLayers(filesystems.writable_layer)
            changes = [(change.kind[0], change.path) for change in await layers.changes("c")]
            return changes, b"".join([chunk async for chunk in layers.diff("c")])

    return asyncio.run(story())


def nothing(_: Path) -> None:
    """Leave everything as it is."""


def mountpoints(root: Path) -> None:
    for name in ("proc", "dev/shm"):
        (root / name).mkdir(parents=True)
    (root / "etc/resolv.conf").touch()


def additions(root: Path) -> None:
    (root / "new/sub").mkdir(parents=True)
    (root / "new/sub/file").write_text("n")
    (root / "gone").write_text("back again")
    (root / "etc/conf/a").write_text("altered")


def removals(root: Path) -> None:
    (root / "etc/conf/b").unlink()
    shutil.rmtree(root / "tree/deep")
    (root / "tree/deep").mkdir()
    (root / "tree/deep/fresh").touch()


def exchanges(root: Path) -> None:
    shutil.rmtree(root / "tree")
    (root / "tree").write_text("a file now")
    (root / "etc/conf/a").unlink()
    (root / "etc/conf/a").mkdir()


def renaming(root: Path) -> None:
    shutil.move(root / "tree", root / "moved")


CASES = {
    nothing: [],
    additions: ["m /etc", "m /etc/conf", "m /etc/conf/a", "a /gone", "a /new", "a /new/sub", "a /new/sub/file"],
    removals: [
        "m /etc", "m /etc/conf", "d /etc/conf/b", "m /tree", "m /tree/deep", "a /tree/deep/fresh",
        "d /tree/deep/deeper", "d /tree/deep/file",
    ],
    exchanges: ["m /etc", "m /etc/conf", "m /etc/conf/a", "m /tree"],
    renaming: [
        "a /moved", "a /moved/deep", "a /moved/deep/deeper", "a /moved/deep/file", "a /moved/other", "d /tree",
    ],
}  # fmt: skip


@pytest.mark.parametrize("work", CASES, ids=lambda work: str(work.__name__))
def test_changes_and_a_layer_that_makes_them_again(tmp_path: Path, work: Callable[[Path], None]) -> None:
    changes, layer = play(tmp_path, work)
    assert [f"{kind} {path}" for kind, path in changes] == CASES[work]
    assert (digest_of(layer) == EMPTY_LAYER) is (not changes)
    (tmp_path / "blob").write_bytes(layer)
    third = f"sha256:{3:064x}"

    async def again() -> list[tuple[str, bytes]]:
        store = LayerDirectories(tmp_path / "unpacked")
        await store.unpack(third, None, tmp_path / "blob", OCI_LAYER, digest_of(layer))
        filesystems = OverlayRootFilesystems(
            tmp_path, lambda each: store.diff_path(each) if each == third else tmp_path / each
        )
        await filesystems.prepare("again", [*CHAIN, third])
        async with filesystems.hold("again") as made, filesystems.hold("c") as altered:
            assert tree(made) == tree(altered)
        return []

    asyncio.run(again())


def tree(root: Path) -> list[tuple[str, bytes]]:
    found = sorted(root.rglob("*"))
    return [(str(path.relative_to(root)), path.read_bytes() if path.is_file() else b"") for path in found]


def test_mountpoints_that_a_start_makes_are_no_change(tmp_path: Path) -> None:
    changes, layer = play(tmp_path, mountpoints)
    assert (changes, digest_of(layer)) == ([], EMPTY_LAYER)
