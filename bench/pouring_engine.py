"""An engine that is only its streams: what a gate costs a bulk stream shows when nothing behind it costs anything.

It answers the execs ``pour`` (stdout of ``BULK_BYTES``) and ``drain`` (stdin read to its end) as dockerd's take-over
does, and ``GET /images/pour/get`` and ``POST /images/load`` in chunks.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BULK_BYTES = 512 * 1024 * 1024
_PIECE = bytes(256 * 1024)
_TAKEN_OVER = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"
_DONE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@contextmanager
def pouring_engine(path: Path) -> Iterator[Path]:
    """The engine at a new socket, one thread a connection, while the context lasts."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        threading.Thread(target=_accept, args=(listener,), name="pouring-engine", daemon=True).start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # shut down
            return
        threading.Thread(target=_serve, args=(connection,), name="pouring-connection", daemon=True).start()


def _serve(connection: socket.socket) -> None:
    with connection:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                return
            head += more
        target = head.split()[1].decode().partition("?")[0]
        try:
            _answer(connection, target)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client has what it wanted


def _answer(connection: socket.socket, target: str) -> None:
    pieces = BULK_BYTES // len(_PIECE)
    if target.endswith("/exec/pour/start"):
        connection.sendall(_TAKEN_OVER)
        for _ in range(pieces):
            connection.sendall(_PIECE)
    elif target.endswith("/exec/drain/start"):
        connection.sendall(_TAKEN_OVER)
        _drain(connection, b"")
    elif target.endswith("/images/pour/get"):
        connection.sendall(_CHUNKED)
        chunk = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE)
        for _ in range(pieces):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
    else:
        _drain(connection, b"\r\n0\r\n\r\n")
        connection.sendall(_DONE)


def _drain(connection: socket.socket, until: bytes) -> None:
    """Read away up to the end of the stream, or up to the bytes ``until``."""
    room, tail = memoryview(bytearray(1024 * 1024)), b""
    while size := connection.recv_into(room):
        tail = (tail + bytes(room[max(0, size - len(until)) : size]))[-len(until) :]
        if until and tail == until:
            return
