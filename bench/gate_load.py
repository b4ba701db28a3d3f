"""Load for the gate by raw sockets: single requests one after another, new connections, bulk streams.

Each runs in a forked process of its own, in the network namespace of the doors.
"""

import multiprocessing
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from bench.load_client import HEAD_END, Door, UnexpectedResponseError
from tidegate.kernel.syscalls import CLONE_NEWNET, setns

T = TypeVar("T")
_PIECE = bytes(256 * 1024)
_LAST_CHUNK = b"0\r\n\r\n"
_RECEIVED_BYTES = 256 * 1024


@dataclass(frozen=True)
class Asking:
    """A request that is sent again and again, and the status that is its right answer."""

    method: str
    target: str
    status: int = 200
    body: bytes = b""

    def encoded(self) -> bytes:
        head = f"{self.method} {self.target} HTTP/1.1\r\nHost: docker\r\n"
        if self.body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        return head.encode() + b"\r\n" + self.body


@dataclass(frozen=True)
class Bulk:
    """A stream: what begins it, and whether its bytes go to the engine (``sent_bytes``) or come from it (0)."""

    head: bytes
    sent_bytes: int = 0
    chunked: bool = False


def in_network(netns_path: Path, work: Callable[[], T]) -> T:
    """What ``work`` returns, done in a forked process in that namespace. Raises UnexpectedResponseError."""
    source, sink = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_child, args=(netns_path, work, sink))
    child.start()
    sink.close()
    try:
        result: T = source.recv()
    except EOFError as error:
        raise UnexpectedResponseError("a load process failed; its traceback is above") from error
    finally:
        child.join()
    return result


def _child(netns_path: Path, work: Callable[[], object], sink: Connection) -> None:
    with netns_path.open("rb") as namespace:
        setns(namespace.fileno(), CLONE_NEWNET)
    sink.send(work())


def latencies(doors: list[tuple[Door, Asking]], count: int) -> list[list[float]]:
    """Seconds of each of ``count`` answers, by door; the doors take turns, so that the machine's moods hit all."""
    connections = [door.connect(door.context()) for door, _ in doors]
    samples: list[list[float]] = [[] for _ in doors]
    for number in range(-count // 10, count):
        for connection, (_, asking), taken in zip(connections, doors, samples, strict=True):
            begin = time.perf_counter()
            exchange(connection, asking)
            if number >= 0:  # before that everybody warms up
                taken.append(time.perf_counter() - begin)
    return samples


def answer(door: Door, asking: Asking) -> bytes:
    """The body of one answer."""
    with door.connect(door.context()) as connection:
        return exchange(connection, asking)


def new_connections(door: Door, count: int) -> None:
    """``count`` handshakes, each followed by a ping: with TLS 1.3 the server judges only when it answers."""
    context = door.context()
    for _ in range(count):
        with door.connect(context) as connection:
            exchange(connection, Asking("GET", "/_ping"))


def stream(door: Door, bulk: Bulk) -> tuple[int, float]:
    """Bytes that came or went, and seconds."""
    with door.connect(door.context()) as connection:
        begin = time.perf_counter()
        connection.sendall(bulk.head)
        if bulk.sent_bytes and not bulk.chunked:
            _read_head(connection)
        moved = _pour(connection, bulk) if bulk.sent_bytes else _drain(connection)
        return moved, time.perf_counter() - begin


def _pour(connection: socket.socket, bulk: Bulk) -> int:
    piece = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE) if bulk.chunked else _PIECE
    for _ in range(bulk.sent_bytes // len(_PIECE)):
        connection.sendall(piece)
    if bulk.chunked:
        connection.sendall(_LAST_CHUNK)
        _read_head(connection)
    else:
        connection.unwrap() if isinstance(connection, ssl.SSLSocket) else connection.shutdown(socket.SHUT_WR)
    return bulk.sent_bytes


def _drain(connection: socket.socket) -> int:
    total, room, tail = 0, bytearray(_RECEIVED_BYTES), b""
    while tail != _LAST_CHUNK and (size := connection.recv_into(room)):
        total += size
        tail = (tail + bytes(room[max(0, size - len(_LAST_CHUNK)) : size]))[-len(_LAST_CHUNK) :]
    return total


def _read_head(connection: socket.socket) -> bytes:
    received = b""
    while HEAD_END not in received:
        more = connection.recv(65536)
        if not more:
            raise UnexpectedResponseError("connection closed before an answer")
        received += more
    if received.split()[1] not in {b"101", b"200"}:
        raise UnexpectedResponseError(received[:300].decode(errors="replace"))
    return received


def exchange(connection: socket.socket, asking: Asking) -> bytes:
    """The body of one answer, as it was framed. Raises UnexpectedResponseError."""
    connection.sendall(asking.encoded())
    return awaited(connection, asking)


def awaited(connection: socket.socket, asking: Asking) -> bytes:
    """The body of the answer to what has been sent. Raises UnexpectedResponseError."""
    received = b""
    while not _is_whole(received):
        more = connection.recv(1 << 18)
        if not more:
            raise UnexpectedResponseError(f"connection closed in the answer to {asking.target}")
        received += more
    if int(received.split()[1]) != asking.status:
        raise UnexpectedResponseError(received[:300].decode(errors="replace"))
    return received.partition(HEAD_END)[2]


def unchunked(body: bytes) -> bytes:
    """What chunks carried, where ``body`` begins with the length of one; JSON never does."""
    pieces, rest = [], body
    while rest[:1].isalnum():
        length, _, rest = rest.partition(b"\r\n")
        pieces.append(rest[: int(length, 16)])
        rest = rest[int(length, 16) + 2 :]
    return b"".join(pieces) or body


def _is_whole(received: bytes) -> bool:
    head, separator, body = received.partition(HEAD_END)
    if not separator:
        return False
    for line in head.lower().split(b"\r\n")[1:]:
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
        if line.startswith(b"transfer-encoding:"):
            return body.endswith(b"0" + HEAD_END)
    return True
