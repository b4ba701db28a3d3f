"""The relay's control connections and the ports it serves."""

import asyncio
import socket
import sys
from collections.abc import Mapping
from typing import Any

from tidegate.relay import protocol
from tidegate.relay.datagrams import DatagramPort
from tidegate.relay.streams import StreamPort


class Relay:
    """Serves until the last port is withdrawn."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._ports: dict[str, tuple[Mapping[str, Any], socket.socket, StreamPort | DatagramPort]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def serve(self) -> None:
        """Returns when the last port was withdrawn and its carried connections have ended."""
        loop = asyncio.get_running_loop()
        self._control.setblocking(False)
        loop.add_reader(self._control, self._accept)
        await self._over.wait()
        loop.remove_reader(self._control)

    def _accept(self) -> None:
        connection, _ = self._control.accept()
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._converse(connection), name="relay-control")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, connection: socket.socket) -> None:
        with connection:
            while await _readable(connection):
                try:
                    received = protocol.receive(connection)
                    if received is None:
                        return
                    await self._answer(connection, *received)
                except (OSError, ValueError, KeyError) as error:
                    sys.stderr.write(f"tidegate relay: {error}\n")
                    return

    async def _answer(
        self, connection: socket.socket, message: Mapping[str, Any], carried: socket.socket | None
    ) -> None:
        answer: dict[str, str] = {}
        if message["op"] == "open" and carried is not None:
            try:
                await self._open(message, carried)
            except OSError as error:
                answer = {"error": str(error)}
        elif message["op"] == "close":
            self._close(str(message["key"]))
        elif message["op"] == "list":
            for wanted, sock, _ in self._ports.values():
                protocol.send(connection, wanted, sock)
        else:
            answer = {"error": f"op: {message['op']!r} is not known"}
        protocol.send(connection, answer)
        if not self._ports:
            self._over.set()

    async def _open(self, message: Mapping[str, Any], carried: socket.socket) -> None:
        key, target = str(message["key"]), (str(message["address"]), int(message["port"]))
        self._close(key)
        kind = DatagramPort if message["protocol"] == "udp" else StreamPort
        port = kind(carried.dup(), *target)
        await port.begin()
        self._ports[key] = message, carried, port

    def _close(self, key: str) -> None:
        if key in self._ports:
            _, sock, port = self._ports.pop(key)
            port.close()
            sock.close()


async def _readable(connection: socket.socket) -> bool:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
    return True
