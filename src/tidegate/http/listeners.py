"""Listening sockets, bound before a process gives up what it needs to bind them."""

import os
import socket
from pathlib import Path

from tidegate.base.errors import ConflictError, InvalidParameterError


def bind_tcp(address: str, port: int) -> socket.socket:
    """A socket on ``address`` (a name or literal; empty: every interface). Raises OSError."""
    family, kind, _, _, where = socket.getaddrinfo(
        address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind)
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
