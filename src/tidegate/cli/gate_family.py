"""The registrar, the gate's workers and their dialer, as ``tidegate up`` and ``tidegate gate`` start them.

Workers are forked. The parent, root with nothing else to do, is the registrar; the dialer is a thread of it. Every fork
must have been made before: neither a thread nor an event loop survives one.
"""

import asyncio
import fcntl
import os
import pwd
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.base.logs import configure_log, set_level
from tidegate.base.reload_link import Commit, ReloadedChild
from tidegate.base.service_notices import ServiceNotices
from tidegate.base.tracing.settings import TracingSettings
from tidegate.cli.family import Family, check_apart
from tidegate.cli.reloading import ReloadedProcess
from tidegate.cli.up_settings import FIGURES_SOCKET, decoy_settings, log_level, plugin_names, registrar_settings
from tidegate.daemon.config import DaemonConfig
from tidegate.gate.audit.start import FILE, file_opener
from tidegate.gate.behind.authz_plugins import find_plugin
from tidegate.gate.behind.dialer import Address, serve_dialer
from tidegate.gate.decoy.process import SIGNER, DecoyProcessSettings, run_decoy
from tidegate.gate.process import (
    COLLECTOR,
    ENGINE,
    FIGURES,
    PLUGIN,
    REGISTRAR,
    Entrance,
    FiguresPlace,
    GateProcessSettings,
    GateReload,
    WorkerResources,
    open_entrances,
    run_gate,
)
from tidegate.gate.rates import open_rates
from tidegate.http.listeners import bind_tcp
from tidegate.kernel.seccomp.gate_filters import decoy_filter, worker_filter
from tidegate.registrar.process import (
    RegistrarProcessSettings,
    RegistrarSockets,
    check_files,
    prepare_registrar,
    serve_registrar,
)

GATE_USER = "nobody"
_LOOK_S = 0.02


class StartedGate(msgspec.Struct, frozen=True):
    """``serve`` is the registrar, for this process to serve; ``prepare`` is what this process changes at a reload."""

    serve: Callable[[asyncio.Event], Awaitable[None]]
    processes: list[ReloadedProcess]
    prepare: Callable[[DaemonConfig], Commit]


class PreparedGate(msgspec.Struct, frozen=True):
    """What can fail before anything is started has not: ports are bound, plugins found, certificates made."""

    gate: GateProcessSettings
    registrar: RegistrarProcessSettings
    sockets: RegistrarSockets
    entrances: list[list[Entrance]]
    plugins: dict[str, Path]
    decoy: tuple[DecoyProcessSettings, socket.socket] | None
    collector: Address | None


class Dialling(msgspec.Struct, frozen=True):
    """What a dialer serves: our ends of links, and what may be asked for on them."""

    links: list[socket.socket]
    addresses: dict[str, Address]
    files: Mapping[str, Callable[[], int]]

    def begin(self) -> None:
        """In a thread, until the other ends are closed."""
        arguments = (self.links, self.addresses, self.files)
        threading.Thread(target=serve_dialer, args=arguments, name="dialer", daemon=True).start()


def prepare_gate(family: Family, config: DaemonConfig, gate: GateProcessSettings) -> PreparedGate:
    """Raises ConflictError for a taken port or socket, InvalidParameterError for a setting, OSError."""
    user = pwd.getpwnam(GATE_USER)
    owner = (user.pw_uid, user.pw_gid)
    plugins = {f"{PLUGIN}{name}": find_plugin(name) for name in gate.plugins}
    lock_data_root(config.data_root)
    entrances = open_entrances(gate)
    family.hold(each.sock for row in entrances for each in row)
    settings, decoy = decoy_settings(config, owner), None
    if settings is not None:
        decoy = (settings, bind_tcp(settings.address, settings.port)[0])
        family.hold([decoy[1]])
    registrar = registrar_settings(config, gate, _tls_files)
    check_apart(partial(check_files, registrar))
    sockets = prepare_registrar(registrar)
    family.hold(sockets.all())
    collector = None if gate.tracing is None else find_collector(gate.tracing)
    return PreparedGate(replace(gate, owner=owner), registrar, sockets, entrances, plugins, decoy, collector)


