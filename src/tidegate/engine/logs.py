"""Container logs: which file, and until when a follower follows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tidegate.engine.containers import ContainerService
from tidegate.engine.ports import LogRequest, ReadLog, Render
from tidegate.model.phases import ALIVE, Phase


class LogService:
    """``path_of`` answers where the runtime writes a container's log."""

    def __init__(self, containers: ContainerService, path_of: Callable[[str], Path], read: ReadLog) -> None:
        self._containers = containers
        self._path_of = path_of
        self._read = read

    async def read(self, name_or_id: str, request: LogRequest, render: Render) -> AsyncIterator[bytes]:
        """Rendered records; with ``follow`` until the container exits. Raises NotFoundError at the first step."""
        container = self._containers.resolve(name_or_id)
        finished = asyncio.Event()
        exit_state = None
        if request.follow and container.state.phase in ALIVE | {Phase.RESTARTING}:
            exit_state = self._containers.wait(container.id, "next-exit")
            exit_state.add_done_callback(lambda _: finished.set())
        else:
            finished.set()
        try:
            async for batch in self._read(self._path_of(container.id), request, render, finished):
                yield batch
        finally:
            if exit_state is not None:
                exit_state.cancel()
