"""In-memory remote logs: what was asked, in order, and the stage of each container."""

from collections.abc import Collection, Mapping
from pathlib import Path

from tidegate.engine.logging.remote import RemoteLog, Undelivered


class FakeRemoteLogs:
    """Fits ``engine.logging.remote.RemoteLogs``."""

    def __init__(self) -> None:
        self.stages: dict[str, str] = {}

    async def begin(self, remote: RemoteLog, path: Path) -> None:
        self.stages[remote.container_id] = "running"

    async def end(self, container_id: str) -> None:
        self._move(container_id, "ended")

    async def remove(self, container_id: str) -> None:
        self._move(container_id, "removed")

    async def recover(self, known: Collection[str]) -> None:
        for container_id in set(self.stages) - set(known):
            self._move(container_id, "removed")

    def undelivered(self) -> Mapping[str, Undelivered]:
        return {each: Undelivered(0, 0) for each, stage in self.stages.items() if stage != "removed"}

    def _move(self, container_id: str, stage: str) -> None:
        if self.stages.get(container_id) not in (None, "removed"):
            self.stages[container_id] = stage
