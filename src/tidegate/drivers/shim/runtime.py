"""The runtime port on the shim: bundles on disk, operations on the control connection, streams on their own sockets.

- The bundle (``bundles``) is written before anything is made of it; ``release`` removes it last.
- What was asked of a worker that was killed is asked of the next one, which knows its records: a signal may so be sent
  twice. A start cut short has failed.
- Exits are delivered at least once: a new subscription repeats every exit that was not released.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from tidegate.base.errors import NotFoundError, UnavailableError
from tidegate.drivers.oom_watch import OOMWatch
from tidegate.drivers.shim.bundles import Bundles
from tidegate.drivers.shim.connection import ConnectionLostError, ShimConnection, error_from
from tidegate.drivers.shim.process import ShimProcess
from tidegate.drivers.shim.stream import READ_SIZE_BYTES, SocketStream
from tidegate.engine.ports import (
    ContainerProcess,
    ExecProcess,
    Exited,
    LogTarget,
    OutOfMemory,
    ProcessLimits,
    RunningProcess,
    Stdio,
)
from tidegate.kernel.oom_notices import OOMNotice

ATTEMPTS = 5
RETRY_S = 1.0
_log = logging.getLogger(__name__)


class Cgroups(Protocol):
    """The control groups of containers (``kernel.cgroups``); every call is quick and may block."""

    def create(self, container_id: str, resources: Mapping[str, Any]) -> Sequence[Path]:
        """Make them and write the limits; returns the directories the first process joins (none on v2)."""
        ...

    def update(self, container_id: str, resources: Mapping[str, Any]) -> None: ...
    def pids(self, container_id: str) -> Sequence[int]: ...
    def oom_kills(self, container_id: str) -> int: ...
    def watch_oom(self, container_id: str) -> OOMNotice | None: ...
    def freeze(self, container_id: str) -> None: ...
    def thaw(self, container_id: str) -> None: ...
    def is_frozen(self, container_id: str) -> bool: ...
    def remove(self, container_id: str) -> None:
        """Kill what is left and remove the directories; idempotent."""
        ...


def stdio_document(stdio: Stdio) -> dict[str, object]:
    """What the shim reads of a process's streams."""
    return {
        "tty": stdio.tty,
        "open_stdin": stdio.open_stdin,
        "stdin_once": stdio.stdin_once,
        "console_size": list(stdio.console_size) if stdio.console_size else None,
        "owner": list(stdio.owner) if stdio.owner else None,
    }


def log_document(log: LogTarget | None) -> dict[str, object]:
    """What the shim reads of a container's log; empty for one that is not written."""
    if log is None:
        return {}
    return {
        "path": str(log.path),
        "max_size_bytes": log.max_size_bytes,
        "max_files": log.max_files,
        "compress": log.compress,
        "attributes": json.dumps(dict(log.attributes)) if log.attributes else "",
    }


def exited_from(event: Mapping[str, Any]) -> Exited:
    """An ``exited`` event of the shim as the engine's value."""
    return Exited(
        container_id=str(event["container_id"]),
        exec_id=event.get("exec_id"),
        exit_code=int(event["exit_code"]),
        finished_at_ns=int(event["finished_at_ns"]),
        oom_killed=bool(event.get("oom_killed", False)),
    )


