"""An in-memory Runtime: processes are numbers, and a test says when they exit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.engine.ports import (
    ContainerProcess,
    ExecProcess,
    Exited,
    OutOfMemory,
    ProcessLimits,
    RunningProcess,
)

Key = tuple[str, str | None]


class FakeAttachStream:
    """Keeps what was written; ``chunks`` is what will be read."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.written: list[bytes] = []
        self.stdin_closed = False
        self.closed = False

    async def read(self) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    async def write(self, data: bytes) -> None:
        self.written.append(data)

    async def close_stdin(self) -> None:
        self.stdin_closed = True

    async def close(self) -> None:
        self.closed = True


class FakeRuntime:
    """``calls`` is every call in order. A signal in ``deadly`` ends the container with 128 + it.

    ``output`` is what the next stream will read. ``short_execs`` end as soon as they have begun.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.created: dict[Key, ContainerProcess | ExecProcess] = {}
        self.running: dict[Key, int] = {}
        self.paused: set[str] = set()
        self.recovered: list[RunningProcess] = []
        self.limits: dict[str, ProcessLimits] = {}
        self.streams: list[FakeAttachStream] = []
        self.output: list[bytes] = []
        self.deadly = {9, 15}
        self.short_execs = False
        self.start_error: Exception | None = None
        self.release_error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.release_gate: asyncio.Event | None = None
        self.now_ns = 1_000
        self._pids = count(100)
        self._events: asyncio.Queue[Exited | OutOfMemory] = asyncio.Queue()

    def exit(self, container_id: str, exit_code: int = 0, exec_id: str | None = None) -> None:
        """Let a process end."""
        self.running.pop((container_id, exec_id))
        self._events.put_nowait(Exited(container_id, exec_id, exit_code, self.now_ns))

    def out_of_memory(self, container_id: str) -> None:
        self._events.put_nowait(OutOfMemory(container_id))

    async def create(self, process: ContainerProcess) -> None:
        self.calls.append(("create", process.container_id))
        if (process.container_id, None) in self.created:
            raise ConflictError("exists")
        self.created[process.container_id, None] = process

    async def start(self, container_id: str) -> int:
        self.calls.append(("start", container_id))
        return await self._start((container_id, None))

    async def _start(self, key: Key) -> int:
        if self.gate is not None:
            await self.gate.wait()
        if self.start_error is not None:
            raise self.start_error
        if key not in self.created:
            raise NotFoundError("not created")
        self.running[key] = next(self._pids)
        return self.running[key]

    async def exec_create(self, process: ExecProcess) -> None:
        self.calls.append(("exec_create", process.container_id, process.exec_id))
        self.created[process.container_id, process.exec_id] = process

    async def exec_start(self, container_id: str, exec_id: str) -> int:
        self.calls.append(("exec_start", container_id, exec_id))
        pid = await self._start((container_id, exec_id))
        if self.short_execs:
            self.exit(container_id, 0, exec_id)
        return pid

    async def attach(
        self, container_id: str, exec_id: str | None, *, stdin: bool, stdout: bool, stderr: bool
    ) -> FakeAttachStream:
        self.calls.append(("attach", container_id, exec_id, stdin, stdout, stderr))
        if (container_id, exec_id) not in self.created:
            raise NotFoundError("no streams")
        self.streams.append(FakeAttachStream())
        self.streams[-1].chunks, self.output = self.output, []
        return self.streams[-1]

    async def resize(self, container_id: str, exec_id: str | None, height: int, width: int) -> None:
        self.calls.append(("resize", container_id, exec_id, height, width))

    async def signal(self, container_id: str, signal: int) -> None:
        self.calls.append(("signal", container_id, signal))
        if (container_id, None) not in self.running:
            raise NotFoundError("no such process")
        if signal in self.deadly:
            self.exit(container_id, 128 + signal)

    async def pause(self, container_id: str) -> None:
        self.paused.add(container_id)

    async def unpause(self, container_id: str) -> None:
        self.paused.discard(container_id)

    async def update(self, container_id: str, limits: ProcessLimits) -> None:
        self.limits[container_id] = limits

    async def pids(self, container_id: str) -> Sequence[int]:
        return [pid for (of, _), pid in self.running.items() if of == container_id]

    async def release(self, container_id: str) -> None:
        self.calls.append(("release", container_id))
        if self.release_gate is not None:
            await self.release_gate.wait()
        if self.release_error is not None:
            raise self.release_error
        for key in [key for key in self.created if key[0] == container_id]:
            del self.created[key]
            self.running.pop(key, None)

    async def events(self) -> AsyncIterator[Exited | OutOfMemory]:
        while True:
            yield await self._events.get()

    async def exec_release(self, container_id: str, exec_id: str) -> None:
        self.calls.append(("exec_release", container_id, exec_id))
        self.created.pop((container_id, exec_id), None)
        self.running.pop((container_id, exec_id), None)

    async def recover(self) -> Sequence[RunningProcess]:
        return self.recovered


def not_found_in_path(command: str) -> InvalidParameterError:
    """The error Docker's clients read exit code 127 from."""
    return InvalidParameterError(f'exec: "{command}": executable file not found in $PATH')
