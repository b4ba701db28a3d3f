"""Rotated files of a log, compressed by a process of their own, at its leisure.

- A compressed file has the name of the file that it replaces: ``PATH.N`` is plain or gzip, told apart by its first two
  bytes. So rotation knows nothing of compression, and ``zcat -f`` reads both.
- It is put in its place under a lock that a rotation takes too, since a rotation moves the names.
- Killed anywhere, it leaves the plain file, and a temporary one that the next compression writes over.
"""

import contextlib
import fcntl
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

MAGIC = b"\x1f\x8b"
LEVEL = 1
"""A log shrinks to a seventh and less with the fastest level already."""
_CHUNK_SIZE_BYTES = 256 * 1024


class PlaceLock:
    """Held by whoever moves the files of the log ``path``. Without ``wait`` it raises BlockingIOError."""

    def __init__(self, path: Path, *, wait: bool) -> None:
        self._path, self._wait = path, wait

    def __enter__(self) -> None:
        self._fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if self._wait else fcntl.LOCK_NB))
        except OSError:
            os.close(self._fd)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def compress_apart(path: Path, begin: Callable[[], None]) -> None:
    """Compress the rotated files of ``path`` in a fork, which nobody waits for; a reaper takes it.

    ``begin`` lets go, in the fork, of what is not its own.
    """
    try:
        if os.fork():
            return
    except OSError as error:
        sys.stderr.write(f"tidegate shim: {path} is not compressed: {error}\n")
        return
    try:
        begin()
        os.nice(19)
        compress_rotated(path)
    except BaseException as error:  # noqa: BLE001 - nothing of the worker's may run on in its fork
        sys.stderr.write(f"tidegate shim: {path} is not compressed: {error}\n")
    finally:
        os._exit(0)


def compress_rotated(path: Path) -> None:
    """Compress every rotated file that is plain, the newest first. Raises OSError.

    Nothing is done where another process is at it: that one goes on until all are compressed.
    """
    while (plain := _find_plain(path)) >= 0:
        try:
            if not _compress(path, plain):
                return
        finally:
            os.close(plain)


def _compress(path: Path, plain: int) -> bool:
    """Whether it was done here."""
    temporary = path.with_name(f".{path.name}.gz")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if temporary.stat().st_ino != os.fstat(fd).st_ino:  # the other one has just put its file in place
            return False
        os.ftruncate(fd, 0)
        _write_gzip(plain, fd)
        found = os.fstat(plain)
        os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(fd)
        with PlaceLock(path, wait=True):
            place = _place_of(path, found.st_ino)
            if place is None:
                temporary.unlink()  # rotated away meanwhile
            else:
                temporary.replace(place)
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(fd)
    return True


def _write_gzip(plain: int, fd: int) -> None:
    import zlib  # a worker needs it never, its fork once

    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, wbits=31)
    at = 0
    with open(fd, "wb", closefd=False) as target:
        while chunk := os.pread(plain, _CHUNK_SIZE_BYTES, at):
            at += len(chunk)
            target.write(packer.compress(chunk))
        target.write(packer.flush())


def _find_plain(path: Path) -> int:
    """An open rotated file that is plain and not empty; below zero when there is none."""
    for number in itertools.count(1):
        try:
            fd = os.open(path.with_name(f"{path.name}.{number}"), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1
        if os.pread(fd, 2, 0) not in (MAGIC, b""):
            return fd
        os.close(fd)
    return -1


def _place_of(path: Path, inode: int) -> Path | None:
    for number in itertools.count(1):
        place = path.with_name(f"{path.name}.{number}")
        with contextlib.suppress(FileNotFoundError):
            if place.stat().st_ino == inode:
                return place
            continue
        return None
    return None
