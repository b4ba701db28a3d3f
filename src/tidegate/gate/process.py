"""The gate as a process: binds as root, then keeps nothing of it.

Run as ``python -m tidegate.gate.process`` by ``tidegate up``. The listener and the TLS material are opened first; then
groups, gid and uid are given up and ``no_new_privs`` is set, before the first connection is accepted.
"""

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import socket
import ssl
from functools import partial
from pathlib import Path

import uvloop

from tidegate.base.errors import InternalError
from tidegate.base.log_levels import LOG_LEVELS
from tidegate.base.parent_death import end_with_parent
from tidegate.gate.pipeline import Gate
from tidegate.http.client import UnixClient
from tidegate.http.server import Server
from tidegate.http.tls import TLSListener, server_context

PR_SET_NO_NEW_PRIVS = 38
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


async def serve(sockets: list[tuple[socket.socket, TLSListener | None]], engine: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = UnixClient(engine)
    server = Server(Gate(client).handle)
    for sock, tls in sockets:
        await server.listen(sock, tls)
    await stop.wait()
    await server.close()
    await client.close()


def _same(context: ssl.SSLContext) -> ssl.SSLContext:
    return context


def main() -> None:
    """Parse, open, give up root, serve."""
    parser = argparse.ArgumentParser(prog="tidegate-gate")
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--listen", action="append", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--plaintext", action="append", default=[], metavar="ADDRESS:PORT")
    for name in ("ca", "cert", "key"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--parent-pid", type=int, required=True)
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--log-level", choices=tuple(LOG_LEVELS), default="info")
    args = parser.parse_args()
    logging.basicConfig(level=LOG_LEVELS[args.log_level], format="%(asctime)s gate %(message)s")

    def failed(peer: object, reason: str) -> None:
        _log.warning("TLS handshake with %s failed: %s", peer, reason)

    sockets: list[tuple[socket.socket, TLSListener | None]] = []
    for place in args.listen:
        address, _, port = place.rpartition(":")
        tls = None
        if place not in args.plaintext:
            tls = TLSListener(partial(_same, server_context(args.ca, args.cert, args.key)), on_failure=failed)
        sockets.append((bind_tcp(address, int(port)), tls))
    give_up_root(args.uid, args.gid)
    end_with_parent(args.parent_pid)
    uvloop.run(serve(sockets, args.engine))


if __name__ == "__main__":
    main()
