"""Reading a container's json-file log: rotated files in order, tail, since, until, follow.

One JSON object a line, in the files of ``files.py``. A reader that follows keeps its file open, so that rotation and
compression lose nothing: it finishes the old one, then opens the new.

- A line that is not valid JSON (a torn write after a power loss) is skipped, as dockerd does, with a warning.
- The reader ends when ``finished`` is set and the newest file is read to its end.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from tidegate.drivers.logs.files import LogFile, open_in_order, open_newer
from tidegate.engine.ports import LogRecord, LogRequest, Render
from tidegate.kernel.inotify import Watch

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 1024 * 1024
_TAIL_BLOCK_BYTES = 64 * 1024
POLL_S = 1.0
"""A follower looks again at least this often: the watch may miss what the shim does while it is being set up."""


async def read_log(path: Path, request: LogRequest, render: Render, finished: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the rendered records in order, many at a time. A log that was never written is an empty one."""
    files = await asyncio.to_thread(open_in_order, path)
    try:
        passed = 0
        if request.tail is not None:
            passed = await asyncio.to_thread(_seek_to_tail, files, request.tail, request)
        for file in files[passed:]:
            async for batch in _read_to_end(file, request, render):
                yield batch
        if request.follow:
            async for batch in _follow(path, files, request, render, finished):
                yield batch
    finally:
        for file in files:
            file.close()


async def _follow(
    path: Path, files: list[LogFile], request: LogRequest, render: Render, finished: asyncio.Event
) -> AsyncIterator[bytes]:
    """Go on with the last of ``files``, and with all newer ones that took its place.

    The list is kept to those that are not read to their end: what was, and was rotated since, is read once more.
    """
    _keep_last(files)
    with Watch(path.parent) as watch:
        while True:
            last_round = finished.is_set()
            for file in files:
                async for batch in _read_to_end(file, request, render):
                    yield batch
            _keep_last(files)
            newer = await asyncio.to_thread(open_newer, path, files[0] if files else None)
            files.extend(newer)
            if not newer:
                if last_round:
                    return
                await _changed(watch, finished)


def _keep_last(files: list[LogFile]) -> None:
    for file in files[:-1]:
        file.close()
    del files[:-1]


async def _changed(watch: Watch, finished: asyncio.Event) -> None:
    """Wait until the directory changed, the container ended, or POLL_S passed."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(watch.fd, readable.set)
    waits = [asyncio.ensure_future(readable.wait()), asyncio.ensure_future(finished.wait())]
    try:
        await asyncio.wait(waits, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(watch.fd)
        for wait in waits:
            wait.cancel()
        watch.drain()


async def _read_to_end(file: LogFile, request: LogRequest, render: Render) -> AsyncIterator[bytes]:
    while True:
        more, batch = await asyncio.to_thread(_read_batch, file, request, render)
        if batch:
            yield batch
        if not more:
            return


def _read_batch(log_file: LogFile, request: LogRequest, render: Render) -> tuple[bool, bytes]:
    """Read whole lines from the file's position; leaves an unfinished last line for later. (is there more, bytes)"""
    file = log_file.plain
    start = file.tell()
    block = file.read(_CHUNK_BYTES)
    end = block.rfind(b"\n") + 1
    while not end and len(block) % _CHUNK_BYTES == 0 and block:  # one line longer than the chunk
        piece = file.read(_CHUNK_BYTES)
        if not piece:
            break
        block += piece
        end = block.rfind(b"\n") + 1
    file.seek(start + end)
    records = decode_records(block[:end])
    return end > 0, b"".join(render(record) for record in records if request.accepts(record))


_decoder = msgspec.json.Decoder(LogRecord)


def decode_records(lines: bytes) -> Sequence[LogRecord]:
    """Whole lines as records; what is none is left out, with a warning."""
    try:
        return _decoder.decode_lines(lines)
    except msgspec.DecodeError:
        return [record for line in lines.splitlines() if (record := _decode_one(line)) is not None]


def _decode_one(line: bytes) -> LogRecord | None:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        _log.warning("skipped a damaged line of a container's log: %s", error)
        return None


def _seek_to_tail(files: list[LogFile], lines: int, request: LogRequest) -> int:
    """Move each file's position so that at most ``lines`` wanted records follow in all.

    Returns how many files come before them: those are not even looked at, unless a follower goes on with the last.
    """
    left = lines
    for number, file in reversed(list(enumerate(files))):
        if left <= 0 and number < len(files) - 1:
            return number + 1
        left -= _seek_back(file.plain, left, request)
    return 0


def _seek_back(file: BinaryIO, lines: int, request: LogRequest) -> int:
    """Place the file before its last ``lines`` wanted records; returns how many there are behind the position."""
    position = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return 0
    found = 0
    rest = b""
    while position > 0:
        size = min(_TAIL_BLOCK_BYTES, position)
        position = file.seek(position - size)
        block = file.read(size) + rest
        first, separator, whole = block.partition(b"\n")
        rest = first + separator if position > 0 else b""
        if position == 0:
            whole = block
        offset = position + len(block)
        for line in reversed(whole.splitlines(keepends=True)):
            offset -= len(line)
            record = _decode_one(line) if line.endswith(b"\n") else None
            if record is not None and request.accepts(record):
                found += 1
                if found == lines:
                    file.seek(offset)
                    return found
    file.seek(0)
    return found
