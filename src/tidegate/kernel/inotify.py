"""Waiting for changes in directories: inotify(7), as little of it as followers of logs and of settings need."""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_libc = ctypes.CDLL(None, use_errno=True)

IN_MODIFY = 0x00000002
IN_CLOSE_WRITE = 0x00000008
IN_MOVED_FROM = 0x00000040
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE = 0x00000200
GROWTH = IN_MODIFY | IN_MOVED_TO | IN_CREATE
REPLACEMENT = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
_EVENT = struct.Struct("iIII")  # struct inotify_event, without the name after it
_CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK
_BUFFER_BYTES = 64 * 1024


class Watch:
    """An inotify descriptor on directories. ``fd`` is readable when something happened; ``drain`` forgets it."""

    def __init__(self, *directories: Path, mask: int = GROWTH) -> None:
        """Raises OSError: no such directory, or the host's limit of watches is reached."""
        self.fd = _checked(_libc.inotify_init1(_CLOEXEC_NONBLOCK))
        self._mask = mask
        try:
            for directory in directories:
                self.add(directory)
        except OSError:
            os.close(self.fd)
            raise

    def add(self, directory: Path) -> None:
        """Watch one more; nothing changes for one that is watched already. Raises OSError."""
        _checked(_libc.inotify_add_watch(self.fd, os.fsencode(directory), ctypes.c_uint32(self._mask)))

    def drain(self) -> set[str]:
        """Read away what was reported; returns the names of the files, "" for whatever has none."""
        names: set[str] = set()
        try:
            while events := os.read(self.fd, _BUFFER_BYTES):
                names |= set(_names(events))
        except BlockingIOError:
            return names
        return names

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)


def _names(events: bytes) -> Iterator[str]:
    at = 0
    while at < len(events):
        _, _, _, length = _EVENT.unpack_from(events, at)
        at += _EVENT.size + length
        yield os.fsdecode(events[at - length : at].rstrip(b"\0"))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"inotify: {os.strerror(number)}")
    return result
