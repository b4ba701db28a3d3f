"""The shim as the engine finds it: connected to, again when its worker was killed, and started where none lives.

- A started shim is in its own session and outlives the engine, unless it holds no process at a clean stop.
- One that was killed with all its processes is started anew with the engine's copies of its descriptors, so that its
  containers keep their streams.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tidegate
from tidegate.base.descriptors import raise_descriptor_limit
from tidegate.base.errors import ConflictError, UnavailableError
from tidegate.drivers.shim.connection import ShimConnection
from tidegate.drivers.shim.spares import SpareHolder

DEADLINE_S = 60.0  # a loaded machine takes its time to start Python
_PAUSE_S = 0.005
_BOOTSTRAP = """\
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("tidegate.shim", run_name="__main__")
"""


class ShimProcess:
    """The shim on ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._spares = SpareHolder()
        self._connection: ShimConnection | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._connecting = asyncio.Lock()
        self._child_descriptors = raise_descriptor_limit()

    @property
    def socket_path(self) -> Path:
        """Where it listens."""
        return self._root / "control.sock"

    async def connection(self) -> ShimConnection:
        """The control connection. Raises UnavailableError when no shim answers and none can be started."""
        async with self._connecting:
            if self._connection is not None and self._connection.lost:
                await self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = await self._connect()
            return self._connection

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Have an event of the engine's own told after those that have come from the shim; without one, it is lost."""
        if self._connection is not None:
            self._connection.events.put_nowait(event)

    async def close(self) -> None:
        """Drop the connection: the shim and its containers live on, and one that holds nothing ends."""
        if self._connection is not None:
            with contextlib.suppress(ConflictError, UnavailableError):
                if not (await self._connection.call("state"))["processes"]:
                    await self._connection.call("shutdown")
            await self._connection.close()
            self._connection = None
        self._spares.close()

    async def _connect(self) -> ShimConnection:
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while True:
            try:
                await self._spares.follow(self._root / "spares.sock")
                return await ShimConnection.open(self.socket_path)
            except UnavailableError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                if self._process is None or self._process.returncode is not None:
                    await self._start()
                await asyncio.sleep(_PAUSE_S)

    async def _start(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        # -I ignores PYTHONPATH and -S leaves site-packages out, so the module's own place is handed over.
        source = Path(tidegate.__file__).resolve().parents[1]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, str(source), "--root", str(self._root)]
        command += ["--spares", str(theirs.fileno()), "--child-descriptors", str(self._child_descriptors)]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *command, start_new_session=True, stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        await asyncio.to_thread(self._spares.hand_over, ours)
