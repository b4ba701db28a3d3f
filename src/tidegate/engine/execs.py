"""Execs: further processes in a running container.

They live in memory: an exec does not outlive its engine's knowledge of it, as with Docker. An exec's record stays until
newer ones push it out (``KEPT`` ended ones per engine), so that clients can read exit codes.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Protocol

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import ConflictError, NotFoundError, TidegateError
from tidegate.engine.containers.effects import exit_code_of
from tidegate.engine.ports import AttachStream, ExecProcess, Exited, Runtime
from tidegate.model.container import Container
from tidegate.model.phases import Phase

KEPT = 1024
KILLED_EXIT_CODE = 137
_WITH_COMMAND = ("exec_create", "exec_start")
_log = logging.getLogger(__name__)


class ExecPhase(Enum):
    """Where an exec is in its life."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class Exec(msgspec.Struct, frozen=True):
    """One exec; ``exit_code`` is None until it has ended. ``document`` is what the user wrote, raw JSON."""

    id: str
    process: ExecProcess
    document: bytes
    phase: ExecPhase = ExecPhase.CREATED
    pid: int = 0
    exit_code: int | None = None


class Containers(Protocol):
    """What execs need of containers; ``ContainerService`` fits."""

    def resolve(self, name_or_id: str) -> Container: ...
    def on_exec_exit(self, call: Callable[[Exited], None]) -> None: ...
    def publish(self, name_or_id: str, action: str, attributes: Mapping[str, str]) -> None: ...


PlanExec = Callable[[Container, str, bytes], ExecProcess]
"""(container, exec id, document) -> the process; raises InvalidParameterError."""


class UntilExit:
    """An exec's streams whose end is not told before its exit code is known: clients ask for it at once."""

    def __init__(self, stream: AttachStream, exited: asyncio.Event, on_close: Callable[[], None]) -> None:
        self._stream = stream
        self._exited = exited
        self._on_close = on_close

    async def read(self) -> bytes:
        data = await self._stream.read()
        if not data:
            await self._exited.wait()
        return data

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def close_stdin(self) -> None:
        await self._stream.close_stdin()

    async def close(self) -> None:
        await self._stream.close()
        self._on_close()


