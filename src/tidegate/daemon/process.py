"""The engine as a process: serves the Docker API on unix sockets.

``tidegate up`` forks it, ``tidegate engine`` is it.
"""

import argparse
import asyncio
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvloop

from tidegate.api.pipeline import Api
from tidegate.base.allocator import keep_giving_back
from tidegate.base.errors import InvalidParameterError
from tidegate.base.logs import configure_log, set_level
from tidegate.base.parent_death import end_with_parent
from tidegate.base.reload_link import Commit, Prepare, Reloads
from tidegate.base.service_notices import ServiceNotices, host_is_ending
from tidegate.daemon.drivers import linux_drivers
from tidegate.daemon.mount_namespace import enter_mount_namespace
from tidegate.daemon.process_settings import EngineProcessSettings, decode_settings
from tidegate.daemon.watching import Watching
from tidegate.daemon.wiring import Engine
from tidegate.http.listeners import bind_unix
from tidegate.http.server import Server

SOCKET_MODE = 0o660
NO_NOTICES = ServiceNotices()


async def serve(
    sockets: list[socket.socket],
    settings: EngineProcessSettings,
    host_mounts: Path,
    notices: ServiceNotices = NO_NOTICES,
    reloads: Callable[[Prepare], Reloads] | None = None,
) -> None:
    """Recover, then serve until SIGTERM or SIGINT; ``reloads`` is made with what a reload does here."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = Engine(settings, linux_drivers(settings, host_mounts))
    watching = Watching(engine, settings)
    await engine.start()
    servers = [Server(watching.answer(Api(engine.handlers()).handle))]
    for sock in sockets:
        await servers[0].listen(sock)
    servers += await watching.begin()
    reloading = reloads(partial(prepare_reload, engine)) if reloads is not None else None
    if reloading is not None:
        reloading.listen()
    memory = asyncio.create_task(keep_giving_back(), name="engine-memory")
    await notices.tell_until(stop)
    if reloading is not None:
        reloading.close()
    memory.cancel()
    await asyncio.gather(*(each.close() for each in servers))
    await watching.end()
    await engine.close(host_ends=await host_is_ending())


def prepare_reload(engine: Engine, document: bytes) -> Commit:
    """Raises InvalidParameterError for what are no settings."""
    try:
        settings = decode_settings(document.decode())
    except ValueError as error:
        raise InvalidParameterError(f"settings that cannot be read: {error}") from error

    def commit() -> None:
        set_level(settings.log_level)
        engine.reload(settings)

    return commit


def run_engine(
    settings: EngineProcessSettings,
    notices: ServiceNotices = NO_NOTICES,
    reloads: Callable[[Prepare], Reloads] | None = None,
) -> None:
    """Bind, enter the mount namespace, serve. Raises ConflictError for a socket that is served already."""
    configure_log("engine", settings.log_level, settings.log_format)
    if settings.parent_pid is not None:
        end_with_parent(settings.parent_pid)
    sockets = []
    for path in settings.sockets:
        sockets.append(bind_unix(path, SOCKET_MODE, settings.socket_group_id))
    settings.data_root.mkdir(parents=True, exist_ok=True, mode=0o710)
    host_mounts = enter_mount_namespace(settings.exec_root / "shim")
    sockets.append(bind_unix(settings.gate_socket, 0o600))
    uvloop.run(serve(sockets, settings, host_mounts, notices, reloads))


def main() -> None:
    """The engine alone, without a gate: ``python -m tidegate.daemon.process --settings JSON``."""
    parser = argparse.ArgumentParser(prog="tidegate-engine")
    parser.add_argument("--settings", required=True, help="EngineProcessSettings as JSON")
    run_engine(decode_settings(parser.parse_args().settings))


if __name__ == "__main__":
    main()
