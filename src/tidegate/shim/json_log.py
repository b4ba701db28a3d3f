"""A container's log in Docker's json-file format: one ``{"log","stream","time"}`` object a line, rotated by size.

- ``PATH`` is the newest file, ``PATH.1`` the one before it, at most ``max_files`` in all.
- A line longer than 16 KiB is recorded in parts without a newline at the end, as dockerd does.
- ``append`` returns only when the bytes are in the file. An unfinished line waits in ``carry`` until it ends.
"""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

PART_SIZE_BYTES = 16 * 1024


def rfc3339_nano(time_ns: int) -> str:
    """UTC with nanoseconds, as Go's RFC3339Nano but with all nine digits."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def split_records(data: bytes, *, final: bool) -> tuple[list[bytes], bytes]:
    """The complete records of ``data`` and the unfinished rest; ``final`` leaves no rest."""
    records: list[bytes] = []
    lines = data.split(b"\n")
    rest = lines.pop()
    for line in lines:
        whole = line + b"\n"
        while len(whole) > PART_SIZE_BYTES:
            records.append(whole[:PART_SIZE_BYTES])
            whole = whole[PART_SIZE_BYTES:]
        records.append(whole)
    while len(rest) >= PART_SIZE_BYTES:
        records.append(rest[:PART_SIZE_BYTES])
        rest = rest[PART_SIZE_BYTES:]
    if final and rest:
        records.append(rest)
        rest = b""
    return records, rest


def format_records(records: list[bytes], stream: str, time_ns: int) -> bytes:
    """The bytes of the file for these records."""
    tail = f',"stream":"{stream}","time":"{rfc3339_nano(time_ns)}"}}\n'
    dumps = json.dumps
    return "".join(
        f'{{"log":{dumps(record.decode("utf-8", "replace"), ensure_ascii=False)}{tail}' for record in records
    ).encode()


def rotate(path: Path, max_files: int) -> None:
    """Make room for a new ``path``. A rotation cut short anywhere is completed by calling this again.

    Only the files up to the first gap in the numbers move, so that a repetition moves none of them twice.
    """
    if max_files <= 1:
        path.unlink(missing_ok=True)
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
    """The open log of one container; ``max_size_bytes`` of zero or less is no limit."""

    def __init__(self, path: Path, max_size_bytes: int, max_files: int) -> None:
        self._path = path
        self._max_size_bytes = max_size_bytes
        self._max_files = max_files
        self._carry = {"stdout": b"", "stderr": b""}
        self._fd = self._open()

    def append(self, stream: str, data: bytes) -> None:
        """Record output of ``stdout`` or ``stderr``."""
        records, self._carry[stream] = split_records(self._carry[stream] + data, final=False)
        self._write(records, stream)

    def finish(self, stream: str) -> None:
        """The stream ended: record its unfinished line."""
        records, self._carry[stream] = split_records(self._carry[stream], final=True)
        self._write(records, stream)

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def _write(self, records: list[bytes], stream: str) -> None:
        if not records:
            return
        if 0 < self._max_size_bytes <= os.fstat(self._fd).st_size:
            os.close(self._fd)
            rotate(self._path, self._max_files)
            self._fd = self._open()
        view = memoryview(format_records(records, stream, time.time_ns()))
        while view:
            view = view[os.write(self._fd, view) :]
