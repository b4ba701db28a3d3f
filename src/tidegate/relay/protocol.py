"""What engine and relay say to each other: one JSON object a message, on a SOCK_SEQPACKET socket.

- ``{"op": "open", "key", "protocol", "address", "port"}`` with the bound socket to serve, answered by ``{}``;
- ``{"op": "close", "key"}``, answered by ``{}``, whether the key was open or not;
- ``{"op": "list"}``, answered by an ``open`` message for each key, with its socket, and ``{}`` last.

A relay without an open key ends after its answer. An ``error`` in an answer says why nothing was done.
"""

import json
import socket
from collections.abc import Mapping
from typing import Any

MESSAGE_BYTES = 4096


def send(connection: socket.socket, message: Mapping[str, Any], carried: socket.socket | None = None) -> None:
    """Raises OSError."""
    fds = [] if carried is None else [carried.fileno()]
    socket.send_fds(connection, [json.dumps(message).encode()], fds)


def receive(connection: socket.socket) -> tuple[Mapping[str, Any], socket.socket | None] | None:
    """A message with the socket that it carries; None at the end. Raises OSError, and ValueError for what is none."""
    data, fds, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 1)
    carried = socket.socket(fileno=fds[0]) if fds else None
    if not data:
        return None
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError(f"not an object: {data[:100]!r}")
    return message, carried
