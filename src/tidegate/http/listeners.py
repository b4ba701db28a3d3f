"""Listening sockets, bound before a process gives up what it needs to bind them."""

import errno
import os
import socket
from pathlib import Path
from typing import Any

from tidegate.base.errors import ConflictError, InvalidParameterError


def bind_tcp(address: str, port: int, workers: int = 1) -> list[socket.socket]:
    """A socket for each worker on ``address`` (a name or literal; empty: every interface); port 0 is one port for all.

    The kernel spreads connections over several by SO_REUSEPORT (socket(7)). With it a port that another process of the
    same user listens on would be shared silently, so that the port is tried without it first.

    Raises ConflictError for a taken port, InvalidParameterError for an address that is not this host's.
    """
    try:
        return _bind_tcp(address, port, workers)
    except OSError as error:
        kind = ConflictError if error.errno == errno.EADDRINUSE else InvalidParameterError
        raise kind(f"host: cannot listen on tcp://{address}:{port}: {error.strerror}") from error


def _bind_tcp(address: str, port: int, workers: int) -> list[socket.socket]:
    family, kind, _, _, where = socket.getaddrinfo(
        address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    alone = _bound(socket.socket(family, kind), where)
    if workers == 1:
        return [alone]
    with alone:
        where = alone.getsockname()
    sockets = [socket.socket(family, kind) for _ in range(workers)]
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bound(sock, where)
    return sockets


def _bound(sock: socket.socket, where: Any) -> socket.socket:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind(where)
    return sock


def bind_unix(path: Path, mode: int, group_id: int | None = None) -> socket.socket:
    """A socket at ``path`` with its mode set before anyone can connect; one that nobody listens on is taken over.

    Raises ConflictError when another process serves it, InvalidParameterError for a path that is something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_socket():
        raise InvalidParameterError(f"{path} exists and is no socket")
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
    if group_id is not None:
        os.chown(path, -1, group_id)
    return sock
