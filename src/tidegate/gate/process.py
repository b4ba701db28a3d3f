"""The gate as a process: binds as root, then keeps nothing of it.

``tidegate up`` forks it. The listeners and the TLS material are opened first; then
groups, gid and uid are given up and ``no_new_privs`` is set, before the first connection is accepted.
"""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from tidegate.base.errors import InternalError
from tidegate.base.log_levels import LOG_LEVELS
from tidegate.base.parent_death import end_with_parent
from tidegate.gate.pipeline import Gate
from tidegate.gate.request_log import RequestLog, to_standard_error
from tidegate.http.client import UnixClient
from tidegate.http.server import Server
from tidegate.http.tls import TLSListener, server_context

PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP address; an empty one is every interface."""

    address: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class GateProcessSettings:
    """``tls_files`` are CA, certificate and key; ``owner`` is (uid, gid). The gate ends with ``parent_pid``."""

    parent_pid: int
    engine_socket: Path
    listeners: tuple[Listener, ...]
    tls_files: tuple[Path, Path, Path] | None
    owner: tuple[int, int]
    log_level: str = "info"


_log = logging.getLogger("tidegate.gate")


def give_up_root(uid: int, gid: int) -> None:
    """Become ``uid`` for good. Raises InternalError when the kernel refuses."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise InternalError("prctl(PR_SET_NO_NEW_PRIVS) failed")


def bind_tcp(address: str, port: int) -> socket.socket:
    """A listening socket; SO_REUSEPORT lets several workers share the port. Raises OSError."""
    family, kind, _, _, where = socket.getaddrinfo(
        address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind(where)
    return sock


async def serve(sockets: list[tuple[socket.socket, TLSListener | None]], engine: Path, log: RequestLog) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = UnixClient(engine)
    server = Server(Gate(client, log).handle)
    for sock, tls in sockets:
        await server.listen(sock, tls)
    await stop.wait()
    await server.close()
    await client.close()
    log.flush()


def _same(context: ssl.SSLContext) -> ssl.SSLContext:
    return context


def run_gate(settings: GateProcessSettings) -> None:
    """Open, give up root, serve. Raises InvalidParameterError for wrong TLS files, OSError for a taken port."""
    logging.basicConfig(level=LOG_LEVELS[settings.log_level], format="%(asctime)s gate %(message)s", force=True)

    def failed(peer: object, reason: str) -> None:
        _log.warning("TLS handshake with %s failed: %s", peer, reason)

    tls = None
    if settings.tls_files is not None:
        tls = TLSListener(partial(_same, server_context(*settings.tls_files)), on_failure=failed)
    sockets = [(bind_tcp(each.address, each.port), tls if each.tls else None) for each in settings.listeners]
    give_up_root(*settings.owner)
    end_with_parent(settings.parent_pid)
    log = RequestLog(to_standard_error if _log.isEnabledFor(logging.INFO) else None)
    uvloop.run(serve(sockets, settings.engine_socket, log))
