"""Bodies on the wire: read by length, in chunks (RFC 9112, section 7.1) or until the end; written in chunks.

Chunk extensions and trailers are bounded and dropped. A body that ends early is a ProtocolError, never a short body;
so is one that stalls, or a document that is not whole in time.
"""

import math
import re
from collections.abc import AsyncIterator, Callable

from tidegate.http.connection import Connection
from tidegate.http.head import CHUNKED, UNTIL_EOF
from tidegate.http.limits import BodyPatience
from tidegate.http.messages import BodyTooLargeError, ProtocolError

_PIECE_BYTES = 256 * 1024
_LINE_BYTES = 4096
_TRAILER_LINES = 64
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*|;[\t\x20-\x7e\x80-\xff]*)")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class WireBody:
    """The body of one message on a connection. ``before_read`` runs once, before the first wait for it.

    ``patience`` needs an owner who sweeps the connection's deadlines, as the server does.
    """

    def __init__(
        self,
        connection: Connection,
        length: int,
        limit_bytes: int | None,
        before_read: Callable[[], None] | None = None,
        patience: BodyPatience | None = None,
    ) -> None:
        self.finished = length == 0
        self.started = False
        self._connection = connection
        self._length = length
        self._left = 0 if length == CHUNKED else length
        self._in_chunks = False
        self._limit_bytes = limit_bytes
        self._read_bytes = 0
        self._before_read = before_read
        self._patience = patience
        self._document_deadline_s = math.inf

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self) -> bytes:
        """The next piece; b"" is the end. Raises ProtocolError (cut, malformed) or BodyTooLargeError."""
        if self.finished:
            return b""
        if not self.started:
            self.started = True
            if self._before_read is not None:
                self._before_read()
        if self._length == UNTIL_EOF:
            return await self._read_until_eof()
        if self._length == CHUNKED and self._left == 0 and not await self._next_chunk():
            self.finished = True
            return b""
        data = await self._read_piece()
        self._left -= len(data)
        self.finished = self._length != CHUNKED and self._left == 0
        self._count(len(data))
        return data

    async def read_all(self, limit_bytes: int) -> bytes:
        if self._length > limit_bytes:
            raise BodyTooLargeError(limit_bytes)
        if self._patience is not None:
            self._document_deadline_s = self._connection.time() + self._patience.document_s
        pieces: list[bytes] = []
        total = 0
        while data := await self.read():
            total += len(data)
            if total > limit_bytes:
                raise BodyTooLargeError(limit_bytes)
            pieces.append(data)
        return b"".join(pieces)

    async def _read_until_eof(self) -> bytes:
        if not self._connection.buffer and not await self._fill():
            self.finished = True
            return b""
        data = self._connection.take(_PIECE_BYTES)
        self._count(len(data))
        return data

    async def _read_piece(self) -> bytes:
        if not self._connection.buffer and not await self._fill():
            raise ProtocolError("unexpected EOF in the body")
        return self._connection.take(min(self._left, _PIECE_BYTES))

    async def _next_chunk(self) -> bool:
        """Read the line before a chunk into ``_left``; False after the last chunk and its trailers."""
        if self._in_chunks and await self._line():
            raise ProtocolError("malformed chunk")
        self._in_chunks = True
        match = _CHUNK_LINE.fullmatch(await self._line())
        if match is None:
            raise ProtocolError("malformed chunk size")
        self._left = int(match[1], 16)
        if self._left:
            return True
        for _ in range(_TRAILER_LINES):
            line = await self._line()
            if not line:
                return False
            if _TRAILER.fullmatch(line) is None:
                raise ProtocolError("malformed trailer")
        raise ProtocolError("too many trailers", 431)

    async def _line(self) -> bytes:
        connection = self._connection
        while (end := connection.buffer.find(b"\n", 0, _LINE_BYTES)) < 0:
            if len(connection.buffer) >= _LINE_BYTES:
                raise ProtocolError("chunk line is too long")
            if not await self._fill():
                raise ProtocolError("unexpected EOF in the body")
        line = connection.take(end + 1)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolError("malformed chunk line")
        return line[:-2]

    async def _fill(self) -> bool:
        connection = self._connection
        if self._patience is None:
            return await connection.fill()
        connection.deadline_s = min(connection.time() + self._patience.stall_s, self._document_deadline_s)
        try:
            more = await connection.fill()
        finally:
            connection.deadline_s = None
        if connection.expired:
            raise ProtocolError("the request's body took too long", 408)
        return more

    def _count(self, size_bytes: int) -> None:
        self._read_bytes += size_bytes
        if self._limit_bytes is not None and self._read_bytes > self._limit_bytes:
            raise BodyTooLargeError(self._limit_bytes)


def chunk(data: bytes) -> bytes:
    """``data`` (not empty) as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
