"""The engine's copies of the shim's descriptors: streams outlive even a shim that is killed with all its processes.

What they are and how they travel is in ``tidegate.shim.spares``. What is held of a shim is dropped only when the next
connection has told everything anew.
"""

import asyncio
import contextlib
import socket
from pathlib import Path

from tidegate.base.errors import UnavailableError
from tidegate.shim.spares import Spares, send_spares

DEADLINE_S = 10.0


class SpareHolder:
    """Follows one shim after another. Not for several event loops."""

    def __init__(self) -> None:
        self._held = Spares()
        self._coming = Spares()
        self._link: socket.socket | None = None
        self._settled: asyncio.Future[None] | None = None

    async def follow(self, path: Path) -> None:
        """Hold what the shim that listens at ``path`` tells of; returns when that is everything.

        Raises UnavailableError.
        """
        self._unfollow()
        loop = asyncio.get_running_loop()
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.setblocking(False)
        try:
            await loop.sock_connect(link, str(path))
        except OSError as error:
            link.close()
            raise UnavailableError(f"the shim does not answer at {path}: {error.strerror}") from error
        self._link = link
        self._coming = Spares()
        self._settled = loop.create_future()
        loop.add_reader(link.fileno(), self._readable)
        try:
            await asyncio.wait_for(self._settled, DEADLINE_S)
        except TimeoutError as error:
            raise UnavailableError("the shim does not tell what it holds") from error

    def hand_over(self, link: socket.socket) -> None:
        """Send everything to a new shim and close ``link``; blocks while the shim does not read."""
        with link, contextlib.suppress(ConnectionError):  # a shim that ended at once is seen by its starter
            for key, fds in dict(self._held.held).items():
                send_spares(link, key, fds)

    def close(self) -> None:
        """Hold nothing."""
        self._unfollow()
        self._held.close()

    def _readable(self) -> None:
        if self._link is None:
            return
        try:
            while self._coming.receive(self._link):
                if self._coming.complete and self._coming is not self._held:
                    self._held.close()
                    self._held = self._coming
                    self._settle(None)
        except BlockingIOError:
            return
        self._unfollow()

    def _unfollow(self) -> None:
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link.fileno())
            self._link.close()
            self._link = None
        if self._coming is not self._held:
            self._coming.close()
        self._settle(UnavailableError("the shim was killed before it had told what it holds"))

    def _settle(self, error: UnavailableError | None) -> None:
        if self._settled is None or self._settled.done():
            return
        if error is None:
            self._settled.set_result(None)
        else:
            self._settled.set_exception(error)
