"""One connection as a buffer with back pressure both ways, under the server, the client and hijacked streams.

- One reader at a time. Bytes stay in the buffer until taken: taking a connection over loses nothing.
- A half-close by the peer (``at_eof``) is not a loss: writing goes on. ``hung_up`` means that nobody listens any more.
- Writing after a loss raises ConnectionResetError; what the peer sent before it left stays readable, to the last byte.
"""

import asyncio
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Callable
from typing import cast

HIGH_WATER_BYTES = 256 * 1024
UNREAD_BYTES = 1024 * 1024
CLOSE_TIMEOUT_S = 30.0
READ_POLL_S = 0.0002


class Connection(asyncio.Protocol):
    """The protocol of every plain or decrypted transport."""

    def __init__(self, on_made: Callable[["Connection"], None] | None = None) -> None:
        self.buffer = bytearray()
        self.at_eof = False
        self.hung_up = False
        self.deadline_s: float | None = None
        self.expired = False
        self.on_hangup: Callable[[], object] | None = None
        self.transport: asyncio.Transport = _UNCONNECTED
        self._on_made = on_made
        self._loop = asyncio.get_running_loop()
        self._lost = self._loop.create_future()
        self._reader: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] = []
        self._reading_paused = False
        self._writing_paused = False
        self._close_timer: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports have the shape, not the base
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > HIGH_WATER_BYTES and not self._reading_paused and not self.transport.is_closing():
            self._reading_paused = True
            self.transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self.at_eof = True
        self._wake_reader()
        if _peer_closed_fully(self.transport):
            self.note_hangup()
        return True

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake_writers()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.buffer += unread_input(self.transport)
        self.at_eof = True
        if self._close_timer is not None:
            self._close_timer.cancel()
        if not self._lost.done():
            self._lost.set_result(None)
        self.note_hangup()
        self._wake_reader()
        self.transport = _UNCONNECTED  # breaks the cycle with it: a TLS session is freed now, not by the collector
        self._reading_paused = False

    def note_hangup(self) -> None:
        """The peer is gone for both directions; whoever waits for it learns it now."""
        if self.hung_up:
            return
        self.hung_up = True
        self._wake_writers()
        if self.on_hangup is not None:
            self.on_hangup()

    # ---------------------------------------------------------------- called by the owner

    def time(self) -> float:
        """Now, on the clock of ``deadline_s``."""
        return self._loop.time()

    async def fill(self) -> bool:
        """Wait for more input. False once there will be none, or the owner's patience is over."""
        if self.at_eof or self.expired:
            return False
        self._resume_reading()
        before = len(self.buffer)
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None
        return len(self.buffer) > before

    def expire(self) -> None:
        """The owner's deadline has passed: a wait for input ends as if there were none."""
        self.expired = True
        self._wake_reader()

    def take(self, limit_bytes: int) -> bytes:
        """Remove up to ``limit_bytes`` from the buffer."""
        if limit_bytes >= len(self.buffer):
            data = bytes(self.buffer)
            self.buffer.clear()
        else:
            data = bytes(self.buffer[:limit_bytes])
            del self.buffer[:limit_bytes]
        if len(self.buffer) <= HIGH_WATER_BYTES // 2:
            self._resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """Queue ``data``; follow with ``drain``. Raises ConnectionResetError after a loss."""
        if self.hung_up or self.transport.is_closing():
            raise ConnectionResetError("the peer closed the connection")
        self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the transport takes more. Raises ConnectionResetError after a loss."""
        while self._writing_paused and not self.hung_up:
            waiter = self._loop.create_future()
            self._writers.append(waiter)
            await waiter
        if self.hung_up:
            raise ConnectionResetError("the peer closed the connection")

    def write_eof(self) -> None:
        if not self.hung_up and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """Send what is queued and close; a peer that takes nothing is cut off after CLOSE_TIMEOUT_S."""
        if self._lost.done() or self.transport is _UNCONNECTED:
            return
        if self.hung_up:
            self.transport.abort()
            return
        self._resume_reading()
        self.transport.close()
        if self._close_timer is None:
            self._close_timer = self._loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def abort(self) -> None:
        if not self._lost.done():
            self.transport.abort()

    async def wait_read(self, limit_s: float) -> None:
        """Wait until the peer has read what was written, where the kernel tells: on unix sockets."""
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.family != socket.AF_UNIX:
            return
        deadline_s = self._loop.time() + limit_s
        while self._loop.time() < deadline_s:
            await asyncio.sleep(READ_POLL_S)
            if self.hung_up or sock.fileno() < 0:
                return
            queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
            if not self.transport.get_write_buffer_size() and not struct.unpack("i", queued)[0]:
                return

    async def wait_lost(self) -> None:
        await asyncio.shield(self._lost)

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writers(self) -> None:
        writers, self._writers = self._writers, []
        for waiter in writers:
            if not waiter.done():
                waiter.set_result(None)


_UNCONNECTED = asyncio.Transport()


def unread_input(transport: asyncio.Transport) -> bytes:
    """What the kernel still holds of a plain connection that was lost: a failed write makes the loops close at once."""
    sock = transport.get_extra_info("socket")
    data = bytearray()
    while sock is not None and sock.fileno() >= 0 and len(data) < UNREAD_BYTES:
        try:
            chunk = os.read(sock.fileno(), UNREAD_BYTES)
        except OSError:  # there is no more: the connection is known to be broken
            break
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _peer_closed_fully(transport: asyncio.Transport) -> bool:
    """On a unix socket the kernel tells a close (POLLHUP) from a shutdown(SHUT_WR); TCP cannot tell before a write."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))
