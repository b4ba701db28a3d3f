"""The engine as a process: serves the Docker API on unix sockets. Run as ``python -m tidegate.daemon.process``.

A socket file that nobody listens on is taken over; one that another process serves is an error.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
from pathlib import Path

import uvloop

from tidegate.api.pipeline import Api
from tidegate.base.errors import ConflictError
from tidegate.daemon.mount_namespace import enter_mount_namespace
from tidegate.daemon.wiring import Engine, EngineSettings
from tidegate.drivers.registry import RegistryConfig
from tidegate.http.server import Server

SOCKET_MODE = 0o660


def bind_unix(path: Path, mode: int, owner: tuple[int, int] | None = None) -> socket.socket:
    """A socket at ``path`` with its mode set before anyone can connect. Raises ConflictError when it is served."""
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        path.unlink(missing_ok=True)
    else:
        raise ConflictError(f"another process already serves {path}")
    finally:
        probe.close()
    sock = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
    finally:
        os.umask(mask)
    if owner is not None:
        os.chown(path, *owner)
    return sock


async def serve(sockets: list[socket.socket], settings: EngineSettings) -> None:
    """Recover, then serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = Engine(settings)
    await engine.start()
    server = Server(Api(engine.handlers()).handle)
    for sock in sockets:
        await server.listen(sock)
    await stop.wait()
    await server.close()
    await engine.close()


def main() -> None:
    """Parse, bind, enter the mount namespace, serve."""
    parser = argparse.ArgumentParser(prog="tidegate-engine")
    parser.add_argument("--socket", type=Path, action="append", default=[])
    parser.add_argument("--gate-socket", type=Path, required=True)
    parser.add_argument("--gate-uid", type=int, required=True)
    parser.add_argument("--gate-gid", type=int, required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--exec-root", type=Path, required=True)
    parser.add_argument("--bridge", required=True)
    parser.add_argument("--registry-mirror", action="append", default=[])
    parser.add_argument("--insecure-registry", action="append", default=[])
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s engine %(message)s")
    sockets = [bind_unix(path, SOCKET_MODE) for path in args.socket]
    args.data_root.mkdir(parents=True, exist_ok=True, mode=0o710)
    enter_mount_namespace(args.exec_root / "shim")
    registry = RegistryConfig(tuple(args.registry_mirror), tuple(args.insecure_registry))
    settings = EngineSettings(args.data_root, args.exec_root, args.bridge, registry)
    # Last, since ``tidegate up`` takes it for the sign that the engine can be asked.
    sockets.append(bind_unix(args.gate_socket, 0o600, (args.gate_uid, args.gate_gid)))
    uvloop.run(serve(sockets, settings))


if __name__ == "__main__":
    main()
