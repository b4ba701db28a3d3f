"""A container's log in Docker's json-file format: one ``{"log","stream","time"}`` object a line, rotated by size.

- ``PATH`` is the newest file, ``PATH.1`` the one before it, at most ``max_files`` in all.
- A line longer than 16 KiB is recorded in parts without a newline at the end, as dockerd does.
- ``append`` returns only when file and journal have the bytes. An unfinished line waits in the journal until it ends.
- Rotated files may be compressed by another process (``compression``), which is not waited for: while it puts one in
  its place, the rotation is put off.
"""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tidegate.shim.compression import PlaceLock
from tidegate.shim.journal import CARRY_LIMIT_BYTES, Committed, Journal

PART_SIZE_BYTES = CARRY_LIMIT_BYTES
_MARK = b"\x7f"
_quote = json.JSONEncoder(ensure_ascii=False).encode


class LogFile(NamedTuple):
    """Where a log is and how much of it is kept; ``max_size_bytes`` of zero or less is no limit.

    ``attributes`` is a JSON object that stands in each record, or nothing.
    """

    path: Path
    max_size_bytes: int
    max_files: int
    attributes: str = ""
    compress: bool = False


def rfc3339_nano(time_ns: int) -> str:
    """UTC with nanoseconds, as Go's RFC3339Nano but with all nine digits."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def split_blocks(data: bytes, *, final: bool) -> tuple[list[bytes], bytes]:
    """Blocks of whole lines, or of one part of a long line, and the unfinished rest; ``final`` leaves no rest.

    No block is longer than a part: short ones are formatted fastest, since their strings stay below malloc's threshold
    for mapping memory afresh.
    """
    blocks: list[bytes] = []
    start, size = 0, len(data)
    while start < size:
        end = data.rfind(b"\n", start, start + PART_SIZE_BYTES) + 1
        if not end:
            if size - start < PART_SIZE_BYTES and not final:
                break
            end = start + PART_SIZE_BYTES
        blocks.append(data[start:end])
        start = end
    return blocks, data[start:]


def format_block(block: bytes, stream: str, time_ns: int, attributes: str = "") -> bytes:
    """The bytes of the file for the lines of ``block``, a record each."""
    attrs = f'"attrs":{attributes},' if attributes else ""
    tail = f',"stream":"{stream}",{attrs}"time":"{rfc3339_nano(time_ns)}"}}\n'
    if _MARK in block or not block.endswith(b"\n"):
        return "".join(f'{{"log":{_quote(line.decode("utf-8", "replace"))}{tail}' for line in _lines(block)).encode()
    # All lines at once: a newline becomes a mark that JSON does not escape, and the mark the seam of two records.
    quoted = _quote(block[:-1].replace(b"\n", _MARK).decode("utf-8", "replace")).encode()
    ending = b'\\n"' + tail.encode()
    return b'{"log":' + quoted[:-1].replace(_MARK, ending + b'{"log":"') + ending


def _lines(block: bytes) -> list[bytes]:
    """Newlines only end a line; ``splitlines`` knows carriage returns too."""
    lines = [line + b"\n" for line in block.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def rotate(path: Path, max_files: int) -> None:
    """Make room for a new ``path``. A rotation cut short anywhere is completed by calling this again.

    Only the files up to the first gap in the numbers move, so that a repetition moves none of them twice.
    """
    if max_files <= 1:
        fresh = path.with_name(f".{path.name}.new")
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640))
        fresh.replace(path)  # not removed first: the new file must have another inode
        return
    numbers = range(1, max_files)
    gap = next((n for n in numbers if not _numbered(path, n).exists()), max_files - 1)
    for n in range(gap, 1, -1):
        _numbered(path, n - 1).replace(_numbered(path, n))
    if path.exists():
        path.replace(_numbered(path, 1))


def _numbered(path: Path, n: int) -> Path:
    return path.with_name(f"{path.name}.{n}")


class JSONLog:
    """The open log of one container. ``on_rotated`` is called when a file was rotated that is to be compressed.

    What an earlier worker wrote after its last commit is cut off; ``staged`` names the stream whose staged bytes it had
    committed. The log's owner discards them and calls ``settle``, as after each ``append``.
    """

    def __init__(
        self, file: LogFile, journal: Journal, on_rotated: Callable[[Path], None] = lambda _path: None
    ) -> None:
        self._file = file
        self._path = file.path
        self._journal = journal
        self._on_rotated = on_rotated
        self._fd = self._open()
        before = journal.read()
        self._carry = {"stdout": b"", "stderr": b""} if before is None else before.carry
        self.staged = None if before is None else before.staged
        self._size_bytes, self._inode = self._recover(before)
        self._commit(self.staged)

    def append(self, stream: str, data: bytes) -> None:
        """Record output of ``stdout`` or ``stderr``, staged until now."""
        blocks, rest = split_blocks(self._carry[stream] + data if self._carry[stream] else data, final=False)
        self._record(stream, blocks, rest, staged=stream)

    def settle(self) -> None:
        """The staged bytes are discarded."""
        self.staged = None
        self._journal.settle()

    def finish(self, stream: str) -> None:
        """The stream ended: record its unfinished line."""
        blocks, rest = split_blocks(self._carry[stream], final=True)
        if blocks:
            self._record(stream, blocks, rest, staged=None)

    def close(self) -> None:
        os.close(self._fd)
        self._journal.close()

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def _recover(self, before: Committed | None) -> tuple[int, int]:
        found = os.fstat(self._fd)
        if before is None or (found.st_ino != before.inode and not before.rotating):
            return found.st_size, found.st_ino  # a fresh log, or one that others put in our log's place
        good = before.size_bytes if found.st_ino == before.inode else 0
        if found.st_size > good:
            os.ftruncate(self._fd, good)
        return min(found.st_size, good), found.st_ino

    def _record(self, stream: str, blocks: list[bytes], rest: bytes, *, staged: str | None) -> None:
        """Raises OSError with the records lost as a whole and the file as it was."""
        try:
            if blocks:
                self._write(stream, blocks)
        finally:
            self._carry = self._carry | {stream: rest}
            self._commit(staged)

    def _write(self, stream: str, blocks: list[bytes]) -> None:
        size = os.fstat(self._fd).st_size
        if size != self._size_bytes:  # somebody emptied the file: from here on it is ours again
            self._size_bytes = size
            self._commit(None)
        if 0 < self._file.max_size_bytes <= size:
            self._rotate()
        now = time.time_ns()
        records = [format_block(block, stream, now, self._file.attributes) for block in blocks]
        try:
            _write_all(self._fd, records)
        except OSError:
            os.ftruncate(self._fd, self._size_bytes)
            raise
        self._size_bytes += sum(map(len, records))

    def _rotate(self) -> None:
        if not self._file.compress:
            self._replace()
            return
        try:
            with PlaceLock(self._path, wait=False):
                self._replace()
        except BlockingIOError:
            return  # a compressed file is being put in its place: the next write tries again
        self._on_rotated(self._path)

    def _replace(self) -> None:
        self._commit(None, rotating=True)
        rotate(self._path, self._file.max_files)
        os.close(self._fd)
        self._fd = self._open()
        self._size_bytes, self._inode = 0, os.fstat(self._fd).st_ino
        self._commit(None)

    def _commit(self, staged: str | None, *, rotating: bool = False) -> None:
        self._journal.commit(Committed(self._size_bytes, self._inode, self._carry, rotating, staged))
        self.staged = staged


def _write_all(fd: int, records: list[bytes]) -> None:
    written = os.writev(fd, records)
    if written < (size := sum(map(len, records))):
        view = memoryview(b"".join(records))[written:size]
        while view:
            view = view[os.write(fd, view) :]
