"""The forwarder as the engine has it: started for the first container with a remote log, and again when it dies.

Fits ``engine.logging.remote.RemoteLogs``. Who runs is told by the lock: a forwarder that an earlier engine started is
found by it, and watched as one's own.
"""

import asyncio
import fcntl
import logging
import os
import struct
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

import tidegate
from tidegate.base.errors import InternalError
from tidegate.drivers.logs.forwarding.places import Assignment, Places, Stage
from tidegate.drivers.logs.forwarding.spool import read_position
from tidegate.engine.logging.remote import RemoteLog, Undelivered

_log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
RACE_S = 1.0
_BOOTSTRAP = """\
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("tidegate.drivers.logs.forwarding", run_name="__main__")
"""
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2): type, whence, start, length, pid


class LogForwarder:
    """``places`` are on a disk: what is not sent yet lies there."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._assigned: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: int | None = None
        self._pause_s = FIRST_PAUSE_S
        self._assigned_at_s = -RACE_S
        self._revival: asyncio.Task[None] | None = None

    async def begin(self, remote: RemoteLog, path: Path) -> None:
        """See the port; ``path`` is that of ``Places``."""
        if path != self._places.log(remote.container_id):
            raise InternalError(f"{path} is not where the forwarder looks")
        await self._assign(remote.container_id, Assignment(remote, Stage.RUNNING, time.time()))

    async def end(self, container_id: str) -> None:
        await self._move(container_id, Stage.ENDED)

    async def remove(self, container_id: str) -> None:
        await self._move(container_id, Stage.REMOVED)
        self._assigned.discard(container_id)

    def undelivered(self) -> Mapping[str, Undelivered]:
        found = {}
        for container_id in self._assigned:
            position = read_position(self._places.position(container_id))
            found[container_id] = Undelivered(position.dropped, position.gaps)
        return found

    async def recover(self, known: Collection[str]) -> None:
        self._assigned = set(await asyncio.to_thread(self._places.ids))
        for container_id in sorted(self._assigned - set(known)):
            await self.remove(container_id)
        if self._assigned:
            await self._ensure()

    async def close(self) -> None:
        """Let go of the forwarder, which lives on."""
        if self._revival is not None:
            self._revival.cancel()
        self._unwatch()

    async def _move(self, container_id: str, stage: Stage) -> None:
        if container_id not in self._assigned:
            return
        try:
            before = await asyncio.to_thread(self._places.read, container_id)
        except (OSError, msgspec.DecodeError) as error:  # as a loss of power may leave it
            _log.warning("%s: the assignment of its remote log cannot be read: %s", container_id[:12], error)
            if stage is Stage.REMOVED:
                await asyncio.to_thread(self._places.forget, container_id)
            return
        if before is not None and before.stage not in (stage, Stage.REMOVED):
            await self._assign(container_id, Assignment(before.remote, stage, time.time()))

    async def _assign(self, container_id: str, assignment: Assignment) -> None:
        def write() -> None:
            self._places.make()
            self._places.write(container_id, assignment)

        try:
            await asyncio.to_thread(write)
        except OSError as error:
            raise InternalError(f"the log of {container_id} cannot be assigned: {error}") from error
        self._assigned.add(container_id)
        self._assigned_at_s = time.monotonic()
        await self._ensure()

    async def _ensure(self) -> None:
        """Have a forwarder run, and watch it. Raises InternalError."""
        try:
            pid = self._holder()
            if pid is None:
                pid = await asyncio.to_thread(self._start)
        except OSError as error:
            raise InternalError(f"the forwarder of logs does not start: {error}") from error
        self._watch(pid)

    def _holder(self) -> int | None:
        """The pid of the forwarder that runs."""
        try:
            with self._places.lock.open("rb+") as file:
                asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
        except FileNotFoundError:
            return None
        return None if kind == fcntl.F_UNLCK else pid

    def _start(self) -> int:
        if self._process is not None and self._process.poll() is None:
            return self._process.pid  # it has not taken the lock yet, or has just given it back and looks once more
        source = Path(tidegate.__file__).resolve().parents[1]
        command = [sys.executable, "-I", "-c", _BOOTSTRAP, str(source), "--root", str(self._places.root)]
        self._process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)  # noqa: S603
        return self._process.pid

    def _watch(self, pid: int) -> None:
        if self._watched is not None:
            return
        try:
            self._watched = os.pidfd_open(pid)
        except ProcessLookupError:
            self._revive()
            return
        asyncio.get_running_loop().add_reader(self._watched, self._ended)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None

    def _ended(self) -> None:
        """One that was done may have overlooked what was assigned in its last moment."""
        self._unwatch()
        was_done = self._process is not None and self._process.poll() == 0
        if not was_done or time.monotonic() - self._assigned_at_s < RACE_S:
            self._revive()
        else:
            self._pause_s = FIRST_PAUSE_S

    def _revive(self) -> None:
        if self._revival is None or self._revival.done():
            self._revival = asyncio.get_running_loop().create_task(self._start_again(), name="log-forwarder-revival")

    async def _start_again(self) -> None:
        """A forwarder that dies at once is started ever more slowly."""
        while True:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            try:
                await self._ensure()
            except InternalError as error:
                _log.error("%s", error.message)
            else:
                return
