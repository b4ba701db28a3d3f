"""The gate as processes: opened as root, then keeping nothing of it.

``tidegate up`` binds the sockets of all workers and forks these. A worker opens its audit; then groups, gid and uid are
given up, ``no_new_privs`` is set and a seccomp filter installed. Only then it learns from the registrar what to decide
on, TLS material included, and accepts connections. What is behind the gate is reached by the dialer.
"""

import asyncio
import ctypes
import importlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from tidegate.access.files.policy_files import RULES_SUFFIX
from tidegate.base.allocator import keep_giving_back
from tidegate.base.errors import InternalError, InvalidParameterError, UnavailableError
from tidegate.base.logs import TEXT, configure_log, set_level
from tidegate.base.parent_death import end_with_parent
from tidegate.base.reload_link import Commit, ReloadingChild
from tidegate.base.syscall_filter import install_filter
from tidegate.base.tracing.settings import TracingSettings
from tidegate.gate.audit.start import Audit, AuditSettings, start_audit
from tidegate.gate.audit.trail import Trail
from tidegate.gate.behind.authz_plugins import AuthzPlugins
from tidegate.gate.behind.dialer import Dialer
from tidegate.gate.behind.registrar_client import RegistrarClient
from tidegate.gate.behind.usage import QuotaLocks
from tidegate.gate.doors import Door, ScopedSocket
from tidegate.gate.enrolment import EnrolmentDoor
from tidegate.gate.live import Live
from tidegate.gate.permits import Permits
from tidegate.gate.pipeline import Behind, Gate
from tidegate.gate.presences import Presences
from tidegate.gate.rates import Rates
from tidegate.gate.request_log import RequestLog, to_standard_error
from tidegate.gate.standings import Standings
from tidegate.http.client import UnixClient
from tidegate.http.listeners import bind_tcp, bind_unix
from tidegate.http.server import Server
from tidegate.http.tls import TLSListener
from tidegate.http.tls_context import TLSProfile
from tidegate.pki.snapshot import Snapshot
from tidegate.spec.catalogue import OPERATIONS
from tidegate.spec.documents import body_of

if TYPE_CHECKING:
    from tidegate.gate.figures.worker import WorkerFigures
    from tidegate.gate.tracing import WorkerTracing

PR_SET_NO_NEW_PRIVS = 38
ENGINE = "engine"
REGISTRAR = "registrar"
PLUGIN = "plugin "
"""The dialer's names for what is behind the gate; a plugin's own name follows."""
FIGURES = "figures"
COLLECTOR = "collector"
METRICS = Door("metrics")
EXPIRY_LOOK_S = 5.0


class Listener(msgspec.Struct, frozen=True):
    """A TCP address; an empty one is every interface."""

    address: str
    port: int
    tls: bool


class GateProcessSettings(msgspec.Struct, frozen=True):
    """``owner`` is (uid, gid); ``plugins`` are authorization plugins by name. Workers end with ``parent_pid``.

    ``metrics`` is where the first worker serves figures; ``own_engine``: the engine behind has some to add.
    """

    parent_pid: int
    listeners: tuple[Listener, ...]
    scoped_sockets: tuple[ScopedSocket, ...]
    audit: AuditSettings
    owner: tuple[int, int] = (65534, 65534)
    log_level: str = "info"
    log_format: str = TEXT
    workers: int = 1
    default_role: str = ""
    tls_profile: TLSProfile = TLSProfile.MODERN
    plugins: tuple[str, ...] = ()
    metrics: Listener | None = None
    own_engine: bool = True
    tracing: TracingSettings | None = None


_log = logging.getLogger("tidegate.gate")


def give_up_root(uid: int, gid: int) -> None:
    """Become ``uid`` for good. Raises InternalError when the kernel refuses."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise InternalError("prctl(PR_SET_NO_NEW_PRIVS) failed")


class GateReload(msgspec.Struct, frozen=True):
    """What a worker can change while it runs."""

    log_level: str
    plugins: tuple[str, ...]


class Entrance(msgspec.Struct, frozen=True):
    """A bound socket, and the door it is."""

    sock: socket.socket
    door: Door


class FiguresPlace(msgspec.Struct, frozen=True):
    """The board of figures, and the worker's number on it, from 1 on."""

    fd: int
    number: int


