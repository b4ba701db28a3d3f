"""A client's view of a process's streams, on a connection of its own to the shim."""

import asyncio

from tidegate.base.errors import UnavailableError
from tidegate.shim.protocol import STREAM_END

READ_SIZE_BYTES = 256 * 1024


class SocketStream:
    """An ``AttachStream``. One that ends without the shim's word raises UnavailableError: some of it is missing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tail = b""

    async def read(self) -> bytes:
        while data := await self._receive():
            data = self._tail + data
            kept = _end_begun(data)
            self._tail = data[len(data) - kept :]
            if kept < len(data):
                return data[: len(data) - kept]
        if self._tail != STREAM_END:
            raise UnavailableError("the shim was killed: output is missing here, see the container's log")
        return b""

    async def write(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise BrokenPipeError
        self._writer.write(data)
        await self._writer.drain()

    async def close_stdin(self) -> None:
        if not self._writer.is_closing() and self._writer.can_write_eof():
            self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()

    async def _receive(self) -> bytes:
        try:
            return await self._reader.read(READ_SIZE_BYTES)
        except ConnectionError:
            return b""


def _end_begun(data: bytes) -> int:
    """How many of the last bytes may be the beginning of the end."""
    sizes = range(len(STREAM_END), 0, -1)
    return next((size for size in sizes if data.endswith(STREAM_END[:size])), 0)
