"""One attached connection: output of a process to a client, input of a client to the process, each with its limit.

- A client that left is learnt of by sending to it. What it had typed before is still read, to the last byte.
- A client that is ``BACKLOG_LIMIT_BYTES`` behind holds the process back, as with dockerd, so that a slow pipeline loses
  nothing. But one that has then taken nothing for the stall limit is let go: it keeps its backlog, and the error after
  it; the process runs on, and its log lacks nothing (ADR 4).
"""

import socket
import struct
import time
from typing import Protocol

from tidegate.shim.loop import READ, WRITE, Loop
from tidegate.shim.protocol import STREAM_END

CHUNK_SIZE_BYTES = 64 * 1024
BACKLOG_LIMIT_BYTES = 1024 * 1024
STREAM_NUMBERS = {"stdout": 1, "stderr": 2}
_SYSTEM_ERROR = 3
_LET_GO = "this client took no output for {:g} s and was let go; the container runs on, see its log for the rest"


def frame(number: int, data: bytes) -> bytes:
    """In Docker's framing."""
    return struct.pack(">BxxxI", number, len(data)) + data


class ServedStreams(Protocol):
    """What a client tells the streams of its process (``streams``)."""

    clients: "set[AttachClient]"
    tty: bool
    stall_limit_s: float | None

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
        self._taken_at = 0.0
        self._is_timed = False
        self.update()

    @property
    def holds(self) -> bool:
        """Whether the process must wait for this client."""
        return not self._ending and len(self.backlog) > BACKLOG_LIMIT_BYTES

    def send(self, name: str, data: bytes) -> None:
        """Queue output of ``stdout`` or ``stderr`` if the client wants it; what the socket takes is sent at once."""
        if self.closed or self._left or self._ending or name not in self.takes:
            return
        self.backlog += data if self._streams.tty else frame(STREAM_NUMBERS[name], data)
        self._flush()
        if self.holds and not self._is_timed and self._streams.stall_limit_s is not None:
            self._taken_at = time.monotonic()
            self._time_stall(self._streams.stall_limit_s)

    def end(self) -> None:
        """Close as soon as the backlog is sent. Idempotent."""
        if not self._ending:
            self._ending = True
            self.backlog += STREAM_END
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
                if self._is_timed:
                    self._taken_at = time.monotonic()
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

    def _time_stall(self, delay_s: float) -> None:
        self._is_timed = True
        self._loop.later(delay_s, self._look_for_stall)

    def _look_for_stall(self) -> None:
        self._is_timed = False
        limit_s = self._streams.stall_limit_s
        if self.closed or not self.holds or limit_s is None:
            return
        left_s = self._taken_at + limit_s - time.monotonic()
        if left_s > 0:
            self._time_stall(left_s)
            return
        text = _LET_GO.format(limit_s).encode()
        self.backlog += b"\r\n" + text + b"\r\n" if self._streams.tty else frame(_SYSTEM_ERROR, text)
        self.end()

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
