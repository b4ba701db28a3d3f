"""Health checks as they are run: an exec in the container, at most one a container at a time.

When to probe and what a result means is the container's machine (``model/health.py``); here it is only done. A command
that takes too long is killed. An engine that ends kills what it probes; a killed one leaves the probe to its own end.
"""

import asyncio
from typing import Protocol

from tidegate.base.errors import TidegateError
from tidegate.engine.execs import Exec
from tidegate.engine.ports import AttachStream, Clock
from tidegate.model.container import Container
from tidegate.model.health import HealthCheck, ProbeResult
from tidegate.spec.codec import encode
from tidegate.spec.container import ExecCreateRequest
from tidegate.spec.frames import FrameDecoder

MOST_OUTPUT_BYTES = 4096
NOT_RUN = -1


class Execs(Protocol):
    """What probes need of execs; ``ExecService`` fits."""

    def create(self, name_or_id: str, document: bytes) -> str: ...
    async def start(self, exec_id: str) -> AttachStream | None: ...
    def inspect(self, exec_id: str) -> Exec: ...
    async def forget(self, exec_id: str) -> None: ...


class Probed(Protocol):
    """Who is told; ``ContainerService.probed`` fits."""

    def __call__(self, container_id: str, result: ProbeResult) -> None: ...


class Output:
    """The beginning of what a command wrote, and whether there was more."""

    def __init__(self) -> None:
        self._frames = FrameDecoder()
        self._kept = bytearray()
        self._cut = False

    async def read(self, stream: AttachStream) -> None:
        """All of it, to its end."""
        while chunk := await stream.read():
            for frame in self._frames.feed(chunk):
                room = MOST_OUTPUT_BYTES - len(self._kept)
                self._kept += frame.payload[:room]
                self._cut = self._cut or len(frame.payload) > room

    @property
    def text(self) -> str:
        """With Docker's three dots where it was cut."""
        return self._kept.decode("utf-8", "replace") + ("..." if self._cut else "")


class HealthProber:
    """Fits ``engine.effects.Prober``. ``probes`` and ``failures`` are counted since the engine's start."""

    def __init__(self, execs: Execs, probed: Probed, clock: Clock) -> None:
        self._execs, self._probed, self._clock = execs, probed, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.probes = 0
        self.failures = 0

    def begin(self, container: Container) -> None:
        """Run the container's check, unless it is being run."""
        check = container.state.rules.health
        if check is None or container.id in self._tasks:
            return
        name = f"health of {container.id[:12]}"
        self._tasks[container.id] = asyncio.create_task(self._probe(container.id, check), name=name)

    def end(self, container_id: str) -> None:
        """Break off the container's probe, if there is one; nobody is told of it."""
        task = self._tasks.pop(container_id, None)
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Break off every probe."""
        for container_id in tuple(self._tasks):
            self.end(container_id)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _probe(self, container_id: str, check: HealthCheck) -> None:
        started_at_ns = self._clock()
        exit_code, output = await self._run(container_id, check)
        del self._tasks[container_id]
        self.probes += 1
        self.failures += exit_code != 0
        self._probed(container_id, ProbeResult(started_at_ns, self._clock(), exit_code, output))

    async def _run(self, container_id: str, check: HealthCheck) -> tuple[int, str]:
        output = Output()
        document = encode(ExecCreateRequest(cmd=check.command, attach_stdout=True, attach_stderr=True))
        try:
            exec_id = self._execs.create(container_id, document)
        except TidegateError as error:  # it is just being paused, or has just ended
            return NOT_RUN, error.message
        stream: AttachStream | None = None
        try:
            async with asyncio.timeout(check.timeout_ns / 1e9):
                stream = await self._execs.start(exec_id)
                if stream is not None:
                    await output.read(stream)
            exit_code = self._execs.inspect(exec_id).exit_code
        except TimeoutError:
            text = f": {output.text}" if output.text else ""
            return NOT_RUN, f"Health check exceeded timeout ({_seconds(check.timeout_ns)}){text}"
        except TidegateError as error:
            return NOT_RUN, error.message
        finally:
            await self._execs.forget(exec_id)
            if stream is not None:
                await stream.close()
        return (NOT_RUN if exit_code is None else exit_code), output.text


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:g}s"
