"""Taking a connection over: after the head of the answer, both directions carry raw bytes.

The stream reads from the connection's own buffer, so bytes that came with the request are the first it yields, and
there is no moment between the ``101`` and the take-over at which bytes could go to an HTTP parser.
"""

from collections.abc import Awaitable, Callable

import msgspec

from tidegate.http.connection import Connection

READ_BYTES = 256 * 1024


class Stream:
    """A raw connection, with half-close in both directions on unix sockets, TCP and TLS."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, limit_bytes: int = READ_BYTES) -> bytes:
        """What has arrived, up to ``limit_bytes``; b"" once the peer has finished writing (not a detach)."""
        if not self._connection.buffer and not await self._connection.fill():
            return b""
        return self._connection.take(limit_bytes)

    async def write(self, data: bytes) -> None:
        """Send, waiting while the peer is slow. Raises ConnectionResetError when nobody listens."""
        self._connection.write(data)
        await self._connection.drain()

    def send(self, data: bytes) -> None:
        """Queue a few bytes that nobody waits for: a goodbye."""
        self._connection.write(data)

    async def wait_read(self, limit_s: float) -> None:
        """Wait until the peer has read what was written, where the kernel tells: on unix sockets."""
        await self._connection.wait_read(limit_s)

    def write_eof(self) -> None:
        """Finish writing: shutdown(SHUT_WR), or close_notify over TLS. Reading goes on."""
        self._connection.write_eof()

    def close(self) -> None:
        """Send what is queued, then close. Idempotent."""
        self._connection.close()

    def abort(self) -> None:
        """Close now, dropping what is queued. Idempotent."""
        self._connection.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone, by either side."""
        await self._connection.wait_lost()


def _nothing() -> None:
    """Nothing is held that would have to be let go."""


class Hijack(msgspec.Struct, frozen=True):
    """An answer that takes the connection over: ``head`` is written verbatim, then ``run`` owns the stream.

    The connection is closed when ``run`` ends. ``run`` is not cancelled when the peer goes: it sees b"" and resets.
    ``abandon`` is called in place of ``run`` when the peer is gone before it.
    """

    head: bytes
    run: Callable[[Stream], Awaitable[None]]
    abandon: Callable[[], None] = _nothing