class WorkerResources(msgspec.Struct, frozen=True):
    """What a worker is given besides its settings: ``link`` leads to the dialer.

    ``quota_fd``, ``rates_fd`` (of clients), ``turns_fd`` (of strangers) and what is behind ``figures`` are shared by
    all workers. ``syscalls`` is the program of a worker's seccomp filter; what it shall change comes on ``reloads``.
    """

    entrances: list[Entrance]
    link: socket.socket
    quota_fd: int
    rates_fd: int
    turns_fd: int
    figures: FiguresPlace | None
    syscalls: bytes
    reloads: socket.socket


def open_entrances(settings: GateProcessSettings) -> list[list[Entrance]]:
    """What each worker shall listen on: TCP sockets of its own that share their ports, unix sockets that all accept on.

    Raises ConflictError for a port or socket that is taken, InvalidParameterError for one that cannot be had.
    """
    rows: list[list[Entrance]] = [[] for _ in range(settings.workers)]
    for each in settings.listeners:
        door = Door("tls" if each.tls else "plaintext", secured=each.tls)
        for row, sock in zip(rows, bind_tcp(each.address, each.port, settings.workers), strict=True):
            row.append(Entrance(sock, door))
    for scoped in settings.scoped_sockets:
        shared = Entrance(bind_unix(scoped.path, scoped.mode, scoped.group_id), scoped.door)
        for row in rows:
            row.append(shared)
    if settings.metrics is not None:
        where = settings.metrics
        rows[0].append(Entrance(bind_tcp(where.address, where.port)[0], METRICS))
    return rows


def run_gate(settings: GateProcessSettings, resources: WorkerResources) -> None:
    """One worker: open the audit, give up root, learn what to decide on, serve.

    Raises InvalidParameterError when the first snapshot cannot be used, UnavailableError without one, and as
    ``start_audit`` does.
    """
    configure_log("gate", settings.log_level, settings.log_format)
    load_for_later(settings.audit.data_root)
    audit = start_audit(settings.audit)
    if settings.tracing is not None:
        importlib.import_module("tidegate.gate.tracing")
    if resources.figures is not None:
        importlib.import_module("tidegate.gate.figures.worker")
    give_up_root(*settings.owner)
    end_with_parent(settings.parent_pid)
    install_filter(resources.syscalls)
    uvloop.run(_serve(settings, resources, audit))


def load_for_later(data_root: Path) -> None:
    """Have in memory what is read late: nobody may not be able to read where we are installed."""
    for operation in OPERATIONS:
        body_of(operation.operation_id)
    if any((data_root / "access").glob(f"*{RULES_SUFFIX}")):
        importlib.import_module("cedarpy")


def check_scoped_roles(doors: Iterable[Door], roles: Collection[str]) -> None:
    """Raises InvalidParameterError for a socket whose role does not exist."""
    for door in doors:
        if door.role is not None and door.role not in roles:
            raise InvalidParameterError(
                f"gate-socket: {door.name}: there is no role {door.role!r}; roles are {', '.join(sorted(roles))}"
            )


