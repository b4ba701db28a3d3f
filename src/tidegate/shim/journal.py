"""What of a container's output stands in its log for good, so that the next worker goes on exactly there.

A small file: one word of eight bytes, then two slots. A commit fills the slot that is not in force and then stores the
word, which names the slot and the stream whose staged bytes (``staging``) the log now holds.

- A worker may be killed between any two instructions: whoever opens the file finds the state before or after a commit.
- It guards against killed processes, not against a lost machine: nothing is synced, and it may live on a tmpfs.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

CARRY_LIMIT_BYTES = 16 * 1024
_WORD = struct.Struct("<Q")
_HEADER = struct.Struct("<QQIII")
_SLOT_SIZE_BYTES = _HEADER.size + 2 * CARRY_LIMIT_BYTES
_WRITTEN = 1 << 8
_STREAMS = (None, "stdout", "stderr")


class Committed(NamedTuple):
    """``size_bytes`` of the file ``inode`` are good; ``carry`` are bytes taken whose line has not ended.

    ``rotating``: the file is about to be replaced. ``staged``: this stream's staged bytes were recorded, and are still
    to be discarded.
    """

    size_bytes: int
    inode: int
    carry: dict[str, bytes]
    rotating: bool = False
    staged: str | None = None


class Journal:
    """The open file. Every method may raise OSError."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        word = os.pread(self._fd, _WORD.size, 0)
        self._word = _WORD.unpack(word)[0] if len(word) == _WORD.size else 0

    def read(self) -> Committed | None:
        """What was committed last; None when nothing was."""
        if not self._word & _WRITTEN:
            return None
        slot = os.pread(self._fd, _SLOT_SIZE_BYTES, self._offset(self._slot))
        size, inode, rotating, stdout_size, stderr_size = _HEADER.unpack_from(slot)
        carried = slot[_HEADER.size :]
        carry = {"stdout": carried[:stdout_size], "stderr": carried[stdout_size : stdout_size + stderr_size]}
        return Committed(size, inode, carry, bool(rotating), _STREAMS[self._word & 3])

    def commit(self, state: Committed) -> None:
        slot = 1 - self._slot
        stdout, stderr = state.carry["stdout"], state.carry["stderr"]
        header = _HEADER.pack(state.size_bytes, state.inode, state.rotating, len(stdout), len(stderr))
        os.pwrite(self._fd, header + stdout + stderr, self._offset(slot))
        self._store(_WRITTEN | slot << 2 | _STREAMS.index(state.staged))

    def settle(self) -> None:
        """The staged bytes of the last commit are discarded."""
        self._store(self._word & ~3)

    def close(self) -> None:
        os.close(self._fd)

    @property
    def _slot(self) -> int:
        return int(self._word) >> 2 & 1

    @staticmethod
    def _offset(slot: int) -> int:
        return _WORD.size + slot * _SLOT_SIZE_BYTES

    def _store(self, word: int) -> None:
        os.pwrite(self._fd, _WORD.pack(word), 0)
        self._word = word
