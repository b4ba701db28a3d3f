"""Staged mounts on the real kernel, in a mount namespace of the test's own."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.mounts.stage import MountStage
from tidegate.engine.mounts.points import MountPoint
from tidegate.kernel import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[MountStage]:
    made = MountStage(
        tmp_path / "stage",
        lambda name: tmp_path / "volumes" / name,
        lambda chain: tmp_path / chain,
        Path("/proc/self/ns/mnt"),
    )
    yield made
    made.clear_all()
    assert mounts.mount_points(str(tmp_path)) == ()
    assert list((tmp_path / "stage").glob("*")) == []


@contextmanager
def tmpfs_at(path: Path, propagation: int = mounts.MS_PRIVATE) -> Iterator[Path]:
    path.mkdir(parents=True)
    mounts.mount("tmpfs", str(path), "tmpfs")
    mounts.mount("none", str(path), flags=propagation)
    try:
        yield path
    finally:
        mounts.umount2(str(path), mounts.MNT_DETACH)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(InvalidParameterError) as caught:
        work()
    return caught.value.message


def test_a_part_of_a_volume_and_nothing_else(stage: MountStage, tmp_path: Path) -> None:
    volume = tmp_path / "volumes/v"
    (volume / "a/b").mkdir(parents=True)
    (volume / "a/b/file").write_text("deep")
    (volume / "within").symlink_to("a/b")
    (volume / "up").symlink_to("..")
    (volume / "host").symlink_to("/etc")

    def part(subpath: str) -> Path:
        return Path(stage.stage("c1", [MountPoint("volume", "/t", "v", subpath=subpath)])[0])

    assert (part("a/b") / "file").read_text() == "deep"
    stage.clear("c1")
    assert part("a/b/file").read_text() == "deep"
    stage.clear("c1")
    assert (part("within/file")).read_text() == "deep"
    stage.clear("c1")
    for outside in ("up", "host/passwd", "up/v/a"):
        assert "path concatenation escapes the base directory" in refused(lambda path=outside: part(path))  # type: ignore[misc]
    assert refused(lambda: part("nope")) == f"cannot access path {volume}/nope: no such file or directory"
    assert refused(lambda: part("a/b/file/x")) == f"cannot access path {volume}/a/b/file/x: not a directory"


def test_an_image_is_seen_and_not_written(stage: MountStage, tmp_path: Path) -> None:
    for layer, text in (("base", "old"), ("top", "new")):
        (tmp_path / layer / "etc").mkdir(parents=True)
        (tmp_path / layer / "etc/name").write_text(text)
    (tmp_path / "base/bin").mkdir()
    whole = MountPoint("image", "/t", "img", True, chain_ids=("base", "top"))
    part = MountPoint("image", "/u", "img", True, subpath="etc", chain_ids=("base",))
    seen, below = map(Path, stage.stage("c1", [whole, part]))
    assert sorted(each.name for each in seen.iterdir()) == ["bin", "etc"]
    assert (seen / "etc/name").read_text() == "new"
    assert (below / "name").read_text() == "old"
    for directory in (seen, below):
        with pytest.raises(OSError, match="Read-only file system"):
            (directory / "x").touch()
    held = os.open(seen, os.O_RDONLY)  # as a running container holds it
    stage.clear("c1")
    assert sorted(os.listdir(held)) == ["bin", "etc"]
    os.close(held)
    empty = MountPoint("image", "/t", "scratch", True)
    assert list(Path(stage.stage("c2", [empty])[0]).iterdir()) == []


def test_a_shared_bind_is_a_peer_of_the_host_s_mount(stage: MountStage, tmp_path: Path) -> None:
    with tmpfs_at(tmp_path / "shared", mounts.MS_SHARED) as source:
        (source / "below").mkdir()
        (seen,) = stage.stage("c1", [MountPoint("bind", "/t", str(source), propagation="rshared")])
        mounts.mount("tmpfs", f"{seen}/below", "tmpfs")
        assert (source / "below").is_mount()
        mounts.umount2(f"{seen}/below")
        assert not (source / "below").is_mount()
        mounts.mount("tmpfs", str(source / "below"), "tmpfs")
        stage.clear("c1")
        assert (source / "below").is_mount(), "taking down a peer took the host's mount down"
        (seen,) = stage.stage("c2", [MountPoint("bind", "/t", str(source), propagation="rslave")])
        (source / "late").mkdir()
        mounts.mount("tmpfs", str(source / "late"), "tmpfs")
        assert Path(f"{seen}/late").is_mount() and Path(f"{seen}/below").is_mount()
        mounts.umount2(f"{seen}/late")
        assert (source / "late").is_mount()
        (seen,) = stage.stage("c3", [MountPoint("bind", "/t", str(source), recursive=False)])
        assert not Path(f"{seen}/below").is_mount()
        stage.clear_all()
        assert (source / "below").is_mount() and (source / "late").is_mount()
    with tmpfs_at(tmp_path / "private") as source:
        told = refused(lambda: stage.stage("c1", [MountPoint("bind", "/t", str(source), propagation="shared")]))
        assert told == f"path {source} is mounted on {source} but it is not a shared mount"
        told = refused(lambda: stage.stage("c1", [MountPoint("bind", "/t", str(source), propagation="slave")]))
        assert told.endswith("but it is not a shared or slave mount")


def test_a_source_is_made_only_if_it_may_be(stage: MountStage, tmp_path: Path) -> None:
    missing = MountPoint("bind", "/t", f"{tmp_path}/x/../y/z")
    assert refused(lambda: stage.stage("c1", [missing])).endswith(f"bind source path does not exist: {tmp_path}/y/z")
    stage.stage("c1", [MountPoint("bind", "/t", f"{tmp_path}/x/../y/z", make_source=True)])
    assert (tmp_path / "y/z").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "x").exists()
    stage.clear("c1")
    stage.clear("never")
