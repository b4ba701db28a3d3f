"""One connection on the control socket: lines in, lines out, until a first line makes it an attached stream."""

import socket
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.base.errors import InternalError, InvalidParameterError, TidegateError
from tidegate.shim.loop import READ, WRITE, Loop
from tidegate.shim.protocol import LINE_LIMIT_BYTES, encode, error_body, parse_request

CHUNK_SIZE_BYTES = 64 * 1024
Handler = Callable[["Connection", dict[str, Any]], None]


class Connection:
    """Hands each request to ``handler``, which answers now or later. ``closed`` tells it in time."""

    def __init__(self, loop: Loop, sock: socket.socket, handler: Handler, on_close: Callable[["Connection"], None]):
        sock.setblocking(False)
        self._loop = loop
        self._socket = sock
        self._fd = sock.fileno()
        self._handler = handler
        self._on_close = on_close
        self._received = bytearray()
        self._unsent = bytearray()
        self.subscribed = False
        self.closed = False
        self._watch()

    def answer(self, request: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        self.send({"id": request.get("id"), "ok": result})

    def refuse(self, request: Mapping[str, Any], error: TidegateError) -> None:
        self.send({"id": request.get("id"), "error": error_body(error)})

    def send(self, message: Mapping[str, object]) -> None:
        """Queue a message; a closed connection ignores it."""
        if not self.closed:
            self._unsent += encode(message)
            self._flush()

    def detach_socket(self) -> tuple[socket.socket, bytes]:
        """Give the socket away (for an attached stream), with the bytes that followed the request."""
        self.closed = True
        self._loop.forget(self._fd)
        self._on_close(self)
        return self._socket, bytes(self._received)

    def _watch(self) -> None:
        self._loop.watch(self._fd, READ | (WRITE if self._unsent else 0), self._ready)

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
            data = b""
        if not data or len(self._received) > LINE_LIMIT_BYTES:
            self._close()
            return
        start = len(self._received)
        self._received += data
        while not self.closed and (end := self._received.find(b"\n", start)) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            start = 0
            self._handle(line)

    def _handle(self, line: bytes) -> None:
        request: dict[str, Any] = {}
        try:
            request = parse_request(line)
            self._handler(self, request)
        except TidegateError as error:
            self.refuse(request, error)
        except OSError as error:
            self.refuse(request, InternalError(f"{request.get('op')}: {error}"))
        except (TypeError, ValueError, KeyError, AttributeError) as error:  # a field of the wrong shape
            self.refuse(request, InvalidParameterError(f"{request.get('op')}: {error!r}"))

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass  # the loop calls again when there is room
        except OSError:
            self._close()
            return
        self._watch()

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.forget(self._fd)
            self._socket.close()
            self._on_close(self)
