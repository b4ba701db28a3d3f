"""Who holds spares of a worker's descriptors, as the worker sees them: the keeper, and who connects to ``spares.sock``.

A worker never waits for a holder: what cannot be sent now is told later, as it stands then.
"""

import socket
import sys
from collections.abc import Callable, Iterable, Mapping

from tidegate.shim.loop import READ, WRITE, Loop
from tidegate.shim.process import Process
from tidegate.shim.spares import MESSAGE_LIMIT_BYTES, send_complete, send_spares

Processes = Mapping[str, Process]


class KeeperGoneError(Exception):
    """The keeper was killed; raised through the loop, for ``Worker.serve``."""


class Holders:
    """All of them. ``on_note`` is called when the keeper says something."""

    def __init__(self, loop: Loop, listener: socket.socket, processes: Processes, on_note: Callable[[], None]) -> None:
        self._loop = loop
        self._listener = listener
        self._processes = processes
        self._on_note = on_note
        self._links: set[SpareLink] = set()
        self._keeper: SpareLink | None = None
        loop.watch(listener.fileno(), READ, self._accept)

    def follow_keeper(self, link: socket.socket, holding: Iterable[str]) -> None:
        """Tell a keeper, from the beginning; ``holding`` are the keys it holds something for."""
        self._keeper = SpareLink(self._loop, link, self._processes, self._on_note, self._keeper_ended)
        self._begin(self._keeper, holding)

    def require_keeper(self) -> None:
        """Raises KeeperGoneError where there is none."""
        if self._keeper is None:
            raise KeeperGoneError

    def tell(self, key: str) -> None:
        """The descriptors of ``key`` are others than before."""
        for link in tuple(self._links):
            link.tell(key)

    def _accept(self, ready: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the holder gave up meanwhile
        self._begin(SpareLink(self._loop, connection, self._processes, lambda: None, self._ended))

    def _begin(self, link: "SpareLink", holding: Iterable[str] = ()) -> None:
        self._links.add(link)
        link.tell_all(holding)

    def _ended(self, link: "SpareLink") -> None:
        self._links.discard(link)
        link.close()

    def _keeper_ended(self, link: "SpareLink") -> None:
        self._ended(link)
        self._keeper = None
        raise KeeperGoneError


class SpareLink:
    """The worker's end of one holder. ``processes`` are the worker's own, as they are now.

    ``on_note`` is called when the holder says something, ``on_end`` when it is gone.
    """

    def __init__(
        self,
        loop: Loop,
        link: socket.socket,
        processes: Processes,
        on_note: Callable[[], None],
        on_end: Callable[["SpareLink"], None],
    ) -> None:
        self._loop = loop
        self._socket = link
        self._processes = processes
        self._on_note = on_note
        self._on_end = on_end
        self._fd = link.fileno()
        self._behind: dict[str, None] = {}
        self._told: set[str] = set()
        self._completes = False
        link.setblocking(False)
        self._watch()

    def tell(self, key: str) -> None:
        """The descriptors of ``key`` are others than before."""
        self._behind[key] = None
        self._flush()

    def tell_all(self, holding: Iterable[str]) -> None:
        """Begin with everything there is, and with what the holder should not hold any more."""
        self._told.update(holding)
        self._behind.update(dict.fromkeys([*self._told, *self._processes]))
        self._completes = True
        self._flush()

    def close(self) -> None:
        self._loop.forget(self._fd)
        self._socket.close()

    def _watch(self) -> None:
        self._loop.watch(self._fd, READ | (WRITE if self._behind or self._completes else 0), self._ready)

    def _ready(self, ready: int) -> None:
        if ready & WRITE:
            self._flush()
        if ready & READ:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(MESSAGE_LIMIT_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._on_note()
        else:
            self._on_end(self)

    def _flush(self) -> None:
        try:
            while self._behind:
                self._send(next(iter(self._behind)))
            if self._completes:
                send_complete(self._socket)
                self._completes = False
        except BlockingIOError:
            pass  # the loop calls again when there is room
        except ConnectionError:
            self._behind.clear()  # its end is read next
            self._completes = False
        self._watch()

    def _send(self, key: str) -> None:
        process = self._processes.get(key)
        fds = {} if process is None else process.held_fds()
        if fds or key in self._told:
            try:
                send_spares(self._socket, key, fds)
            except (BlockingIOError, ConnectionError):
                raise
            except OSError as error:
                sys.stderr.write(f"tidegate shim: spares of {key}: {error}\n")
        self._behind.pop(key, None)
        if fds:
            self._told.add(key)
        else:
            self._told.discard(key)
