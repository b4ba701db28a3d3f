"""Files of containers through the real confined child: what the kernel shows afterwards, and what cannot be reached."""

import asyncio
import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import zstandard

from tidegate.base.errors import ForbiddenError, InvalidParameterError, NotFoundError
from tidegate.drivers.files.container_files import ConfinedFiles
from tidegate.engine.file_ports import BindMount, PathStat, RestingTree, RunningTree, Tree, WriteRequest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: chroot, mount namespace, mknod")
GO_DIRECTORY, GO_LINK = 1 << 31, 1 << 27


async def no_pids(_: str) -> Sequence[int]:
    return []


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "rootfs"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:\napp:x:71:72::/:\n")
    (root / "dir/sub").mkdir(parents=True)
    (root / "dir/file").write_text("content\n")
    (root / "dir/sub/deep").write_text("deep\n")
    (root / "link").symlink_to("/dir")
    (root / "out").symlink_to("../../../../../../../../etc/shadow")
    (tmp_path / "secret").write_text("of the host\n")
    (root / "secret").symlink_to(tmp_path / "secret")
    return root


def stat_of(tree: Tree, path: str) -> PathStat:
    return asyncio.run(ConfinedFiles(no_pids).stat(tree, path))


def read(tree: Tree, path: str, gzipped: bool = False) -> bytes:
    async def run() -> bytes:
        _, archive = await ConfinedFiles(no_pids).read(tree, path, gzip=gzipped)
        return b"".join([chunk async for chunk in archive])

    return asyncio.run(run())


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def write(tree: Tree, request: WriteRequest, data: bytes) -> None:
    async def upload() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 1 << 16):
            yield data[start : start + (1 << 16)]

    asyncio.run(ConfinedFiles(no_pids).write(tree, request, upload()))