class ExecService:
    """The use cases."""

    def __init__(self, runtime: Runtime, containers: Containers, plan: PlanExec) -> None:
        self._runtime = runtime
        self._containers = containers
        self._plan = plan
        self._execs: dict[str, Exec] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._attached: set[str] = set()
        self._releases: set[asyncio.Task[None]] = set()
        containers.on_exec_exit(self.exited)

    def create(self, name_or_id: str, document: bytes) -> str:
        """Note what is to run; returns the id. Raises NotFoundError, ConflictError when the container cannot run it."""
        container = self._runnable(name_or_id)
        identity = secrets.token_hex(32)
        self._execs[identity] = Exec(identity, self._plan(container, identity, document), document)
        self._forget_oldest()
        self._publish(self._execs[identity], "exec_create")
        return identity

    def inspect(self, exec_id: str) -> Exec:
        """The exec as it is now. Raises NotFoundError."""
        try:
            return self._execs[exec_id]
        except KeyError as error:
            raise NotFoundError(f"No such exec instance: {exec_id}") from error

    def of_container(self, container_id: str) -> Sequence[str]:
        """Ids of the execs that are running in a container."""
        found = self._execs.values()
        return [e.id for e in found if e.process.container_id == container_id and e.phase is ExecPhase.RUNNING]

    def prepare_start(self, exec_id: str, console_size: tuple[int, int] | None = None) -> Exec:
        """The exec, if it can be started now, with a terminal of (rows, columns) if it has one.

        Raises NotFoundError, ConflictError.
        """
        chosen = self.inspect(exec_id)
        if chosen.phase is not ExecPhase.CREATED:
            raise ConflictError(f"Error: Exec command {exec_id} has already run")
        self._runnable(chosen.process.container_id)
        if console_size is not None:
            stdio = replace(chosen.process.stdio, console_size=console_size)
            chosen = self._execs[exec_id] = replace(chosen, process=replace(chosen.process, stdio=stdio))
        return chosen

    async def start(
        self, exec_id: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True, detach: bool = False
    ) -> AttachStream | None:
        """Run it; returns its streams unless detached.

        Raises ConflictError when it has been started or its container does not run, and what kept it from running.
        """
        chosen = self.prepare_start(exec_id)
        self._execs[exec_id] = replace(chosen, phase=ExecPhase.RUNNING)
        ended = self._ends.setdefault(exec_id, asyncio.Event())
        stream: AttachStream | None = None
        container_id = chosen.process.container_id
        self._publish(chosen, "exec_start")
        try:
            await self._runtime.exec_create(chosen.process)
            if not detach:
                self._attached.add(exec_id)
                stream = await self._runtime.attach(container_id, exec_id, stdin=stdin, stdout=stdout, stderr=stderr)
            pid = await self._runtime.exec_start(container_id, exec_id)
        except TidegateError as error:
            self._execs[exec_id] = replace(chosen, phase=ExecPhase.EXITED, exit_code=_failed_exit_code(error))
            self._ends.pop(exec_id, None)
            self._attached.discard(exec_id)
            if stream is not None:
                await stream.close()
            await self._runtime.exec_release(container_id, exec_id)
            raise
        if self._execs[exec_id].phase is ExecPhase.RUNNING:  # a short one may have ended by now
            self._execs[exec_id] = replace(chosen, phase=ExecPhase.RUNNING, pid=pid)
        if stream is None:
            return None
        return UntilExit(stream, ended, partial(self._closed, exec_id))

    def detached(self, exec_id: str) -> None:
        """A client leaves by its detach keys. Raises NotFoundError."""
        self._publish(self.inspect(exec_id), "exec_detach")

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        """Set the size of its terminal. Raises NotFoundError, ConflictError when it does not run."""
        chosen = self.inspect(exec_id)
        if chosen.phase is not ExecPhase.RUNNING:
            raise ConflictError(f"exec {exec_id} is not running")
        await self._runtime.resize(chosen.process.container_id, exec_id, height, width)

    async def forget(self, exec_id: str) -> None:
        """Drop its record, and kill what runs of it; one that is gone is fine."""
        chosen = self._execs.pop(exec_id, None)
        self._ends.pop(exec_id, None)
        self._attached.discard(exec_id)
        if chosen is None or chosen.phase is ExecPhase.CREATED:
            return
        if chosen.phase is ExecPhase.RUNNING:
            self._publish(chosen, "exec_die", {"exitCode": str(KILLED_EXIT_CODE)})
        await self._logged(self._runtime.exec_release(chosen.process.container_id, exec_id))

    def exited(self, event: Exited) -> None:
        """Note an end; told twice is fine. One that an earlier engine started, or that was forgotten, is let go."""
        chosen = self._execs.get(event.exec_id or "")
        if chosen is None and event.exec_id is not None:
            self._release(event.container_id, event.exec_id)
        if chosen is None or chosen.phase is ExecPhase.EXITED:
            return
        ended = replace(chosen, phase=ExecPhase.EXITED, pid=0, exit_code=event.exit_code)
        self._execs[ended.id] = ended
        if (waiting := self._ends.pop(ended.id, None)) is not None:
            waiting.set()
        self._release_when_done(ended.id)
        self._publish(ended, "exec_die", {"exitCode": str(event.exit_code)})

    def _closed(self, exec_id: str) -> None:
        self._attached.discard(exec_id)
        self._release_when_done(exec_id)

    def _release_when_done(self, exec_id: str) -> None:
        """The supervisor keeps an exec until it has ended and its output was read; then it may forget it."""
        chosen = self._execs.get(exec_id)
        if chosen is None or chosen.phase is not ExecPhase.EXITED or exec_id in self._attached:
            return
        self._release(chosen.process.container_id, exec_id)

    def _release(self, container_id: str, exec_id: str) -> None:
        release = self._runtime.exec_release(container_id, exec_id)
        task = asyncio.create_task(self._logged(release), name=f"exec-release {exec_id[:12]}")
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _logged(self, release: Awaitable[None]) -> None:
        try:
            await release
        except TidegateError as error:
            _log.warning("an exec could not be released: %s", error.message)

    def _runnable(self, name_or_id: str) -> Container:
        container = self._containers.resolve(name_or_id)
        if container.state.phase is Phase.PAUSED:
            raise ConflictError(f"container {container.id} is paused, unpause the container before exec")
        if container.state.phase is Phase.RESTARTING:
            raise ConflictError(f"Container {container.id} is restarting, wait until the container is running")
        if container.state.phase not in (Phase.RUNNING, Phase.STOPPING):
            raise ConflictError(f"container {container.id} is not running")
        return container

    def _publish(self, chosen: Exec, action: str, attributes: Mapping[str, str] | None = None) -> None:
        program, *arguments = chosen.process.oci_process.get("args", ("",))
        # Docker's own spelling, with its space behind a program without arguments.
        shown = f"{action}: {program} {' '.join(arguments)}" if action in _WITH_COMMAND else action
        self._containers.publish(chosen.process.container_id, shown, {"execID": chosen.id, **(attributes or {})})

    def _forget_oldest(self) -> None:
        ended = [e.id for e in self._execs.values() if e.phase is ExecPhase.EXITED]
        for exec_id in ended[: max(0, len(ended) - KEPT)]:
            del self._execs[exec_id]


def _failed_exit_code(error: TidegateError) -> int:
    return exit_code_of(error.message)
