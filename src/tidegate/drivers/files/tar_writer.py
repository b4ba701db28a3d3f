"""A directory tree, or one file, as a tar stream; no path is followed that the tree's owner could have turned.

Every step is a name in a directory that is open already, never followed when it is a symlink. The stream is PAX with
whole seconds, as Docker's; a file's content goes from file to pipe in the kernel. A file that shrinks while it is read
is filled up with zeros, one that grows is cut. Sockets are left out.

Source: tar(5); what Docker keeps of extended attributes is ``security.capability``.
"""

# Names in directories that are open already, which pathlib has no calls for.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH108, PTH115, PTH116, PTH118, PTH119, PTH120, PTH208

import errno
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tidegate.drivers.files.owners import THE_HOSTS, Owners

CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 16 << 10
_GZIP = 31  # zlib: a gzip wrapper around a window of 2**15
_BLOCK = tarfile.BLOCKSIZE
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KEPT_ATTRIBUTES = ("security.capability",)
_TYPES = {
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


class Output(Protocol):
    """Where the stream goes."""

    def write(self, data: bytes) -> None: ...
    def send_file(self, fd: int, size_bytes: int) -> int:
        """At most ``size_bytes`` of the file's content; returns how much there was."""
        ...

    def finish(self) -> None: ...


class PlainOutput:
    """Straight into a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def send_file(self, fd: int, size_bytes: int) -> int:
        sent = 0
        while sent < size_bytes:
            try:
                step = os.sendfile(self._fd, fd, None, size_bytes - sent)
            except OSError as error:
                if error.errno != errno.EINVAL:  # a file that cannot be spliced, as in /proc
                    raise
                return sent + self._copy(fd, size_bytes - sent)
            if step == 0:
                break
            sent += step
        return sent

    def _copy(self, fd: int, size_bytes: int) -> int:
        copied = 0
        while copied < size_bytes and (data := os.read(fd, min(CHUNK_BYTES, size_bytes - copied))):
            self.write(data)
            copied += len(data)
        return copied

    def finish(self) -> None:
        """Nothing is held back."""


class GzipOutput:
    """Compressed for speed, a member (RFC 1952) for each block; a block whose beginning does not shrink is stored."""

    def __init__(self, fd: int) -> None:
        self._plain = PlainOutput(fd)
        self._block = bytearray()

    def write(self, data: bytes) -> None:
        self._block += data
        if len(self._block) >= CHUNK_BYTES:
            self._flush()

    def send_file(self, fd: int, size_bytes: int) -> int:
        sent = 0
        while sent < size_bytes and (data := os.read(fd, min(CHUNK_BYTES, size_bytes - sent))):
            self.write(data)
            sent += len(data)
        return sent

    def finish(self) -> None:
        self._flush()

    def _flush(self) -> None:
        sample = bytes(self._block[:_SAMPLE_BYTES])
        level = 1 if len(zlib.compress(sample, 1)) < len(sample) * 3 // 4 else 0
        compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
        self._plain.write(compressor.compress(self._block) + compressor.flush())
        self._block.clear()


class TarWriter:
    """One archive. ``add_tree`` and ``add_entry`` may be called in turn; ``finish`` ends it."""

    def __init__(self, output: Output, owners: Owners = THE_HOSTS) -> None:
        self._output, self._owners = output, owners
        self._seen: dict[tuple[int, int], str] = {}

    def add_tree(self, parent_fd: int, name: str, archive_name: str) -> None:
        """The entry ``name`` of a directory, and all below it. Raises OSError when it is not there."""
        if not self.add_entry(parent_fd, name, archive_name):
            return
        open_directories = [_listing(parent_fd, name, archive_name)]
        try:
            while open_directories:
                fd, names, prefix = open_directories[-1]
                below = next(names, None)
                if below is None:
                    os.close(open_directories.pop()[0])
                    continue
                path = f"{prefix.rstrip('/')}/{below}" if prefix else below
                with _tolerating_removal():
                    if self.add_entry(fd, below, path):
                        open_directories.append(_listing(fd, below, path))
        finally:
            for fd, _, _ in open_directories:
                os.close(fd)

    def add_entry(self, parent_fd: int, name: str, archive_name: str) -> bool:
        """One entry without what is below it; whether it is a directory. An empty ``archive_name`` adds nothing."""
        status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        kind = _TYPES.get(stat.S_IFMT(status.st_mode))
        if kind is None or not archive_name:
            return kind == tarfile.DIRTYPE
        info = _info(status, kind, archive_name)
        info.uid, info.gid = self._owners.seen(status.st_uid, status.st_gid)
        if kind == tarfile.DIRTYPE:
            self._header(info)
            return True
        first = self._seen.setdefault((status.st_dev, status.st_ino), archive_name) if status.st_nlink > 1 else None
        if first is not None and first != archive_name:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
        elif kind == tarfile.SYMTYPE:
            info.linkname = os.readlink(name, dir_fd=parent_fd)
        elif kind == tarfile.REGTYPE:
            self._add_file(info, parent_fd, name)
            return False
        self._header(info)
        return False

    def add_marker(self, archive_name: str) -> None:
        """An empty file that stands for something: a whiteout."""
        info = tarfile.TarInfo(archive_name)
        info.mode = 0
        self._header(info)

    def finish(self) -> None:
        self._output.write(bytes(2 * _BLOCK))
        self._output.finish()

    def _add_file(self, info: tarfile.TarInfo, parent_fd: int, name: str) -> None:
        fd = os.open(name, _OPEN_FILE, dir_fd=parent_fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):  # exchanged since it was looked at
                return
            info.size = status.st_size
            info.pax_headers = _attributes(fd)
            self._header(info)
            missing = info.size - self._output.send_file(fd, info.size)
        finally:
            os.close(fd)
        while missing > 0:
            self._output.write(bytes(min(missing, CHUNK_BYTES)))
            missing -= CHUNK_BYTES
        self._output.write(bytes(-info.size % _BLOCK))

    def _header(self, info: tarfile.TarInfo) -> None:
        self._output.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))


def _info(status: os.stat_result, kind: bytes, archive_name: str) -> tarfile.TarInfo:
    name = archive_name if kind != tarfile.DIRTYPE or archive_name.endswith("/") else f"{archive_name}/"
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, stat.S_IMODE(status.st_mode), int(status.st_mtime)
    if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return info


def _attributes(fd: int) -> dict[str, str]:
    found = {}
    for name in _KEPT_ATTRIBUTES:
        try:
            value = os.getxattr(fd, name)
        except OSError:  # ENODATA, ENOTSUP: it has none
            continue
        found[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
    return found


def _listing(parent_fd: int, name: str, archive_name: str) -> tuple[int, Iterator[str], str]:
    fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent_fd)
    try:
        return fd, iter(sorted(os.listdir(fd))), archive_name
    except BaseException:
        os.close(fd)
        raise


@contextmanager
def _tolerating_removal() -> Iterator[None]:
    """What goes away, or turns into something else, while the tree is read is not in it."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM):
            raise