def archive(*entries: tuple[str, bytes, dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, fields in entries:
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o644, 1234567890
            for key, value in fields.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_paths_are_those_of_the_container(rootfs: Path) -> None:
    tree = RestingTree(rootfs)
    assert (stat_of(tree, "dir").name, stat_of(tree, "dir").mode & GO_DIRECTORY) == ("dir", GO_DIRECTORY)
    assert stat_of(tree, "/link").mode & GO_LINK
    assert (stat_of(tree, "/link").link_target, stat_of(tree, "/link/").mode & GO_LINK) == ("/dir", 0)
    assert stat_of(tree, "/../../link/./sub/../file").size_bytes == 8
    assert stat_of(tree, "/out").link_target == "/etc/shadow"
    assert stat_of(tree, "/").name == "/"
    for missing in ("/out/", "/secret/", "/nope", "/dir/file/below", "/nope/file"):
        with pytest.raises(NotFoundError):
            stat_of(tree, missing)


def test_a_tree_as_an_archive(rootfs: Path) -> None:
    os.mkfifo(rootfs / "dir/fifo")
    os.mknod(rootfs / "dir/device", stat.S_IFCHR | 0o640, os.makedev(1, 3))
    (rootfs / "dir/twin").hardlink_to(rootfs / "dir/file")
    tree = RestingTree(rootfs)
    everything = ["dir", "dir/device", "dir/fifo", "dir/file", "dir/sub", "dir/sub/deep", "dir/twin"]
    assert names(read(tree, "/dir")) == everything
    assert names(gzip.decompress(read(tree, "/link/", gzipped=True)))[0] == "link"
    assert names(read(tree, "/dir/."))[:2] == [".", "./device"]
    assert names(read(tree, "/out")) == ["out"]
    with tarfile.open(fileobj=io.BytesIO(read(tree, "dir"))) as tar:
        kinds = {member.name: member.type for member in tar}
        assert kinds["dir/twin"] == tarfile.LNKTYPE
        assert (kinds["dir/fifo"], kinds["dir/device"]) == (tarfile.FIFOTYPE, tarfile.CHRTYPE)
        content = tar.extractfile("dir/file")
        assert content is not None
        assert content.read() == b"content\n"


def test_what_does_not_shrink_is_not_compressed_and_the_rest_is(rootfs: Path) -> None:
    noise = os.urandom(3 << 20)
    (rootfs / "dir/noise").write_bytes(noise)
    (rootfs / "dir/zeros").write_bytes(bytes(3 << 20))
    packed = read(RestingTree(rootfs), "/dir", gzipped=True)
    assert 3 << 20 < len(packed) < 4 << 20
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        content = tar.extractfile("dir/noise")
        assert content is not None
        assert content.read() == noise


def test_an_export_is_everything_below_the_root(rootfs: Path) -> None:
    async def run() -> bytes:
        return b"".join([chunk async for chunk in await ConfinedFiles(no_pids).export(RestingTree(rootfs))])

    found = names(asyncio.run(run()))
    assert found[:3] == ["dir", "dir/file", "dir/sub"]
    assert "etc/passwd" in found


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_an_upload_in_any_compression(rootfs: Path, compress: object) -> None:
    data = archive(("new/file", b"text", {"uid": 5, "gid": 6, "mode": 0o4750}))
    write(RestingTree(rootfs), WriteRequest("/link"), compress(data))  # type: ignore[operator]
    status = (rootfs / "dir/new/file").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (5, 6, 0o4750)
    assert status.st_mtime == 1234567890
    assert (rootfs / "dir/file").read_text() == "content\n"


def test_owners_are_the_container_s_user_if_asked(rootfs: Path) -> None:
    write(RestingTree(rootfs), WriteRequest("/dir", user="app"), archive(("d/f", b"", {"uid": 5})))
    assert [((rootfs / path).stat().st_uid, (rootfs / path).stat().st_gid) for path in ("dir/d", "dir/d/f")] == [
        (71, 72),
        (71, 72),
    ]


def test_nothing_leads_out_of_the_root(rootfs: Path, tmp_path: Path) -> None:
    tree = RestingTree(rootfs)
    up = ("up", b"", {"type": tarfile.SYMTYPE, "linkname": "../../../../"})
    write(tree, WriteRequest("/dir"), archive(up, ("up/planted", b"x", {})))
    assert (rootfs / "planted").read_text() == "x"
    for hostile in (
        archive(("../planted", b"x", {})),
        archive(("a/../../planted", b"x", {})),
        archive(("hard", b"", {"type": tarfile.LNKTYPE, "linkname": "../etc/passwd"})),
    ):
        with pytest.raises(InvalidParameterError, match="leaves the directory"):
            write(tree, WriteRequest("/dir"), hostile)
    write(tree, WriteRequest("/dir"), archive(("secret", b"mine", {})))
    write(tree, WriteRequest("/"), archive(("secret", b"mine", {})))
    assert (tmp_path / "secret").read_text() == "of the host\n"
    assert not (tmp_path / "planted").exists()


def test_kinds_are_kept_if_asked(rootfs: Path) -> None:
    tree = RestingTree(rootfs)
    file_over_directory = archive(("sub", b"x", {}))
    directory_over_file = archive(("file", b"", {"type": tarfile.DIRTYPE, "mode": 0o755}))
    with pytest.raises(InvalidParameterError, match='cannot overwrite directory "sub" with non-directory'):
        write(tree, WriteRequest("/dir", keep_kinds=True), file_over_directory)
    with pytest.raises(InvalidParameterError, match='cannot overwrite non-directory "file" with directory'):
        write(tree, WriteRequest("/dir", keep_kinds=True), directory_over_file)
    write(tree, WriteRequest("/dir"), file_over_directory)
    write(tree, WriteRequest("/dir"), directory_over_file)
    assert (rootfs / "dir/sub").is_file()
    assert (rootfs / "dir/file").is_dir()


def test_bad_uploads_say_what_is_wrong(rootfs: Path) -> None:
    tree, good = RestingTree(rootfs), archive(("f", b"x" * 100_000, {}))
    with pytest.raises(InvalidParameterError, match="extraction point is not a directory"):
        write(tree, WriteRequest("/dir/file"), good)
    with pytest.raises(NotFoundError):
        write(tree, WriteRequest("/nope"), good)
    for bad in (b"no archive at all" * 100, good[:5000], gzip.compress(good)[:50], b"\x1f\x8b" + b"\0" * 600):
        with pytest.raises(InvalidParameterError):
            write(tree, WriteRequest("/dir"), bad)


def test_binds_are_laid_over_a_tree_at_rest_and_nobody_else_sees_them(rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "volume/in").mkdir(parents=True)
    (tmp_path / "volume/in/f").write_text("of the volume\n")
    (tmp_path / "one").write_text("one file\n")
    binds = [
        BindMount(str(tmp_path / "volume"), "/not/there"),
        BindMount(str(tmp_path / "one"), "/etc/one", True),
        BindMount(str(tmp_path / "volume/in"), "/link/ro", True),
    ]
    tree = RestingTree(rootfs, binds, read_only=True)
    assert names(read(tree, "/not/there/in")) == ["in", "in/f"]
    assert stat_of(tree, "/etc/one").size_bytes == 9
    write(tree, WriteRequest("/not/there"), archive(("new", b"n", {})))
    assert (tmp_path / "volume/new").read_text() == "n"
    for place in ("/dir", "/", "/dir/ro"):
        with pytest.raises(ForbiddenError):
            write(tree, WriteRequest(place), archive(("new", b"n", {})))
    assert list((rootfs / "not/there").iterdir()) == []
    assert str(rootfs) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def process(rootfs: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with the root filesystem as its root, a tmpfs in it, and what a container has of /proc."""
    busybox = shutil.which("busybox") or pytest.skip("no busybox")
    shutil.copy(busybox, rootfs / "busybox")
    for name in ("proc", "tmp"):
        (rootfs / name).mkdir()
    inside = "mount -t tmpfs none /tmp; mount -t proc none /proc; echo t > /tmp/f; echo; exec /busybox sleep 1000"
    command = ["unshare", "--mount", "--pid", "--fork", "chroot", str(rootfs), "/busybox", "sh", "-c", inside]
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.readline()
    yield running
    for pid in children(running.pid):
        os.kill(pid, 9)
    running.wait()
    running.stdout.close()


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_running_container_s_tree_is_what_it_sees(rootfs: Path, process: "subprocess.Popen[bytes]") -> None:
    (init,) = children(process.pid)

    async def story() -> None:
        async def pids(_: str) -> Sequence[int]:
            return [init]

        files, tree = ConfinedFiles(pids), RunningTree("c", init)
        assert (await files.stat(tree, "/tmp/f")).size_bytes == 2
        for magic in ("/proc/1/root/", "/proc/self/root/etc", "/proc/1/cwd/."):
            with pytest.raises((InvalidParameterError, NotFoundError)):
                await files.stat(tree, magic)
        with pytest.raises(NotFoundError, match="c is not running"):
            await ConfinedFiles(no_pids).stat(tree, "/tmp/f")

    asyncio.run(story())


def test_a_reader_that_leaves_ends_the_child(rootfs: Path) -> None:
    (rootfs / "big").write_bytes(b"x" * (16 << 20))

    async def story() -> None:
        _, stream = await ConfinedFiles(no_pids).read(RestingTree(rootfs), "/big", gzip=False)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(story())
    assert str(rootfs).encode() not in b"".join(_command_lines())


def _command_lines() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):  # not deeper: glob would look at what ends meanwhile
        try:
            line = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"files.child" in line:
            yield line
