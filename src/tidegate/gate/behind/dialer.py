"""Connections for a process that may open none: a small root process dials, the gate receives the descriptor.

The gate runs as nobody, and everybody else who is nobody on this host could reach what the gate may reach. The sockets
behind it (the engine's, the registrar's, those of authorization plugins) therefore stay root's alone. The dialer knows
a fixed set of them by name, and does nothing but connect; likewise it opens files that the gate may only append to.

- One line asks (the name), one message answers: ``ok`` with a descriptor, or ``busy``, or ``error TEXT``.
- It ends when the last gate worker has closed its end.
"""

import asyncio
import errno
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tidegate.base.errors import UnavailableError

_MESSAGE_BYTES = 4096
_BUSY_RETRY_S = 0.005
DIAL_TIMEOUT_S = 5.0
Address = Path | tuple[socket.AddressFamily, Any]
"""A unix socket, or a family and what connect(2) takes for it."""

_NO_FILES: Mapping[str, Callable[[], int]] = {}


def serve_dialer(
    links: list[socket.socket], addresses: Mapping[str, Address], files: Mapping[str, Callable[[], int]] = _NO_FILES
) -> None:
    """Answer on ``links`` (SOCK_SEQPACKET) until all of them are closed at the other end.

    ``files`` open a new descriptor each time they are asked, and may raise OSError.
    """
    poll = select.poll()
    open_links = {link.fileno(): link for link in links}
    for fd in open_links:
        poll.register(fd, select.POLLIN)
    while open_links:
        for fd, _ in poll.poll():
            if not _answer(open_links[fd], addresses, files):
                poll.unregister(fd)
                open_links.pop(fd).close()


def _answer(link: socket.socket, addresses: Mapping[str, Address], files: Mapping[str, Callable[[], int]]) -> bool:
    """One question; False when the gate is gone."""
    try:
        asked = link.recv(_MESSAGE_BYTES)
        if not asked:
            return False
        name = asked.decode("utf-8", "replace")
        path, open_file = addresses.get(name), files.get(name)
        if open_file is not None:
            _send_file(link, open_file)
            return True
        if path is None:
            link.send(b"error the dialer knows no such address")
            return True
        family, address = (socket.AF_UNIX, str(path)) if isinstance(path, Path) else path
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            # EAGAIN of a unix socket is a full backlog (unix(7)): the gate asks again. EINPROGRESS is TCP on its way:
            # the gate waits for that, not the dialer.
            code = connection.connect_ex(address)
            if code in (0, errno.EINPROGRESS):
                socket.send_fds(link, [b"ok"], [connection.fileno()])
            else:
                link.send(b"busy" if code == errno.EAGAIN else b"error " + os.strerror(code).encode())
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _send_file(link: socket.socket, open_file: Callable[[], int]) -> None:
    try:
        fd = open_file()
    except OSError as error:
        link.send(b"error " + str(error).encode()[: _MESSAGE_BYTES // 2])
        return
    try:
        socket.send_fds(link, [b"ok"], [fd])
    finally:
        os.close(fd)


class Dialer:
    """The gate's end of a link."""

    def __init__(self, link: socket.socket) -> None:
        link.setblocking(False)
        self._link = link
        self._waiting: deque[asyncio.Future[int | None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def connect(self, name: str) -> socket.socket:
        """A connected, non-blocking socket to ``name``. Raises UnavailableError."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + DIAL_TIMEOUT_S
        while True:
            fd = await self._ask(loop, name)
            if fd is not None:
                connection = socket.socket(fileno=fd)
                connection.setblocking(False)
                return connection
            if loop.time() > deadline_s:
                raise UnavailableError(f"{name} accepts no connection: its backlog is full")
            await asyncio.sleep(_BUSY_RETRY_S)

    async def open(self, name: str) -> int:
        """A descriptor of the file ``name``, which the caller owns. Raises UnavailableError."""
        fd = await self._ask(asyncio.get_running_loop(), name)
        if fd is None:
            raise UnavailableError(f"the dialer is busy: {name} was not opened")
        return fd

    async def _ask(self, loop: asyncio.AbstractEventLoop, name: str) -> int | None:
        """A descriptor; None when the dialer is to be asked again. Raises UnavailableError."""
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._link.fileno(), self._receive)
        future: asyncio.Future[int | None] = loop.create_future()
        try:
            self._link.send(name.encode())
        except OSError as error:
            raise UnavailableError(f"the dialer is gone: {error}") from error
        self._waiting.append(future)
        return await future

    def close(self) -> None:
        """Stop listening for answers; whoever waits for one gets an UnavailableError."""
        if self._loop is not None:
            self._loop.remove_reader(self._link.fileno())
        self._fail("the gate is closing")
        self._link.close()

    def _receive(self) -> None:
        try:
            message, fds, _, _ = socket.recv_fds(self._link, _MESSAGE_BYTES, 1)
        except BlockingIOError:
            return
        except ConnectionResetError:
            message, fds = b"", []
        if not message:
            assert self._loop is not None  # noqa: S101 - the reader is registered with it
            self._loop.remove_reader(self._link.fileno())
            self._fail("the dialer is gone")
            return
        future = self._waiting.popleft()
        if future.done():  # its asker gave up
            for fd in fds:
                os.close(fd)
            return
        if fds:
            future.set_result(fds[0])
        elif message == b"busy":
            future.set_result(None)
        else:
            future.set_exception(UnavailableError(message.removeprefix(b"error ").decode("utf-8", "replace")))

    def _fail(self, reason: str) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(UnavailableError(reason))
