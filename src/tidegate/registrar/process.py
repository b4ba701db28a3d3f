"""The registrar as a whole: serves its sockets and follows the files, in the process that has forked the gate.

The sockets are root's alone; what connects for a gate worker is root too. They listen before the workers are forked,
so that these may connect at once and are answered when the registrar serves.
"""

import asyncio
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from tidegate.base.allocator import keep_giving_back
from tidegate.base.logs import TEXT
from tidegate.http.listeners import bind_unix
from tidegate.registrar.desk import RegistrarDesk, ensure_audit_key
from tidegate.registrar.key_process import KeyProcess, Keys
from tidegate.registrar.ocsp_checks import OCSPChecks, OCSPSettings
from tidegate.registrar.publisher import Publisher
from tidegate.registrar.service import RegistrarService
from tidegate.registrar.sources import ForeignChecks, Sources, TLSFiles

SOCKET_MODE = 0o600
BACKLOG = 64


class RegistrarProcessSettings(msgspec.Struct, frozen=True):
    """``tls`` None: no listener has TLS; ``crls`` and ``ocsp`` are for certificates of other CAs than our own.

    When asked to end, the registrar waits ``grace_s`` for the gate workers, whose audits are signed last of all. On
    ``decoy_socket`` nothing is told, and only the decoy's own audit is signed.
    """

    data_root: Path
    socket: Path
    tls: TLSFiles | None
    uids: frozenset[int] = msgspec.field(default_factory=lambda: frozenset({0}))
    log_level: str = "info"
    log_format: str = TEXT
    crls: tuple[Path, ...] = ()
    ocsp: OCSPSettings | None = None
    grace_s: float = 10.0
    decoy_socket: Path | None = None


class RegistrarSockets(msgspec.Struct, frozen=True):
    """Listening: for the gate's workers, and for the decoy if there is one."""

    workers: socket.socket
    decoy: socket.socket | None = None

    def all(self) -> list[socket.socket]:
        return [self.workers] if self.decoy is None else [self.workers, self.decoy]


def prepare_registrar(settings: RegistrarProcessSettings) -> RegistrarSockets:
    """What workers need from the first moment on: a key that audits name, sockets that listen.

    Raises ConflictError when another registrar serves there, InvalidParameterError for a bad key or for a path that is
    no socket, OSError.
    """
    ensure_audit_key(settings.data_root)
    decoy = settings.decoy_socket
    sockets = RegistrarSockets(
        bind_unix(settings.socket, SOCKET_MODE), None if decoy is None else bind_unix(decoy, SOCKET_MODE)
    )
    for each in sockets.all():
        each.listen(BACKLOG)
    return sockets


def check_files(settings: RegistrarProcessSettings) -> None:
    """Read what the registrar is going to publish. Raises InvalidParameterError when it cannot be used, OSError."""
    _sources(settings).read()


def _sources(settings: RegistrarProcessSettings) -> Sources:
    return Sources(settings.data_root, settings.tls, ForeignChecks(settings.crls, settings.ocsp is not None))


async def serve_registrar(
    settings: RegistrarProcessSettings, sockets: RegistrarSockets, stop: asyncio.Event, keys: Keys | None = None
) -> None:
    """Serve until ``stop``, and close ``sockets``; ``keys`` are worked with by a process of their own unless given.

    Raises InvalidParameterError for TLS files that cannot be used, OSError.
    """
    with ExitStack() as stack:
        for each in sockets.all():
            stack.enter_context(each)
        await _serve(settings, sockets, stop, keys)


async def _serve(
    settings: RegistrarProcessSettings, sockets: RegistrarSockets, stop: asyncio.Event, keys: Keys | None
) -> None:
    publisher = Publisher(_sources(settings))
    ocsp = OCSPChecks(settings.ocsp, lambda: publisher.published.ca_pem) if settings.ocsp else None
    keys = keys or KeyProcess(settings.data_root, settings.log_format)
    desk = RegistrarDesk(settings.data_root, keys, publisher.refresh, ocsp)
    service = RegistrarService(desk.calls(), settings.uids)
    await publisher.begin(service.publish)
    following = asyncio.create_task(publisher.follow(), name="registrar-follow")
    following.add_done_callback(lambda _: stop.set())
    servers = [await asyncio.start_unix_server(service.serve, sock=sockets.workers, backlog=BACKLOG)]
    decoy = RegistrarService(desk.calls_of_decoy(), settings.uids)
    if sockets.decoy is not None:
        servers.append(await asyncio.start_unix_server(decoy.serve, sock=sockets.decoy, backlog=BACKLOG))
    shown = settings.tls.certificate if settings.tls else None
    upkeep = asyncio.create_task(desk.keep_up(shown), name="registrar-upkeep")
    memory = asyncio.create_task(keep_giving_back(), name="registrar-memory")
    await stop.wait()
    upkeep.cancel()
    memory.cancel()
    for each in servers:
        each.close()
    await asyncio.gather(service.close(settings.grace_s), decoy.close(settings.grace_s))
    await desk.close()
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
