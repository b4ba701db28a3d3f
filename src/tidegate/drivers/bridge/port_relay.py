"""The relay process (``tidegate.relay``) as the bridge uses it: started for the first port it has to serve.

- The sockets are bound here, so that a taken port is found before anything starts, and carried over; both sides hold
  them, so that neither's death closes a port.
- A relay outlives the engine. ``adopt`` takes its sockets back and closes what no running container has.
- ``PortRelay`` blocks and is used by one thread at a time; ``RelayWatch`` is the loop's.
"""

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tidegate
from tidegate.base.errors import InternalError
from tidegate.drivers.bridge.ports import HostPorts, is_ipv6
from tidegate.engine.ports import PortPublication
from tidegate.relay import protocol

_log = logging.getLogger(__name__)

START_DEADLINE_S = 10.0
ANSWER_TIMEOUT_S = 10.0
_PAUSE_S = 0.005
_BOOTSTRAP = """\
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("tidegate.relay", run_name="__main__")
"""
Served = Mapping[PortPublication, str]
"""Publications, with the address of the container."""


class PortRelay:
    """``root`` is a directory of the relay's own."""

    def __init__(self, root: Path, ports: HostPorts) -> None:
        self._root, self._ports = root, ports
        self._served: dict[PortPublication, str] = {}
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_needed(self) -> bool:
        """Whether a relay has to run."""
        return bool(self._served)

    def publish(self, address: str, ports: Iterable[PortPublication]) -> None:
        """Serve those of the ports that are the relay's. Raises InternalError."""
        for port in filter(is_ipv6, ports):
            self._served[port] = address
            self._open(port, address)

    def withdraw(self, ports: Iterable[PortPublication]) -> None:
        """Serve them no more; a port that is not served, and a relay that is gone, are success."""
        for port in filter(is_ipv6, ports):
            if self._served.pop(port, None) is not None:
                with contextlib.suppress(OSError):
                    self._ask({"op": "close", "key": key_of(port)})
        if not self._served:
            self._let_go()

    def adopt(self, wanted: Served) -> None:
        """At boot: serve exactly these, with the sockets of the relay that is there, if there is one."""
        self._served = dict(wanted)
        by_key = {key_of(port): port for port in wanted}
        for message, sock in self._listed():
            port = by_key.pop(str(message["key"]), None)
            if port is None:
                sock.close()
                with contextlib.suppress(OSError):
                    self._ask({"op": "close", "key": message["key"]})
            else:
                self._ports.adopt(port, sock)
                if message["address"] != wanted[port]:
                    self._open(port, wanted[port])
        for port in by_key.values():
            self._ports.adopt(port)
            self._open(port, wanted[port])
        if not self._served:
            self._let_go()

    def revive(self) -> None:
        """After the relay's end: start one anew and have it serve what was served. Raises InternalError."""
        self._let_go()
        for port, address in self._served.items():
            self._open(port, address)

    def close(self) -> None:
        """Let go of the relay, which lives on."""
        self._let_go()

    def _open(self, port: PortPublication, address: str) -> None:
        sock = self._ports.socket_of(port)
        if sock is None:
            raise InternalError(f"the port {key_of(port)} is served by somebody else")
        message = {"op": "open", "key": key_of(port), "protocol": port.protocol, "address": address}
        try:
            if self._control is None:
                self._start()
            self._ask({**message, "port": port.container_port}, sock)
        except OSError as error:
            raise InternalError(f"the relay of the port {key_of(port)} does not answer: {error}") from error

    def _ask(self, message: Mapping[str, Any], carried: socket.socket | None = None) -> None:
        if self._control is None:
            raise ConnectionRefusedError("no relay runs")
        protocol.send(self._control, message, carried)
        received = protocol.receive(self._control)
        if received is None:
            raise ConnectionResetError("it ended")
        if "error" in received[0]:
            raise OSError(received[0]["error"])

    def _listed(self) -> Sequence[tuple[Mapping[str, Any], socket.socket]]:
        found = []
        with contextlib.suppress(OSError):
            self._connect()
            if self._control is not None:
                protocol.send(self._control, {"op": "list"})
                while (received := protocol.receive(self._control)) is not None and received[1] is not None:
                    found.append((received[0], received[1]))
        return found

    def _start(self) -> None:
        """Connect to the relay, after starting it where none answers. Raises OSError."""
        deadline_s = time.monotonic() + START_DEADLINE_S
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            try:
                self._connect()
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline_s:
                    raise
            if self._process is None or self._process.poll() is not None:
                source = Path(tidegate.__file__).resolve().parents[1]
                command = [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, str(source), "--root", str(self._root)]
                self._process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)  # noqa: S603
            time.sleep(_PAUSE_S)

    def _connect(self) -> None:
        self._control = connected(self._root)

    def _let_go(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None and not self._served:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ANSWER_TIMEOUT_S)  # it ends with its last port; else it stayed as a zombie


class RelayWatch:
    """Has ``revive`` run when the relay ends."""

    def __init__(self, root: Path, revive: Callable[[], Coroutine[None, None, None]]) -> None:
        self._root, self._revive = root, revive
        self._connection: socket.socket | None = None
        self._reviving: asyncio.Task[None] | None = None

    def begin(self, is_needed: bool) -> None:
        """Watch, if there is something to watch and nobody does yet."""
        if not is_needed or self._connection is not None:
            return
        try:
            self._connection = connected(self._root)
        except OSError as error:
            _log.warning("the relay of ports on IPv6 addresses does not answer: %s", error)
            return
        asyncio.get_running_loop().add_reader(self._connection, self._ended)

    def close(self) -> None:
        """Watch no more."""
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection)
            self._connection.close()
            self._connection = None
        if self._reviving is not None:
            self._reviving.cancel()

    def _ended(self) -> None:
        reviving, self._reviving = self._reviving, None
        self.close()
        if reviving is None or reviving.done():
            self._reviving = asyncio.get_running_loop().create_task(self._revive(), name="relay-revive")


def connected(root: Path) -> socket.socket:
    """A connection to the relay there. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(ANSWER_TIMEOUT_S)
    try:
        connection.connect(str(root / "control.sock"))
    except OSError:
        connection.close()
        raise
    return connection


def key_of(port: PortPublication) -> str:
    """As the relay calls it."""
    return f"{port.protocol} [{port.host_ip}]:{port.host_port}"
