"""The registrar as a process: serves its socket and follows the files. ``tidegate up`` forks it before the gate.

The socket is root's alone; what connects for a gate worker is root too.
"""

import asyncio
import logging
import signal
from contextlib import suppress
from pathlib import Path

import msgspec
import uvloop

from tidegate.base.allocator import keep_giving_back
from tidegate.base.log_levels import LOG_LEVELS
from tidegate.base.parent_death import end_with_parent
from tidegate.http.listeners import bind_unix
from tidegate.registrar.desk import RegistrarDesk
from tidegate.registrar.key_process import KeyProcess, Keys
from tidegate.registrar.ocsp_checks import OCSPChecks, OCSPSettings
from tidegate.registrar.publisher import Publisher
from tidegate.registrar.service import RegistrarService
from tidegate.registrar.sources import ForeignChecks, Sources, TLSFiles

SOCKET_MODE = 0o600


class RegistrarProcessSettings(msgspec.Struct, frozen=True):
    """``tls`` None: no listener has TLS; ``crls`` and ``ocsp`` are for certificates of other CAs than our own.

    The registrar ends with ``parent_pid``. When asked to end it waits ``grace_s`` for the gate workers, whose audits
    are signed last of all. On ``decoy_socket`` nothing is told, and only the decoy's own audit is signed.
    """

    parent_pid: int
    data_root: Path
    socket: Path
    tls: TLSFiles | None
    uids: frozenset[int] = msgspec.field(default_factory=lambda: frozenset({0}))
    log_level: str = "info"
    crls: tuple[Path, ...] = ()
    ocsp: OCSPSettings | None = None
    grace_s: float = 10.0
    decoy_socket: Path | None = None


def run_registrar(settings: RegistrarProcessSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises InvalidParameterError for TLS files that cannot be used, OSError."""
    logging.basicConfig(level=LOG_LEVELS[settings.log_level], format="%(asctime)s registrar %(message)s", force=True)
    end_with_parent(settings.parent_pid)
    uvloop.run(_serve_until_signalled(settings))


async def _serve_until_signalled(settings: RegistrarProcessSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve_registrar(settings, stop)


async def serve_registrar(settings: RegistrarProcessSettings, stop: asyncio.Event, keys: Keys | None = None) -> None:
    """Serve until ``stop``; ``keys`` are worked with by a process of their own unless given. Raises as
    ``run_registrar``.
    """
    checks = ForeignChecks(settings.crls, settings.ocsp is not None)
    publisher = Publisher(Sources(settings.data_root, settings.tls, checks))
    ocsp = OCSPChecks(settings.ocsp, lambda: publisher.published.ca_pem) if settings.ocsp else None
    desk = RegistrarDesk(settings.data_root, keys or KeyProcess(settings.data_root), publisher.refresh, ocsp)
    await desk.prepare()
    service = RegistrarService(desk.calls(), settings.uids)
    await publisher.begin(service.publish)
    following = asyncio.create_task(publisher.follow(), name="registrar-follow")
    following.add_done_callback(lambda _: stop.set())
    server = await asyncio.start_unix_server(service.serve, sock=bind_unix(settings.socket, SOCKET_MODE), backlog=64)
    decoy = RegistrarService(desk.calls_of_decoy(), settings.uids)
    servers = [server]
    if settings.decoy_socket is not None:
        sock = bind_unix(settings.decoy_socket, SOCKET_MODE)
        servers.append(await asyncio.start_unix_server(decoy.serve, sock=sock))
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