class ShimRuntime:
    """Fits ``engine.ports.Runtime``. ``recover`` comes first: it connects, or starts a shim."""

    def __init__(self, exec_root: Path, cgroups: Cgroups, bundles: Bundles) -> None:
        self._shim = ShimProcess(exec_root / "shim")
        self._bundles = bundles
        self._cgroups = cgroups
        self._oom = OOMWatch(cgroups.watch_oom, self._tell_oom)

    async def create(self, process: ContainerProcess) -> None:
        resources: Mapping[str, Any] = process.oci_config.get("linux", {}).get("resources", {})

        def prepare() -> Sequence[Path]:
            self._bundles.write(process.container_id, process.oci_config)
            if process.runtime:  # it makes the control groups itself, where nothing may be left
                self._cgroups.remove(process.container_id)
                return ()
            return self._cgroups.create(process.container_id, resources)

        join = await asyncio.to_thread(prepare)
        await self._call(
            "create",
            container_id=process.container_id,
            bundle=str(self._bundles.path(process.container_id)),
            stdio=stdio_document(process.stdio),
            log=log_document(process.log),
            cgroup_join=[str(path) for path in join],
            runtime=list(process.runtime),
        )

    async def start(self, container_id: str) -> int:
        pid = await self._start("start", container_id, None)
        self._oom.begin(container_id)
        return pid

    async def exec_create(self, process: ExecProcess) -> None:
        await self._call(
            "exec_create",
            container_id=process.container_id,
            exec_id=process.exec_id,
            process=dict(process.oci_process),
            stdio=stdio_document(process.stdio),
        )

    async def exec_start(self, container_id: str, exec_id: str) -> int:
        return await self._start("exec_start", container_id, exec_id)

    async def attach(
        self, container_id: str, exec_id: str | None, *, stdin: bool, stdout: bool, stderr: bool
    ) -> SocketStream:
        request = {
            "op": "attach",
            "container_id": container_id,
            "exec_id": exec_id,
            "stdin": stdin,
            "stdout": stdout,
            "stderr": stderr,
        }
        for _ in range(ATTEMPTS):
            await self._shim.connection()
            reader, writer = await self._open_socket()
            writer.write(json.dumps(request).encode() + b"\n")
            with contextlib.suppress(OSError):
                await writer.drain()
                if line := await reader.readline():
                    answer = json.loads(line)
                    if "error" in answer:
                        writer.close()
                        raise error_from(answer["error"])
                    return SocketStream(reader, writer)
            writer.close()
        raise UnavailableError("the shim closed the connection before it attached")

    async def resize(self, container_id: str, exec_id: str | None, height: int, width: int) -> None:
        await self._call("resize", container_id=container_id, exec_id=exec_id, height=height, width=width)

    async def signal(self, container_id: str, signal: int) -> None:
        await self._call("signal", container_id=container_id, signal=signal)

    async def pause(self, container_id: str) -> None:
        await asyncio.to_thread(self._cgroups.freeze, container_id)

    async def unpause(self, container_id: str) -> None:
        await asyncio.to_thread(self._cgroups.thaw, container_id)

    async def update(self, container_id: str, limits: ProcessLimits) -> None:
        await asyncio.to_thread(self._cgroups.update, container_id, limits.resources)

    async def pids(self, container_id: str) -> Sequence[int]:
        return await asyncio.to_thread(self._cgroups.pids, container_id)

    async def release(self, container_id: str) -> None:
        self._oom.end(container_id)

        def give_back() -> None:
            self._cgroups.remove(container_id)
            self._bundles.remove(container_id)

        await asyncio.to_thread(give_back)
        with contextlib.suppress(NotFoundError):  # released before
            await self._call("release", container_id=container_id)

    async def exec_release(self, container_id: str, exec_id: str) -> None:
        with contextlib.suppress(NotFoundError):
            await self._call("exec_release", container_id=container_id, exec_id=exec_id)

    async def events(self) -> AsyncIterator[Exited | OutOfMemory]:
        while True:
            try:
                connection = await self._shim.connection()
                await connection.call("subscribe")
            except ConnectionLostError:
                continue
            except UnavailableError as error:
                _log.error("no events of containers: %s", error.message)
                await asyncio.sleep(RETRY_S)
                continue
            async for event in self._events_of(connection):
                yield event

    async def _events_of(self, connection: ShimConnection) -> AsyncIterator[Exited | OutOfMemory]:
        while (event := await connection.events.get()) is not None:
            if event["event"] == "exited":
                yield self._with_memory(exited_from(event))
            elif event["event"] == "oom":
                yield OutOfMemory(str(event["container_id"]))

    def _tell_oom(self, container_id: str) -> None:
        """In the order of what the shim tells."""
        self._shim.add_event({"event": "oom", "container_id": container_id})

    def _with_memory(self, exited: Exited) -> Exited:
        """What the container's own group says of the end; it exists until ``release``."""
        if exited.exec_id is not None or exited.oom_killed or not self._cgroups.oom_kills(exited.container_id):
            return exited
        return replace(exited, oom_killed=True)

    async def recover(self) -> Sequence[RunningProcess]:
        """Raises UnavailableError when no shim answers and none can be started."""
        return [self._recovered(entry) for entry in await self._entries()]

    def _recovered(self, entry: Mapping[str, Any]) -> RunningProcess:
        container_id = str(entry["container_id"])
        process = _running_from(entry, self._cgroups.is_frozen(container_id))
        if process.exit is not None:
            return replace(process, exit=self._with_memory(process.exit))
        if process.exec_id is None and entry["status"] == "running":
            self._oom.begin(container_id)
        return process

    async def close(self) -> None:
        """Drop the connection; a shim with containers lives on."""
        self._oom.close()
        await self._shim.close()

    async def _start(self, op: str, container_id: str, exec_id: str | None) -> int:
        for _ in range(ATTEMPTS):
            try:
                connection = await self._shim.connection()
                return int((await connection.call(op, container_id=container_id, exec_id=exec_id))["pid"])
            except ConnectionLostError as lost:
                entry = await self._entry(container_id, exec_id)
                if entry["status"] in ("running", "exited"):  # it did start, and the answer was lost
                    return int(entry["pid"])
                if entry["status"] != "created":
                    raise UnavailableError("the shim was killed during the start; start again") from lost
        raise UnavailableError("the shim is killed again and again")

    async def _entry(self, container_id: str, exec_id: str | None) -> Mapping[str, Any]:
        for entry in await self._entries():
            if (entry["container_id"], entry["exec_id"]) == (container_id, exec_id):
                return entry
        raise NotFoundError(f"no such process: {container_id} {exec_id or ''}")

    async def _entries(self) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = (await self._call("state"))["processes"]
        return entries

    async def _open_socket(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(str(self._shim.socket_path), limit=READ_SIZE_BYTES)
        except OSError as error:
            raise UnavailableError(f"the shim does not answer: {error.strerror}") from error

    async def _call(self, op: str, **arguments: object) -> Mapping[str, Any]:
        """Ask the worker that lives, and the next one when it was killed meanwhile."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(ConnectionLostError):
                return await (await self._shim.connection()).call(op, **arguments)
        return await (await self._shim.connection()).call(op, **arguments)


def _running_from(entry: Mapping[str, Any], paused: bool) -> RunningProcess:
    ended = entry.get("exit")
    return RunningProcess(
        container_id=str(entry["container_id"]),
        exec_id=entry.get("exec_id"),
        pid=int(entry["pid"]),
        started_at_ns=int(entry["started_at_ns"]),
        paused=paused,
        exit=exited_from({**entry, **ended}) if ended else None,
    )
