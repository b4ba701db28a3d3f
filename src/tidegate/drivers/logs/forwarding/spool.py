"""A local log as a queue: read from where it was sent to, and committed when it is sent.

- The position is a file, known by its first line (``files.py``), and an offset of its lines. It is written in place, in
  one piece: a killed forwarder leaves the one before or the one after.
- Rotation may drop files that were not read. What was dropped so is gone; ``gaps`` counts how often.
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.drivers.logs.files import LogFile, open_in_order

_log = logging.getLogger(__name__)

_RECORD_BYTES = 256
_BLOCK_BYTES = 1 << 20


class Position(msgspec.Struct):
    """``file`` is a digest of the file's first line; empty before anything was sent. ``dropped`` counts lines."""

    file: str = ""
    offset: int = 0
    dropped: int = 0
    gaps: int = 0


class Chunk(NamedTuple):
    """Whole lines; ``end`` is the offset behind them."""

    lines: bytes
    end: int


class Spool:
    """The log at ``log``; its position is kept at ``kept``. Raises OSError in every method."""

    def __init__(self, log: Path, kept: Path) -> None:
        self.position = read_position(kept)
        self._log, self._kept_fd = log, os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file: LogFile | None = None
        self._offset = 0

    def read(self, limit_bytes: int) -> Chunk | None:
        """The next lines, at most about so many bytes; the same ones until ``commit``. None: there are no more."""
        while (file := self._current()) is not None:
            lines = _whole_lines(file, self._offset, limit_bytes)
            if lines:
                return Chunk(lines, self._offset + len(lines))
            if not self._move_on(file):
                return None
        return None

    def commit(self, chunk: Chunk, *, dropped: int = 0) -> None:
        """The chunk, the last that was read, is done with: sent, or dropped."""
        self._offset = chunk.end
        self.position.dropped += dropped
        self._keep()

    def drop_beyond(self, limit_bytes: int) -> int:
        """Go on so that at most so many bytes are left to be read; how many lines were dropped."""
        lines, excess = 0, self._left_bytes() - limit_bytes
        while excess > 0 and (chunk := self.read(min(excess, _BLOCK_BYTES))) is not None:
            count = chunk.lines.count(b"\n")
            self.commit(chunk, dropped=count)
            lines += count
            excess -= len(chunk.lines)
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        os.close(self._kept_fd)

    def _current(self) -> LogFile | None:
        if self._file is None:
            files = open_in_order(self._log)
            wanted = next((file for file in reversed(files) if _digest(file) == self.position.file), None)
            if wanted is not None:
                self._offset = self.position.offset
            elif self.position.file:
                self._note_gap()
            self._file = wanted or next(iter(files), None)
            _close_others(files, self._file)
        return self._file

    def _move_on(self, file: LogFile) -> bool:
        """To the file that followed; false when there is none, or more in this one."""
        if file.is_at(self._log):
            return False
        files = open_in_order(self._log)
        known = next((i for i, each in reversed(list(enumerate(files))) if each.is_same(file)), -1)
        if known + 1 == len(files) or _whole_lines(file, self._offset, 1):
            _close_others(files, None)
            return known + 1 < len(files)
        if known < 0:
            self._note_gap()
        self._file, self._offset = files[known + 1], 0
        _close_others(files, self._file)
        file.close()
        return True

    def _note_gap(self) -> None:
        self.position.gaps += 1
        _log.warning("%s: lines may have left the cache before they were sent", self._log.stem[:12])

    def _left_bytes(self) -> int:
        """Only what lies in plain files is told exactly; a compressed one counts as what it will be."""
        file = self._current()
        if file is None:
            return 0
        left = file.size_bytes - self._offset
        if file.is_at(self._log):
            return left
        files = open_in_order(self._log)
        known = next((i for i, each in reversed(list(enumerate(files))) if each.is_same(file)), -1)
        left += sum(each.expanded_bytes for each in files[known + 1 :])
        _close_others(files, None)
        return left

    def _keep(self) -> None:
        if self._file is not None:
            self.position.file, self.position.offset = _digest(self._file), self._offset
        record = msgspec.json.encode(self.position)
        os.pwrite(self._kept_fd, record.ljust(_RECORD_BYTES), 0)


def _whole_lines(file: LogFile, offset: int, limit_bytes: int) -> bytes:
    """As many as the limit allows, and at least one, if there is one."""
    fd = file.plain.fileno()
    data = os.pread(fd, limit_bytes, offset)
    end = data.rfind(b"\n") + 1
    while not end and (piece := os.pread(fd, _BLOCK_BYTES, offset + len(data))):
        data += piece
        end = data.find(b"\n") + 1
    return data[:end]


def _digest(file: LogFile) -> str:
    line = file.first_line
    return hashlib.blake2b(line, digest_size=16).hexdigest() if line else ""


def read_position(kept: Path) -> Position:
    """As it was committed last; that of nothing where there is none, or a damaged one."""
    try:
        return msgspec.json.decode(kept.read_bytes(), type=Position)
    except (FileNotFoundError, msgspec.DecodeError):
        return Position()


def _close_others(files: list[LogFile], kept: LogFile | None) -> None:
    for file in files:
        if file is not kept:
            file.close()
