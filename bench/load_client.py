"""Requests per second and handshakes per second, by raw sockets.

wrk knows neither unix sockets nor client certificates. Each worker is a process with one connection that sends a fixed
request and reads exactly one response; the same client loads both engines, so what it costs itself is in both figures.
"""

import multiprocessing
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

HEAD_END = b"\r\n\r\n"
DEADLINE_S = 30


class UnexpectedResponseError(Exception):
    """The engine answered with something else than 200, or closed the connection."""


@dataclass(frozen=True)
class Door:
    """Where an engine listens: a unix socket, or a port of a network namespace with mutual TLS."""

    unix_path: Path | None = None
    netns_path: Path | None = None
    port: int = 0
    certificates: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """The client's side of mutual TLS; None for a unix socket.

        It does not judge the server, and so costs less beside it; and it sends its own certificate alone, as the docker
        CLI does (with a CA at hand, OpenSSL would send that too).
        """
        if self.certificates is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.certificates / "cert.pem", self.certificates / "key.pem")
        return context

    def connect(self, context: ssl.SSLContext | None) -> socket.socket:
        """A connection; the process must be in the door's network namespace already."""
        if context is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(DEADLINE_S)
            sock.connect(str(self.unix_path))
            return sock
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")


def request_for(path: str) -> bytes:
    """A GET that keeps the connection."""
    return f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode()


def response_is_whole(received: bytes) -> bool:
    """Whether ``received`` is one complete response of status 200. UnexpectedResponseError."""
    head, separator, body = received.partition(HEAD_END)
    if not separator:
        return False
    lines = head.lower().split(b"\r\n")
    if lines[0].split()[1] != b"200":
        raise UnexpectedResponseError(received[:300].decode(errors="replace"))
    for line in lines[1:]:
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
        if line.startswith(b"transfer-encoding:"):
            return body.endswith(b"0" + HEAD_END)
    raise UnexpectedResponseError(f"no framing: {head[:300]!r}")


def exchange(sock: socket.socket, request: bytes) -> bytes:
    """Send and read one response. UnexpectedResponseError, OSError."""
    sock.sendall(request)
    received = sock.recv(262144)
    while not response_is_whole(received):
        more = sock.recv(262144)
        if not more:
            raise UnexpectedResponseError("the connection was closed within a response")
        received += more
    return received


def _requests(door: Door, path: str, seconds: float) -> int:
    request = request_for(path)
    count = 0
    with door.connect(door.context()) as sock:
        exchange(sock, request)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            exchange(sock, request)
            count += 1
    return count


def _handshakes(door: Door, path: str, seconds: float) -> int:
    context = door.context()
    request = request_for(path)
    count = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        with door.connect(context) as sock:
            exchange(sock, request)  # with TLS 1.3 the server has judged the certificate only when it answers
        count += 1
    return count


def _worker(work: Callable[[Door, str, float], int], door: Door, path: str, seconds: float, out: Connection) -> None:
    if door.netns_path is not None:
        from tidegate.kernel.syscalls import CLONE_NEWNET, setns

        with door.netns_path.open("rb") as namespace:
            setns(namespace.fileno(), CLONE_NEWNET)
    out.send(work(door, path, seconds))


def _per_second(
    work: Callable[[Door, str, float], int], door: Door, path: str, seconds: float, connections: int
) -> float:
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in range(connections)]
    workers = [fork.Process(target=_worker, args=(work, door, path, seconds, out)) for _, out in pipes]
    for worker in workers:
        worker.start()
    for _, out in pipes:
        out.close()
    try:
        return sum(source.recv() for source, _ in pipes) / seconds
    except EOFError as error:
        raise UnexpectedResponseError(f"a load worker for {path} failed; its traceback is above") from error
    finally:
        for worker in workers:
            worker.join()


def requests_per_second(door: Door, path: str, seconds: float, connections: int = 4) -> float:
    """Over kept connections. UnexpectedResponseError."""
    return _per_second(_requests, door, path, seconds, connections)


def handshakes_per_second(door: Door, seconds: float, connections: int = 4) -> float:
    """New connections, each with one ``/_ping``. UnexpectedResponseError."""
    return _per_second(_handshakes, door, "/_ping", seconds, connections)
