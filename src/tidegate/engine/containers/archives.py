"""Files of containers in and out (``docker cp``, ``docker export``): which tree is looked at, what is told of it.

- A running container's files are what its processes see, tmpfs included; those of one at rest are its root filesystem
  with its volumes and binds.
- The root filesystem of a container at rest stays mounted until the last byte is through, even when it is started.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from tidegate.base.errors import ConflictError, ForbiddenError, InvalidParameterError, NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.file_ports import (
    BindMount,
    ContainerFiles,
    HoldRootfs,
    PathStat,
    RestingTree,
    RunningTree,
    Tree,
    WriteRequest,
)
from tidegate.engine.isolation.user_namespaces import IdMapping
from tidegate.model.container import Container
from tidegate.model.phases import Phase
from tidegate.spec.stored import stored_request

_WITH_PROCESSES = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})
_WITHOUT_FILES = frozenset({Phase.CREATING, Phase.REMOVING, Phase.DEAD})
HoldVolumes = Callable[[Container], AbstractAsyncContextManager[None]]
HoldMounts = Callable[[Container], AbstractAsyncContextManager[Sequence[BindMount]]]


class ArchiveService(msgspec.Struct, frozen=True):
    """``hold_volumes`` has a container's volumes mounted, ``hold_mounts`` answers what it sees besides its rootfs."""

    containers: ContainerService
    files: ContainerFiles
    hold: HoldRootfs
    hold_volumes: HoldVolumes
    hold_mounts: HoldMounts
    mapping_of: Callable[[Container], IdMapping | None]

    async def stat(self, name_or_id: str, path: str) -> PathStat:
        """Raises NotFoundError for container or path, what ``ContainerFiles`` raises."""
        container = self._find(name_or_id, path)
        async with self._tree(container) as tree:
            with _worded(container, path):
                return await self.files.stat(tree, path)

    async def read(self, name_or_id: str, path: str, *, gzip: bool) -> tuple[PathStat, AsyncIterator[bytes]]:
        """A file or directory as a tar stream; raises before its first byte, as ``stat`` does."""
        container = self._find(name_or_id, path)
        stack = contextlib.AsyncExitStack()
        try:
            tree = await stack.enter_async_context(self._tree(container))
            with _worded(container, path):
                found, archive = await self.files.read(tree, path, gzip=gzip)
        except BaseException:
            await stack.aclose()
            raise
        self.containers.publish(container.id, "archive-path", {"path": path})
        return found, _until_read(archive, stack)

    async def write(
        self, name_or_id: str, path: str, archive: AsyncIterator[bytes], *, keep_kinds: bool, own: bool
    ) -> None:
        """A tar stream into a directory; ``own`` gives what is written to the container's user.

        Raises as ``stat`` does, ForbiddenError for a read-only place, InvalidParameterError for a bad archive.
        """
        container = self._find(name_or_id, path)
        user = stored_request(container.document).user if own else ""
        async with self._tree(container) as tree:
            with _worded(container, path):
                await self.files.write(tree, WriteRequest(path, keep_kinds, user), archive)
        self.containers.publish(container.id, "extract-to-dir", {"path": path})

    async def export(self, name_or_id: str) -> AsyncIterator[bytes]:
        """The root filesystem as a tar stream, without what is mounted on it."""
        container = self._resting(self.containers.resolve(name_or_id))
        stack = contextlib.AsyncExitStack()
        try:
            ids = self.mapping_of(container)
            rootfs = await stack.enter_async_context(self.hold(container.id, mapped=ids is not None))
            archive = await self.files.export(RestingTree(rootfs, ids=ids))
        except BaseException:
            await stack.aclose()
            raise
        self.containers.publish(container.id, "export", {})
        return _until_read(archive, stack)

    def _find(self, name_or_id: str, path: str) -> Container:
        container = self.containers.resolve(name_or_id)
        if not path:
            raise InvalidParameterError("missing path: the query parameter 'path' names a file or directory")
        if "\0" in path:
            raise InvalidParameterError("invalid path: it contains a NUL")
        return self._resting(container)

    def _resting(self, container: Container) -> Container:
        if container.state.phase in _WITHOUT_FILES:
            raise ConflictError(f"container {container.id} is {container.state.phase.value}: it has no files")
        return container

    @contextlib.asynccontextmanager
    async def _tree(self, container: Container) -> AsyncIterator[Tree]:
        if container.state.phase in _WITH_PROCESSES:
            yield RunningTree(container.id, container.state.pid)
            return
        ids = self.mapping_of(container)
        async with (
            self.hold(container.id, mapped=ids is not None) as rootfs,
            self.hold_volumes(container),
            self.hold_mounts(container) as binds,
        ):
            read_only = stored_request(container.document).host_config.readonly_rootfs
            yield RestingTree(rootfs, binds, read_only, ids)


@contextlib.contextmanager
def _worded(container: Container, path: str) -> Iterator[None]:
    """Docker's words for what clients show."""
    try:
        yield
    except NotFoundError as error:
        raise NotFoundError(f"Could not find the file {path} in container {container.id}") from error
    except ForbiddenError as error:
        place = "mounted volume" if not stored_request(container.document).host_config.readonly_rootfs else "rootfs"
        raise ForbiddenError(f"container {place} is marked read-only: {path}") from error


async def _until_read(archive: AsyncIterator[bytes], stack: contextlib.AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        try:
            async for chunk in archive:
                yield chunk
        finally:
            close = getattr(archive, "aclose", None)
            if close is not None:
                await close()
