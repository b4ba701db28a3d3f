"""New settings for a process that runs, agreed upon in two steps with its parent, over a pair of sockets.

First every process says whether it could go on with the new settings; only when all can, each is told to. What a child
cannot use therefore changes nothing anywhere. Each message is one packet (SOCK_SEQPACKET): a letter, then the document.

- A child answers ``prepare`` with ``ready`` or ``no`` and the reason; ``commit`` and ``abort`` are not answered.
- A parent that has gone ends nothing here: its children end with it by other means.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from tidegate.base.errors import InvalidParameterError, TidegateError, UnavailableError

ANSWER_TIMEOUT_S = 5.0
_MESSAGE_BYTES = 1 << 20
_PREPARE, _COMMIT, _ABORT = b"P", b"C", b"A"
_READY, _NO = b"ready", b"no "

Commit = Callable[[], None]
Prepare = Callable[[bytes], Commit]
"""Checks the document; what it returns makes it true, and cannot fail. Raises TidegateError."""


class Reloads(Protocol):
    """Where new settings come from."""

    def listen(self) -> None: ...
    def close(self) -> None: ...


def reload_link() -> tuple[socket.socket, socket.socket]:
    """The parent's end and the child's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class ReloadingChild:
    """A child's end; ``listen`` once, on the running loop."""

    def __init__(self, link: socket.socket, prepare: Prepare) -> None:
        self._link = link
        self._prepare = prepare
        self._commit: Commit | None = None

    def listen(self) -> None:
        self._link.setblocking(False)
        asyncio.get_running_loop().add_reader(self._link.fileno(), self._receive)

    def close(self) -> None:
        if self._link.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._link.fileno())
            self._link.close()

    def _receive(self) -> None:
        try:
            message = self._link.recv(_MESSAGE_BYTES)
        except (BlockingIOError, ConnectionResetError):
            message = b""
        commit, self._commit = self._commit, None
        if not message:
            self.close()
        elif message[:1] == _PREPARE:
            self._link.send(self._judge(message[1:]))
        elif message[:1] == _COMMIT and commit is not None:
            commit()

    def _judge(self, document: bytes) -> bytes:
        try:
            self._commit = self._prepare(document)
        except TidegateError as error:
            return _NO + error.message.encode()
        return _READY


class ReloadedChild:
    """The parent's end of the child ``name``."""

    def __init__(self, name: str, link: socket.socket) -> None:
        self.name = name
        self._link = link

    async def prepare(self, document: bytes) -> None:
        """Raises InvalidParameterError when the child cannot go on with it, UnavailableError without an answer."""
        self._link.setblocking(False)
        loop = asyncio.get_running_loop()
        self._drop_late_answers()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await loop.sock_sendall(self._link, _PREPARE + document)
                answer = await loop.sock_recv(self._link, _MESSAGE_BYTES)
        except (OSError, TimeoutError) as error:
            raise UnavailableError(f"{self.name} does not answer: {str(error) or 'it takes too long'}") from error
        if answer != _READY:
            raise InvalidParameterError(f"{self.name}: {answer.removeprefix(_NO).decode() or 'it has ended'}")

    def _drop_late_answers(self) -> None:
        """One that came after we had given up on it says nothing about what is asked now."""
        with suppress(BlockingIOError, ConnectionResetError):
            while self._link.recv(_MESSAGE_BYTES):
                continue

    def commit(self) -> None:
        """What was prepared holds from now on. Raises UnavailableError when the child has gone."""
        self._send(_COMMIT)

    def abort(self) -> None:
        """What was prepared is forgotten. Raises UnavailableError when the child has gone."""
        self._send(_ABORT)

    def _send(self, message: bytes) -> None:
        try:
            self._link.send(message)
        except OSError as error:
            raise UnavailableError(f"{self.name} is gone: {error}") from error
