"""Layers unpacked by the real confined child: what the kernel shows afterwards."""

import asyncio
import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.rootfs.layers import LayerDirectories
from tidegate.spec.oci_image import OCI_LAYER, digest_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: chroot, mount namespace, mknod")
CHAIN = digest_of(b"chain")


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mtime = kind, len(content), 1234567890
    member.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(member, key, value)
    return member, content


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in entries:
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpack(tmp_path: Path, tar: bytes, blob: bytes | None = None, diff_id: str | None = None) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(tar if blob is None else blob)

    async def run() -> Path:
        store = LayerDirectories(tmp_path / "layers")
        await store.unpack(CHAIN, None, path, OCI_LAYER, diff_id or digest_of(tar))
        return store.diff_path(CHAIN)

    return asyncio.run(run())


def test_entries_arrive_as_written(tmp_path: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    attribute = {"SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape")}
    diff = unpack(
        tmp_path,
        archive(
            entry("d", tarfile.DIRTYPE, uid=7, gid=8, mode=0o1750),
            entry("d/f", content=b"hello", uid=1000, mode=0o4755, pax_headers=attribute),
            entry("d/hard", tarfile.LNKTYPE, linkname="d/f"),
            entry("d/soft", tarfile.SYMTYPE, linkname="/etc/passwd", uid=5),
            entry("dev", tarfile.CHRTYPE, devmajor=1, devminor=3),
            entry("fifo", tarfile.FIFOTYPE),
            entry("lib", tarfile.SYMTYPE, linkname="/usr/lib"),
            entry("lib/inside", content=b"x"),
        ),
    )
    status = (diff / "d/f").stat()
    assert (diff / "d/f").read_bytes() == b"hello" and stat.S_IMODE(status.st_mode) == 0o4755
    assert (status.st_uid, status.st_nlink, status.st_mtime) == (1000, 2, 1234567890)
    assert os.getxattr(diff / "d/f", "security.capability") == capability
    assert ((diff / "d").stat().st_gid, (diff / "d").stat().st_mtime) == (8, 1234567890)
    assert (diff / "d/soft").readlink() == Path("/etc/passwd") and (diff / "d/soft").lstat().st_uid == 5
    assert (diff / "dev").stat().st_rdev == os.makedev(1, 3)
    assert (diff / "usr/lib/inside").read_bytes() == b"x"


def test_whiteouts(tmp_path: Path) -> None:
    diff = unpack(
        tmp_path,
        archive(
            entry("a", tarfile.DIRTYPE),
            entry("a/.wh..wh..opq"),
            entry("b/.wh.gone"),
            entry(".wh.again"),
            entry("again", tarfile.DIRTYPE),
        ),
    )
    status = (diff / "b/gone").lstat()
    assert stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
    assert os.getxattr(diff / "a", "trusted.overlay.opaque") == b"y"
    assert os.getxattr(diff / "again", "trusted.overlay.opaque") == b"y"


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../escape")],
        [entry("a/../../escape")],
        [entry("hard", tarfile.LNKTYPE, linkname="/etc/passwd")],
        [entry("hard", tarfile.LNKTYPE, linkname="../../etc/passwd")],
        [entry("up", tarfile.SYMTYPE, linkname="../.."), entry("up/escape", content=b"x")],
        [entry("x", tarfile.SYMTYPE, linkname="x"), entry("x/loop")],
        [entry("file"), entry("file/below")],
        [entry(".wh...")],
    ],
)
def test_refused(tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with pytest.raises(InvalidParameterError):
        unpack(tmp_path, archive(*entries))
    assert [path.name for path in (tmp_path / "layers").rglob("*")] == [".unpacking"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_compressed_and_checked(tmp_path: Path, compress: "object") -> None:
    assert callable(compress)
    tar = archive(entry("f", content=b"x" * 3_000_000))
    with pytest.raises(InvalidParameterError, match="diff_id"):
        unpack(tmp_path, tar, compress(tar), digest_of(b"other"))
    with pytest.raises(InvalidParameterError):
        unpack(tmp_path, tar, compress(tar)[:-20])
    assert (unpack(tmp_path, tar, compress(tar)) / "f").stat().st_size == 3_000_000
