"""Connections carried both ways: each side is read only as fast as the other one takes, and ends each way by itself."""

import asyncio
import socket
from typing import cast

CONNECT_TIMEOUT_S = 10.0
HIGH_WATER_BYTES = 256 * 1024


class Side(asyncio.Protocol):
    """One of the two ends of a carried connection; nothing is read from it before ``begin``."""

    def __init__(self) -> None:
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None
        self._has_begun = False
        self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        # Python 3.11.2 (Debian 12) begins to read after this call even if it pauses, so that it is paused after that.
        asyncio.get_running_loop().call_soon(self._hold)

    def _hold(self) -> None:
        if not self._has_begun and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def begin(self) -> None:
        """Read: both ends are there."""
        self._has_begun = True
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._to is not None:
            self._to.write(data)

    def eof_received(self) -> bool:
        self._has_ended = True
        if self._to is not None and not self._to.is_closing():
            self._to.write_eof()
        return self.other is None or not self.other._has_ended  # both have: False closes this side, and that the other

    def pause_writing(self) -> None:
        if self._to is not None:
            self._to.pause_reading()

    def resume_writing(self) -> None:
        if self._to is not None and not self._to.is_closing():
            self._to.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._to is not None:
            self._to.abort() if exc is not None else self._to.close()

    @property
    def _to(self) -> asyncio.Transport | None:
        return None if self.other is None else self.other.transport


class StreamPort:
    """A listening socket, served. ``close`` lets carried connections go on, as dockerd's proxy does not."""

    def __init__(self, sock: socket.socket, address: str, port: int) -> None:
        self._sock, self._target = sock, (address, port)
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def begin(self) -> None:
        """Raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(self._accepted, sock=self._sock, backlog=1024)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connecting:
            task.cancel()

    def _accepted(self) -> Side:
        near = Side()
        task = asyncio.get_running_loop().create_task(self._connect(near), name="relay-connect")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return near

    async def _connect(self, near: Side) -> None:
        far = Side()
        near.other, far.other = far, near
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().create_connection(lambda: far, *self._target)
        except (OSError, TimeoutError):
            if near.transport is not None:
                near.transport.abort()  # a reset: nobody answers there
            return
        near.begin()
        far.begin()
