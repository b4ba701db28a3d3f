"""Container logs: which file, whether it can be read, and until when a follower follows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tidegate.base.errors import NotSupportedError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.ports import LogRequest, ReadLog, Render
from tidegate.model.container import Container
from tidegate.model.phases import ALIVE, Phase


class LogService:
    """``path_of`` answers where a container's log is written; None for one that cannot be read."""

    def __init__(
        self, containers: ContainerService, path_of: Callable[[Container], Path | None], read: ReadLog
    ) -> None:
        self._containers = containers
        self._path_of = path_of
        self._read = read

    def read(self, name_or_id: str, request: LogRequest, render: Render) -> AsyncIterator[bytes]:
        """Rendered records; with ``follow`` until the container exits. Raises NotFoundError, NotSupportedError."""
        container = self._containers.resolve(name_or_id)
        path = self._path_of(container)
        if path is None:
            raise NotSupportedError("configured logging driver does not support reading")
        return self._read_from(path, container, request, render)

    async def _read_from(
        self, path: Path, container: Container, request: LogRequest, render: Render
    ) -> AsyncIterator[bytes]:
        finished = asyncio.Event()
        exit_state = None
        if request.follow and container.state.phase in ALIVE | {Phase.RESTARTING}:
            exit_state = self._containers.wait(container.id, "next-exit")
            exit_state.add_done_callback(lambda _: finished.set())
        else:
            finished.set()
        try:
            async for batch in self._read(path, request, render, finished):
                yield batch
        finally:
            if exit_state is not None:
                exit_state.cancel()
