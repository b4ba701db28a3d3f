"""ContainerFiles in memory: what was asked for is kept, what there is was put there by the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tidegate.base.errors import ForbiddenError, NotFoundError
from tidegate.engine.file_ports import PathStat, Tree, WriteRequest


class FakeFiles:
    """``there`` are the paths that exist; ``calls`` every call with the tree it was for."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.read_only = False
        self.calls: list[tuple[object, ...]] = []
        self.uploads: list[bytes] = []
        self.held: list[str] = []

    @asynccontextmanager
    async def hold(self, container_id: str, *, mapped: bool = False) -> AsyncIterator[Path]:
        self.held.append(container_id)
        try:
            yield Path("/rootfs") / container_id
        finally:
            self.held.remove(container_id)

    async def stat(self, tree: Tree, path: str) -> PathStat:
        self.calls.append(("stat", tree, path))
        if path not in self.there:
            raise NotFoundError("no such file")
        return PathStat(path.rpartition("/")[2], 3, 0o644, 0)

    async def read(self, tree: Tree, path: str, *, gzip: bool) -> tuple[PathStat, AsyncIterator[bytes]]:
        return await self.stat(tree, path), self._archive(b"zip" if gzip else b"tar")

    async def write(self, tree: Tree, request: WriteRequest, archive: AsyncIterator[bytes]) -> None:
        self.calls.append(("write", tree, request))
        if self.read_only:
            raise ForbiddenError("read-only")
        self.uploads.append(b"".join([chunk async for chunk in archive]))

    async def export(self, tree: Tree) -> AsyncIterator[bytes]:
        self.calls.append(("export", tree))
        return self._archive(b"all")

    async def _archive(self, content: bytes) -> AsyncIterator[bytes]:
        yield content
