"""The files of one log: ``PATH`` the newest, ``PATH.1`` the one before; rotated ones are plain or gzip.

The shim writes and rotates them (``shim/json_log.py``, ``shim/compression.py``) while they are read: a file is known
again, compressed or under another name, by its first line, which has a time in nanoseconds.
"""

import itertools
import logging
import os
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

_log = logging.getLogger(__name__)

_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1024 * 1024
_FIRST_READ_BYTES = 4096


class LogFile:
    """One open file. A compressed one is expanded when it is read, into a file that has no name."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError."""
        self._raw = path.open("rb")
        self._directory = path.parent
        self._plain: BinaryIO | None = None
        self._first_line = b""

    @property
    def plain(self) -> BinaryIO:
        """The lines, to be read and moved in."""
        if self._plain is None:
            self._plain = self._expanded() if self._is_compressed() else self._raw
        return self._plain

    @property
    def size_bytes(self) -> int:
        """Of the lines; cheap for a plain file only."""
        return os.fstat(self.plain.fileno()).st_size

    @property
    def expanded_bytes(self) -> int:
        """Of the lines, as far as it can be told without expanding them."""
        size = os.fstat(self._raw.fileno()).st_size
        if not self._is_compressed():
            return size
        return int.from_bytes(os.pread(self._raw.fileno(), 4, max(0, size - 4)), "little")  # RFC 1952: ISIZE

    @property
    def first_line(self) -> bytes:
        """With its newline; empty while there is none."""
        if not self._first_line:
            self._first_line = self._read_first_line()
        return self._first_line

    def is_same(self, other: "LogFile") -> bool:
        """Whether both hold the same lines."""
        if os.path.sameopenfile(self._raw.fileno(), other._raw.fileno()):
            return True
        return self.first_line == other.first_line != b""

    def is_at(self, path: Path) -> bool:
        """Whether the file of that name is this very one."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._raw.fileno()))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Idempotent."""
        self._raw.close()
        if self._plain is not None:
            self._plain.close()

    def _is_compressed(self) -> bool:
        return os.pread(self._raw.fileno(), len(_MAGIC), 0) == _MAGIC

    def _read_first_line(self) -> bytes:
        unpacker = zlib.decompressobj(wbits=31) if self._is_compressed() else None
        at, line = 0, b""
        while chunk := os.pread(self._raw.fileno(), _FIRST_READ_BYTES, at):
            at += len(chunk)
            line += chunk if unpacker is None else unpacker.decompress(chunk)
            if b"\n" in line:
                return line[: line.index(b"\n") + 1]
        return b""

    def _expanded(self) -> BinaryIO:
        target = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - lives as long as this object
        unpacker = zlib.decompressobj(wbits=31)
        try:
            while chunk := self._raw.read(_CHUNK_BYTES):
                target.write(unpacker.decompress(chunk))
        except zlib.error as error:
            _log.warning("a compressed log is damaged: %s: %s", self._raw.name, error)
        target.seek(0)
        return target


def open_in_order(path: Path) -> list[LogFile]:
    """Every file of the log, oldest first. The newest is opened first, so that a rotation meanwhile loses none."""
    files: list[LogFile] = []
    for number in itertools.count():
        try:
            file = LogFile(path if number == 0 else path.with_name(f"{path.name}.{number}"))
        except FileNotFoundError:
            if number == 0:  # between the two renames of a rotation
                continue
            break
        if any(file.is_same(known) for known in files):
            file.close()  # a rotation under way moved it on since it was opened
        else:
            files.append(file)
    files.reverse()
    return files


def open_newer(path: Path, last: LogFile | None) -> list[LogFile]:
    """The files that came after ``last``, oldest first; empty when ``last`` is still the newest."""
    if last is not None and last.is_at(path):
        return []
    files = open_in_order(path)
    if last is None:
        return files
    known = next((i for i, file in reversed(list(enumerate(files))) if file.is_same(last)), -1)
    for file in files[: known + 1]:
        file.close()
    return files[known + 1 :]
