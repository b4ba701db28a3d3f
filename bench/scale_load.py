"""Many connections at once: listeners to events, and streams of statistics. One alone is in ``gate_load``."""

import selectors
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from bench.gate_load import Asking, awaited, exchange
from bench.load_client import HEAD_END, Door, UnexpectedResponseError, request_for

_RECEIVED_BYTES = 1 << 18
_LATE_S = 30.0


def opened(door: Door, target: str) -> socket.socket:
    """A connection whose answer has begun; what follows its head is still to be read."""
    sock = door.connect(door.context())
    sock.sendall(request_for(target))
    received = b""
    while HEAD_END not in received:
        more = sock.recv(1)  # no byte of what follows is taken along
        if not more:
            raise UnexpectedResponseError(f"the connection was closed before an answer to {target}")
        received += more
    return sock


def delays_to_listeners(door: Door, cause: Asking, mark: bytes, listeners: int, count: int) -> list[float]:
    """Seconds from each ``cause`` until every listener has read a line with ``mark``; one cause after another.

    Raises UnexpectedResponseError when one of them does not come.
    """
    listening = [opened(door, "/events") for _ in range(listeners)]
    delays = []
    with selectors.DefaultSelector() as selector, door.connect(door.context()) as asking:
        for sock in listening:
            selector.register(sock, selectors.EVENT_READ)
        for _ in range(count):
            begin = time.perf_counter()
            exchange(asking, cause)
            _await_all(selector, set(listening), mark)
            delays.append(time.perf_counter() - begin)
    for sock in listening:
        sock.close()
    return delays


def _await_all(selector: selectors.BaseSelector, missing: set[socket.socket], mark: bytes) -> None:
    deadline = time.perf_counter() + _LATE_S
    while missing:
        for key, _ in selector.select(_LATE_S):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            if mark in sock.recv(_RECEIVED_BYTES):
                missing.discard(sock)
        if time.perf_counter() > deadline:
            raise UnexpectedResponseError(f"{len(missing)} listeners did not hear of an event")


def answers_at_once(door: Door, targets: Sequence[str]) -> float:
    """Seconds until all are answered, each on a connection of its own. Raises UnexpectedResponseError."""
    asked = [(door.connect(door.context()), Asking("GET", target)) for target in targets]
    begin = time.perf_counter()
    for sock, asking in asked:
        sock.sendall(asking.encoded())
    for sock, asking in asked:
        awaited(sock, asking)
    took = time.perf_counter() - begin
    for sock, _ in asked:
        sock.close()
    return took


class StatsStreams:
    """A stream of statistics for each container, read and thrown away."""

    def __init__(self, door: Door, container_ids: Sequence[str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._socks = [door.connect(door.context()) for _ in container_ids]
        for sock, container_id in zip(self._socks, container_ids, strict=True):
            sock.sendall(request_for(f"/containers/{container_id}/stats?stream=1"))
            self._selector.register(sock, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name="stats-streams")

    def __enter__(self) -> "StatsStreams":
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._reader.join()
        for sock in self._socks:
            sock.close()
        self._selector.close()

    def drain(self, seconds: float) -> None:
        """Let them flow for a while."""
        time.sleep(seconds)

    def _read(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.5):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.recv(_RECEIVED_BYTES)
