"""The gate as processes: opened as root, then keeping nothing of it.

``tidegate up`` binds the sockets of all workers and forks these. A worker reads the TLS material; then groups, gid and
uid are given up and ``no_new_privs`` is set, before the first connection is accepted. What is behind the gate is
reached by the dialer.
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
from tidegate.gate.audit_start import Audit, AuditSettings, start_audit
from tidegate.gate.dialer import Dialer
from tidegate.gate.doors import Door, ScopedSocket
from tidegate.gate.pipeline import Gate
from tidegate.gate.registrar_client import RegistrarClient
from tidegate.gate.request_log import RequestLog, to_standard_error
from tidegate.http.client import UnixClient
from tidegate.http.listeners import bind_tcp, bind_unix
from tidegate.http.server import Server
from tidegate.http.tls import TLSListener
from tidegate.http.tls_context import server_context

PR_SET_NO_NEW_PRIVS = 38
ENGINE = "engine"
REGISTRAR = "registrar"
"""The dialer's names for what is behind the gate."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP address; an empty one is every interface."""

    address: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class GateProcessSettings:
    """``tls_files`` are CA, certificate and key; ``owner`` is (uid, gid). Workers end with ``parent_pid``."""

    parent_pid: int
    listeners: tuple[Listener, ...]
    scoped_sockets: tuple[ScopedSocket, ...]
    tls_files: tuple[Path, Path, Path] | None
    owner: tuple[int, int]
    audit: AuditSettings
    log_level: str = "info"
    workers: int = 1


_log = logging.getLogger("tidegate.gate")


def give_up_root(uid: int, gid: int) -> None:
    """Become ``uid`` for good. Raises InternalError when the kernel refuses."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise InternalError("prctl(PR_SET_NO_NEW_PRIVS) failed")


@dataclass(frozen=True, slots=True)
class Entrance:
    """A bound socket, the door it is, and whether it speaks TLS."""

    sock: socket.socket
    door: Door
    secured: bool = False


def open_entrances(settings: GateProcessSettings) -> list[list[Entrance]]:
    """What each worker shall listen on: TCP sockets of its own that share their ports, unix sockets that all accept on.

    Raises ConflictError for a port or socket that is taken, InvalidParameterError for one that cannot be had.
    """
    rows: list[list[Entrance]] = [[] for _ in range(settings.workers)]
    for each in settings.listeners:
        door = Door("tls" if each.tls else "plaintext")
        for row, sock in zip(rows, bind_tcp(each.address, each.port, settings.workers), strict=True):
            row.append(Entrance(sock, door, each.tls))
    for scoped in settings.scoped_sockets:
        shared = Entrance(bind_unix(scoped.path, scoped.mode, scoped.group_id), scoped.door)
        for row in rows:
            row.append(shared)
    return rows


async def serve(
    entrances: list[Entrance], tls: TLSListener | None, dialer: Dialer, log: RequestLog, audit: Audit
) -> None:
    """Serve until SIGTERM or SIGINT; ``tls`` is owed where an entrance is secured."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = UnixClient(partial(dialer.connect, ENGINE))
    gate = Gate(client, log, audit.log)
    registrar = await RegistrarClient.over(await dialer.connect(REGISTRAR))
    next_file = partial(dialer.open, audit.settings.next_file)
    keeper = asyncio.create_task(audit.log.keep(registrar.sign_checkpoint, next_file), name="audit-keeper")
    servers = []
    for entrance in entrances:
        servers.append(Server(partial(gate.handle, entrance.door)))
        await servers[-1].listen(entrance.sock, tls if entrance.secured else None)
    await stop.wait()
    await asyncio.gather(*(server.close() for server in servers))
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    await audit.log.close(registrar.sign_checkpoint)
    await registrar.close()
    await client.close()
    dialer.close()
    log.flush()


def _same(context: ssl.SSLContext) -> ssl.SSLContext:
    return context


def run_gate(settings: GateProcessSettings, entrances: list[Entrance], link: socket.socket) -> None:
    """One worker: read the TLS files, open the audit, give up root, serve; ``link`` leads to the dialer.

    Raises InvalidParameterError for wrong TLS files, and as ``start_audit`` does.
    """
    logging.basicConfig(level=LOG_LEVELS[settings.log_level], format="%(asctime)s gate %(message)s", force=True)

    def failed(peer: object, reason: str) -> None:
        _log.warning("TLS handshake with %s failed: %s", peer, reason)

    tls = None
    if settings.tls_files is not None:
        tls = TLSListener(partial(_same, server_context(*settings.tls_files)), on_failure=failed)
    audit = start_audit(settings.audit)
    give_up_root(*settings.owner)
    end_with_parent(settings.parent_pid)
    log = RequestLog(to_standard_error if _log.isEnabledFor(logging.INFO) else None)
    uvloop.run(serve(entrances, tls, Dialer(link), log, audit))
