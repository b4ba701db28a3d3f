"""One attached connection: output of a process to a client, input of a client to the process, each with its limit.

- A client that left is learnt of by sending to it. What it had typed before is still read, to the last byte.
"""

import socket
from typing import Protocol

from tidegate.shim.loop import READ, WRITE, Loop

CHUNK_SIZE_BYTES = 64 * 1024
BACKLOG_LIMIT_BYTES = 1024 * 1024


class ServedStreams(Protocol):
    """What a client tells the streams of its process (``streams``)."""

    clients: "set[AttachClient]"

    @property
    def stdin_is_full(self) -> bool: ...
    def feed(self, data: bytes) -> None: ...
    def client_input_ended(self) -> None: ...
    def update(self) -> None: ...


class AttachClient:
    """One attached connection. ``takes`` are the output streams it wants, ``gives`` whether it feeds stdin."""

    def __init__(
        self, loop: Loop, sock: socket.socket, streams: ServedStreams, takes: set[str], *, gives: bool
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._fd = sock.fileno()
        self._streams = streams
        self.takes = takes
        self._gives = gives
        self._reading = True
        self._ending = False
        self._left = False
        self.closed = False
        self.backlog = bytearray()
        self.update()

    def send(self, data: bytes) -> None:
        """Queue output; what the socket takes now is sent at once."""
        if self.closed or self._left:
            return
        self.backlog += data
        self._flush()

    def end(self) -> None:
        """Close as soon as the backlog is sent."""
        self._ending = True
        self._flush()

    def update(self) -> None:
        """Watch for what is wanted now; called again when the process's stdin has room."""
        if self.closed:
            return
        readable = self._reading and not (self._gives and self._streams.stdin_is_full)
        self._loop.watch(self._fd, (READ if readable else 0) | (WRITE if self.backlog else 0), self._ready)

    def _ready(self, ready: int) -> None:
        if ready & WRITE:
            self._flush()
        if ready & READ and not self.closed:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(CHUNK_SIZE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._close()
            return
        if not data:
            self._reading = False
            self._input_ended()
            if self._left:
                self._close()
        elif self._gives:
            self._streams.feed(data)
        self.update()

    def _flush(self) -> None:
        try:
            while self.backlog:
                del self.backlog[: self._socket.send(self.backlog)]
        except BlockingIOError:
            pass  # the loop calls again when there is room
        except OSError:
            self._note_left()
            return
        if self._ending and not self.backlog:
            self._close()
            return
        self.update()
        self._streams.update()

    def _note_left(self) -> None:
        self._left = True
        self.backlog.clear()
        if self._ending or not (self._gives and self._reading):
            self._close()
            return
        self.update()
        self._streams.update()

    def _input_ended(self) -> None:
        if self._gives:
            self._gives = False
            self._streams.client_input_ended()

    def _close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.backlog.clear()
        self._loop.forget(self._fd)
        self._socket.close()
        self._streams.clients.discard(self)
        self._input_ended()
        self._streams.update()
