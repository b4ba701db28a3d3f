"""Spare copies of descriptors, which other processes hold so that no pipe or terminal closes with the worker.

They travel on SOCK_SEQPACKET sockets, a message a process: ``{"key", "names"}`` with the descriptors attached replaces
what was held for that key, without names it ends it; ``{"complete": true}`` says that everything has been told once.

The keeper holds copies, and so does the engine: any one of the three may be the last alive. The worker's side is in
``holders``.
"""

import json
import os
import socket
from collections.abc import Mapping

MESSAGE_LIMIT_BYTES = 4096
DESCRIPTORS_LIMIT = 32


class Spares:
    """What is held for others: descriptors by process key and name (``streams.held_fds``, and ``pidfd``)."""

    def __init__(self, held: dict[str, dict[str, int]] | None = None) -> None:
        self.held = {} if held is None else held
        self.complete = False

    def receive(self, link: socket.socket) -> bool:
        """Take one message; false when the sender is gone. Raises BlockingIOError when there is none yet."""
        try:
            data, fds, _, _ = socket.recv_fds(link, MESSAGE_LIMIT_BYTES, DESCRIPTORS_LIMIT)
        except ConnectionError:
            return False
        if not data:
            return False
        for fd in fds:
            os.set_inheritable(fd, False)
        message = json.loads(data)
        if message.get("complete"):
            self.complete = True
            return True
        self._close(message["key"])
        if fds:
            self.held[message["key"]] = dict(zip(message["names"], fds, strict=True))
        return True

    def fds(self) -> set[int]:
        """Every descriptor held."""
        return {fd for named in self.held.values() for fd in named.values()}

    def close(self) -> None:
        """Let go of everything."""
        for key in list(self.held):
            self._close(key)

    def _close(self, key: str) -> None:
        for fd in self.held.pop(key, {}).values():
            os.close(fd)


def send_spares(link: socket.socket, key: str, fds: Mapping[str, int]) -> None:
    """Tell what is to be held for ``key``. Raises OSError, BlockingIOError where ``link`` does not block."""
    socket.send_fds(link, [json.dumps({"key": key, "names": list(fds)}).encode()], list(fds.values()))


def send_complete(link: socket.socket) -> None:
    """Tell that everything was told. Raises as ``send_spares``."""
    link.send(b'{"complete": true}')