def find_collector(tracing: TracingSettings) -> Address:
    """Where workers are dialled to; its name is looked up once. Raises InvalidParameterError."""
    try:
        found = socket.getaddrinfo(tracing.host, tracing.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidParameterError(f"OTEL_EXPORTER_OTLP_ENDPOINT: {tracing.host}: {error.strerror}") from error
    return found[0][0], found[0][4]


def lock_data_root(data_root: Path) -> None:
    """For the life of this process: two gates would write one audit. Raises ConflictError, OSError."""
    data_root.mkdir(parents=True, exist_ok=True, mode=0o710)
    descriptor = os.open(data_root / ".gate.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConflictError(f"another gate runs on {data_root}: give this one a --data-root of its own") from error


def start_gate(family: Family, prepared: PreparedGate, engine_socket: Path, notices: ServiceNotices) -> StartedGate:
    """Fork decoy and workers, and dial for these until they end. Raises OSError."""
    doors = [each.sock.dup() for row in prepared.entrances for each in row]
    family.hold(doors)
    diallings = []
    if prepared.decoy is not None and prepared.registrar.decoy_socket is not None:
        diallings.append(_fork_decoy(family, *prepared.decoy, prepared.registrar.decoy_socket))
    addresses: dict[str, Address] = {ENGINE: engine_socket, REGISTRAR: prepared.registrar.socket, **prepared.plugins}
    if prepared.collector is not None:
        addresses[COLLECTOR] = prepared.collector
    addresses[FIGURES] = engine_socket.with_name(FIGURES_SOCKET)
    workers, processes = _fork_workers(family, prepared.gate, prepared.entrances, addresses)
    diallings.append(workers)
    links = [link for dialling in diallings for link in dialling.links]
    family.release(keep=[*prepared.sockets.all(), *doors, *links])
    for dialling in diallings:
        dialling.begin()
    configure_log("registrar", prepared.registrar.log_level, prepared.registrar.log_format)
    serve = partial(_serve_registrar, prepared, Readiness(doors, notices))
    return StartedGate(serve, processes, partial(_prepare_reload, addresses))


def _prepare_reload(addresses: dict[str, Address], config: DaemonConfig) -> Commit:
    """Of this process, which is dialer and registrar. Raises InvalidParameterError for a plugin that is not there."""
    plugins = {f"{PLUGIN}{name}": find_plugin(name) for name in plugin_names(config.settings)}

    def commit() -> None:
        set_level(log_level(config.settings))
        addresses.update(plugins)  # former ones stay: workers still ask them what they have begun to ask

    return commit


def _reload_document(config: DaemonConfig) -> bytes:
    """What a worker is told."""
    return msgspec.json.encode(GateReload(log_level(config.settings), plugin_names(config.settings)))


async def _serve_registrar(prepared: PreparedGate, readiness: "Readiness", stop: asyncio.Event) -> None:
    telling = asyncio.create_task(readiness.tell_until(stop), name="gate-readiness")
    try:
        await serve_registrar(prepared.registrar, prepared.sockets, stop)
    finally:
        telling.cancel()


class Readiness:
    """Tells the service manager when every worker listens: a socket tells it to whoever shares it (SO_ACCEPTCONN).

    The shared sockets are closed then, and at the end: while one of them is open its port stays taken.
    """

    def __init__(self, doors: list[socket.socket], notices: ServiceNotices) -> None:
        self._doors, self._notices = doors, notices

    async def tell_until(self, stop: asyncio.Event) -> None:
        """Ready once all listen; until ``stop`` or cancelled."""
        try:
            # Another process makes it listen, of which there is no event here.
            while not all(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for each in self._doors):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
        finally:
            for each in self._doors:
                each.close()
        await self._notices.tell_until(stop)


def _fork_decoy(family: Family, settings: DecoyProcessSettings, sock: socket.socket, signer: Path) -> Dialling:
    """The decoy, whose port is ``sock`` and which reaches ``signer`` alone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    family.hold((ours, theirs))
    settings.root.mkdir(parents=True, exist_ok=True, mode=0o711)
    run = partial(run_decoy, settings, sock, theirs, decoy_filter(settings.audit.kind != FILE))
    family.start("tidegate-decoy", run, keep=[sock, theirs], expendable=True)
    return Dialling([ours], {SIGNER: signer}, {settings.audit.next_file: file_opener(settings.audit)})


def _fork_workers(
    family: Family, settings: GateProcessSettings, entrances: list[list[Entrance]], addresses: dict[str, Address]
) -> tuple[Dialling, list[ReloadedProcess]]:
    """A worker for each row of ``entrances``."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in entrances]
    ours, theirs = zip(*pairs, strict=True)
    family.hold((*ours, *theirs))
    files: dict[str, Callable[[], int]] = {}
    processes: list[ReloadedProcess] = []
    shared = os.memfd_create("tidegate-quotas", os.MFD_CLOEXEC), open_rates(), open_rates()
    board = None if settings.metrics is None else _open_board(settings.workers)
    syscalls = worker_filter(settings.audit.kind != FILE)
    for number, (row, link) in enumerate(zip(entrances, theirs, strict=True), start=1):
        name = "tidegate-gate" if number == 1 else f"tidegate-gate-{number}"
        audit = settings.audit.of_worker(number)
        files[audit.next_file] = file_opener(audit)
        reloads = family.reload_link()
        place = None if board is None else FiguresPlace(board, number)
        resources = WorkerResources(row, link, *shared, place, syscalls, reloads.theirs)
        family.start(
            name,
            partial(run_gate, replace(settings, audit=audit), resources),
            keep=[link, reloads.theirs, *(each.sock for each in row)],
        )
        processes.append(ReloadedProcess(ReloadedChild(name, reloads.ours), _reload_document))
    for fd in shared if board is None else (*shared, board):
        os.close(fd)
    return Dialling(list(ours), addresses, files), processes


def _open_board(workers: int) -> int:
    """Imported here and now: most have no figures."""
    from tidegate.gate.figures.board import open_board

    return open_board(workers)


def _tls_files(config: DaemonConfig) -> tuple[Path, Path, Path]:
    """CA, certificate and key: those that were named, or our own, made now if need be."""
    given = [config.settings.get(name) for name in ("tlscacert", "tlscert", "tlskey")]
    if all(given):
        return Path(str(given[0])), Path(str(given[1])), Path(str(given[2]))
    if any(given):
        raise InvalidParameterError("tlscacert, tlscert and tlskey belong together: give all three, or none")
    # A process of its own: the library for certificates would stay in this one's memory for good.
    command = [sys.executable, "-m", "tidegate", "pki", "--data-root", str(config.data_root), "init"]
    for name in config.settings.get("tls-san", ()):
        command += ["--tls-san", name]
    made = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if made.returncode != 0:
        raise InvalidParameterError(made.stderr.strip() or "the certificates could not be made")
    pki = config.data_root / "pki"
    return pki / "ca.pem", pki / "server/cert.pem", pki / "server/key.pem"
