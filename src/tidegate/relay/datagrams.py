"""Datagrams carried both ways: a socket of its own for each sender, so that answers find the way back.

A sender that is silent for ``IDLE_S`` is forgotten; of ``MOST_SENDERS`` the one that was silent longest makes room.
"""

import asyncio
import contextlib
import socket
from typing import Any

IDLE_S = 90.0
SWEEP_S = 30.0
MOST_SENDERS = 4096
_DATAGRAM_BYTES = 65536


class DatagramPort:
    """A bound socket, served."""

    def __init__(self, sock: socket.socket, address: str, port: int) -> None:
        self._sock, self._target = sock, (address, port)
        self._loop = asyncio.get_running_loop()
        self._senders: dict[Any, tuple[socket.socket, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._from_outside)
        self._sweep()

    def close(self) -> None:
        self._loop.remove_reader(self._sock)
        self._sock.close()
        if self._timer is not None:
            self._timer.cancel()
        for sender in list(self._senders):
            self._forget(sender)

    def _from_outside(self) -> None:
        try:
            data, sender = self._sock.recvfrom(_DATAGRAM_BYTES)
            inside = self._socket_of(sender)
        except OSError:  # an error of an earlier answer, or no socket to be had: a datagram may be lost
            return
        with contextlib.suppress(OSError):
            inside.send(data)

    def _from_inside(self, sender: Any, inside: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._sock.sendto(inside.recv(_DATAGRAM_BYTES), sender)

    def _socket_of(self, sender: Any) -> socket.socket:
        inside, _ = self._senders.pop(sender, (None, 0.0))
        if inside is None:
            if len(self._senders) >= MOST_SENDERS:
                self._forget(next(iter(self._senders)))
            inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            inside.setblocking(False)
            inside.connect(self._target)
            self._loop.add_reader(inside, self._from_inside, sender, inside)
        self._senders[sender] = inside, self._loop.time()  # last, so that the order is that of silence
        return inside

    def _forget(self, sender: Any) -> None:
        inside, _ = self._senders.pop(sender)
        self._loop.remove_reader(inside)
        inside.close()

    def _sweep(self) -> None:
        for sender, (_, heard_s) in list(self._senders.items()):
            if self._loop.time() - heard_s > IDLE_S:
                self._forget(sender)
        self._timer = self._loop.call_later(SWEEP_S, self._sweep)
