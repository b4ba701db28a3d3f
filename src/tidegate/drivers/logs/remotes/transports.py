"""Connections to remotes, made when there is something to send, and again after they broke.

Every error is an OSError, and leaves no connection behind.
"""

import array
import asyncio
import fcntl
import socket
import ssl
import termios
from collections.abc import Iterable

from tidegate.engine.logging.addresses import Address

CONNECT_TIMEOUT_S = 10.0
DEAD_AFTER_MS = 30_000
"""A peer that acknowledges nothing for so long is taken for dead; one that acknowledges, and reads nothing, is not."""
_ACKNOWLEDGED_POLL_S = 0.001
_SLOWEST_POLL_S = 0.1


class StreamTransport:
    """A TCP, TLS or unix stream."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None = None) -> None:
        self._address, self._tls = address, tls
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, data: bytes, timeout_s: float | None = None) -> None:
        """Returns when the peer's kernel has it all: what only our own had would be lost with the connection."""
        reader, writer = await self._connected()
        try:
            writer.write(data)
            async with asyncio.timeout(timeout_s):
                await writer.drain()
                await self._acknowledged(writer)
            if reader.at_eof():
                raise ConnectionResetError("the remote closed the connection")
        except OSError:
            self.close()
            raise

    async def receive(self, timeout_s: float | None) -> bytes:
        """Some bytes, after a ``send``."""
        reader, _ = await self._connected()
        try:
            async with asyncio.timeout(timeout_s):
                data = await reader.read(4096)
            if not data:
                raise ConnectionResetError("the remote closed the connection")
        except OSError:
            self.close()
            raise
        return data

    def close(self) -> None:
        """Idempotent."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # it closed while there was nothing to send
        if self._streams is None:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._streams = await self._connect()
            self._streams[1].transport.set_write_buffer_limits(0)  # so that drain() means: handed to the kernel
        return self._streams

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._address
        if address.path:
            return await asyncio.open_unix_connection(address.path)
        streams = await asyncio.open_connection(address.host, address.port, ssl=self._tls)
        sock = streams[1].get_extra_info("socket")
        if sock.getsockname() == sock.getpeername():  # nobody listened, and the port was picked for ourselves
            streams[1].transport.abort()
            raise ConnectionRefusedError(f"nobody listens at {address}")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_MS)
        return streams

    async def _acknowledged(self, writer: asyncio.StreamWriter) -> None:
        if self._address.path:
            return
        fd, pause_s = writer.get_extra_info("socket").fileno(), _ACKNOWLEDGED_POLL_S
        while not writer.is_closing() and _unacknowledged_bytes(fd):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _SLOWEST_POLL_S)


def _unacknowledged_bytes(fd: int) -> int:
    """SIOCOUTQ of tcp(7)."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.TIOCOUTQ, count)
    return count[0]


class DatagramTransport:
    """UDP, or a unix datagram socket: of the latter the receiver sees to it that nothing is lost."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    async def send(self, datagrams: Iterable[bytes]) -> None:
        sock = await self._connected()
        try:
            for datagram in datagrams:
                try:
                    sock.send(datagram)
                except BlockingIOError:
                    await asyncio.get_running_loop().sock_sendall(sock, datagram)
        except OSError:
            self.close()
            raise

    async def send_descriptor(self, fd: int) -> None:
        """An empty datagram that carries an open file."""
        sock = await self._connected()
        socket.send_fds(sock, [b""], [fd])

    def close(self) -> None:
        """Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _connected(self) -> socket.socket:
        if self._socket is None:
            family, target = await self._target()
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                sock.connect(target)
            except OSError:
                sock.close()
                raise
            self._socket = sock
        return self._socket

    async def _target(self) -> tuple[int, str | tuple[object, ...]]:
        address = self._address
        if address.path:
            return socket.AF_UNIX, address.path
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
        return found[0][0], found[0][4]