async def _serve(settings: GateProcessSettings, resources: WorkerResources, audit: Audit) -> None:
    """Until SIGTERM or SIGINT, or until the registrar is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    dialer = Dialer(resources.link)
    registrar = await RegistrarClient.over(await dialer.connect(REGISTRAR))
    standings = Standings(registrar.check_ocsp)
    live = Live(Presences(), settings.default_role, standings=standings, profile=settings.tls_profile)
    snapshots = registrar.snapshots()
    live.adopt(await first_snapshot(snapshots))
    check_scoped_roles((entrance.door for entrance in resources.entrances), live.policy.roles)
    engine = UnixClient(partial(dialer.connect, ENGINE))
    plugins = AuthzPlugins(_plugin_clients(dialer, settings.plugins))
    log = RequestLog(_log_writer(), settings.log_format)
    enrolment = EnrolmentDoor(registrar, Rates(resources.turns_fd))
    behind = Behind(engine, Permits(engine, QuotaLocks(resources.quota_fd)), plugins, enrolment)
    figures = _figures(settings, resources.figures, dialer, live, audit)
    tracing = _tracing(settings, dialer)
    trail = Trail(
        audit.log,
        log,
        tally=None if figures is None else figures.tally,
        traces=None if tracing is None else tracing.traces,
    )
    servers = await _listen(resources.entrances, Gate(behind, live, trail, Rates(resources.rates_fd)), live, figures)
    next_file = partial(dialer.open, audit.settings.next_file)
    tasks = [
        asyncio.create_task(follow(snapshots, live), name="gate-follow"),
        asyncio.create_task(keep_giving_back(), name="gate-memory"),
        asyncio.create_task(cut_expired(live), name="gate-cut-expired"),
        asyncio.create_task(standings.keep(live.cut_refused), name="gate-standings"),
        asyncio.create_task(audit.log.keep(registrar.sign_checkpoint, next_file), name="gate-audit"),
    ]
    if figures is not None:
        tasks.append(asyncio.create_task(figures.keep_shown(), name="gate-figures"))
    if tracing is not None:
        tasks.append(asyncio.create_task(tracing.exporter.run(), name="gate-traces"))
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    reloading = ReloadingChild(resources.reloads, partial(_prepare_reload, dialer, plugins, log))
    reloading.listen()
    await stop.wait()
    reloading.close()
    live.presences.stop()
    await asyncio.gather(*(server.close() for server in servers))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await audit.log.close(registrar.sign_checkpoint)
    if tracing is not None:
        await tracing.exporter.close()
    await asyncio.gather(plugins.close(), engine.close(), registrar.close())
    dialer.close()
    log.flush()


def _plugin_clients(dialer: Dialer, names: Iterable[str]) -> list[tuple[str, UnixClient]]:
    return [(name, UnixClient(partial(dialer.connect, f"{PLUGIN}{name}"))) for name in names]


def _log_writer() -> Callable[[bytes], object] | None:
    return to_standard_error if _log.isEnabledFor(logging.INFO) else None


def _prepare_reload(dialer: Dialer, plugins: AuthzPlugins, log: RequestLog, document: bytes) -> Commit:
    """Raises InvalidParameterError for what cannot be read."""
    try:
        wanted = msgspec.json.decode(document, type=GateReload)
    except msgspec.DecodeError as error:
        raise InvalidParameterError(f"settings that cannot be read: {error}") from error
    clients = _plugin_clients(dialer, wanted.plugins)

    def commit() -> None:
        set_level(wanted.log_level)
        log.write_to(_log_writer())
        plugins.replace(clients)

    return commit


def _figures(
    settings: GateProcessSettings, place: FiguresPlace | None, dialer: Dialer, live: Live, audit: Audit
) -> "WorkerFigures | None":
    if place is None:
        return None
    from tidegate.gate.figures.worker import Sources, WorkerFigures

    sources = Sources(
        connections=lambda: len(live.presences),
        cut=lambda: live.cuts,
        audit_position=lambda: audit.log.head.seq,
        snapshot=lambda: live.snapshot,
        engine=UnixClient(partial(dialer.connect, FIGURES)) if settings.own_engine else None,
    )
    return WorkerFigures(place.fd, place.number, settings.workers, sources)


def _tracing(settings: GateProcessSettings, dialer: Dialer) -> "WorkerTracing | None":
    if settings.tracing is None:
        return None
    from tidegate.gate.tracing import WorkerTracing

    return WorkerTracing(settings.tracing, partial(dialer.connect, COLLECTOR))


async def _listen(entrances: list[Entrance], gate: Gate, live: Live, figures: "WorkerFigures | None") -> list[Server]:
    def failed(peer: object, reason: str) -> None:
        fields = {"address": ":".join(map(str, peer[:2])) if isinstance(peer, tuple) else "", "reason": reason}
        _log.warning("TLS handshake with %s failed: %s", peer, reason, extra={"fields": fields})
        if figures is not None:
            figures.note_failed_handshake()

    tls = TLSListener(live.context, on_failure=failed, on_success=None if figures is None else figures.note_handshake)
    servers = []
    for entrance in entrances:
        if entrance.door is METRICS and figures is not None:
            servers.append(figures.server())
        else:
            servers.append(Server(partial(gate.handle, entrance.door)))
        await servers[-1].listen(entrance.sock, tls if entrance.door.secured else None)
    return servers


async def first_snapshot(snapshots: AsyncIterator[Snapshot]) -> Snapshot:
    """Raises UnavailableError when the registrar ends before it has sent one."""
    async for snapshot in snapshots:
        return snapshot
    raise UnavailableError("the registrar sent nothing to decide on")


async def follow(snapshots: AsyncIterator[Snapshot], live: Live) -> None:
    """Decide on each new snapshot as it comes; ends with the registrar."""
    async for snapshot in snapshots:
        live.apply(snapshot)
    _log.error("the registrar is gone, and with it what to decide on")


async def cut_expired(live: Live) -> None:
    """A certificate that expires ends the streams opened with it."""
    while True:
        await asyncio.sleep(EXPIRY_LOOK_S)
        live.cut_refused()
