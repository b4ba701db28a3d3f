"""Files of containers by confined children, one for each operation; fits ``engine.file_ports.ContainerFiles``.

What a child sends is bounded by its pipe, so that gigabytes pass with flat memory. A caller that stops reading, or is
cancelled, ends the child.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tidegate.base.errors import InternalError, NotFoundError
from tidegate.drivers.files.children import end_child, first_answer, rest_of, start_child
from tidegate.drivers.files.owners import parse_map
from tidegate.engine.file_ports import PathStat, RunningTree, Tree, WriteRequest
from tidegate.engine.isolation.user_namespaces import IdMapping

CHILD = (sys.executable, "-I", "-m", "tidegate.drivers.files.child")
PidsOf = Callable[[str], Awaitable[Sequence[int]]]


class ConfinedFiles(msgspec.Struct, frozen=True):
    """``pids_of`` answers the processes of a container, so that a reused pid is no container's."""

    pids_of: PidsOf
    child: Sequence[str] = CHILD

    async def stat(self, tree: Tree, path: str) -> PathStat:
        """See ``ContainerFiles``."""
        async with self._run(tree, {"operation": "stat", "path": path}) as child:
            return _path_stat(await first_answer(child))

    async def read(self, tree: Tree, path: str, *, gzip: bool) -> tuple[PathStat, AsyncIterator[bytes]]:
        """See ``ContainerFiles``."""
        answer, archive = await self._stream(tree, {"operation": "read", "path": path, "gzip": gzip})
        return _path_stat(answer), archive

    async def export(self, tree: Tree) -> AsyncIterator[bytes]:
        """See ``ContainerFiles``."""
        return (await self._stream(tree, {"operation": "export"}))[1]

    async def write(self, tree: Tree, request: WriteRequest, archive: AsyncIterator[bytes]) -> None:
        """See ``ContainerFiles``."""
        asked = {"path": request.path, "keep_kinds": request.keep_kinds, "user": request.user}
        async with self._run(tree, {"operation": "write", **asked}) as child:
            feeding = asyncio.create_task(_feed(child, archive), name="archive-upload")
            answering = asyncio.create_task(first_answer(child), name="archive-answer")
            try:
                await asyncio.wait({feeding, answering}, return_when=asyncio.FIRST_COMPLETED)
                if feeding.done():
                    feeding.result()  # an upload that was cut short is its own error
                await answering
            finally:
                for task in (feeding, answering):
                    task.cancel()
                await asyncio.gather(feeding, answering, return_exceptions=True)

    async def _stream(self, tree: Tree, request: Mapping[str, Any]) -> tuple[Mapping[str, Any], AsyncIterator[bytes]]:
        stack = contextlib.AsyncExitStack()
        try:
            child = await stack.enter_async_context(self._run(tree, request))
            answer = await first_answer(child)
        except BaseException:
            await stack.aclose()
            raise
        return answer, _chunks(child, stack)

    @contextlib.asynccontextmanager
    async def _run(self, tree: Tree, request: Mapping[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
        """A child that is gone when the context ends. Raises NotFoundError for a container that has just ended."""
        with contextlib.ExitStack() as open_files:
            if isinstance(tree, RunningTree):
                root_fd = await self._open_root(tree)
                open_files.callback(os.close, root_fd)
                where: dict[str, Any] = {"root_fd": root_fd, **_ids_of_process(tree.pid)}
            else:
                binds = [[bind.host_path, bind.container_path, bind.read_only] for bind in tree.binds]
                where = {"rootfs": str(tree.rootfs), "binds": binds, "read_only": tree.read_only}
                where |= _ids_of_mapping(tree.ids)
            passed = [where["root_fd"]] if "root_fd" in where else []
            child = await start_child(self.child, {**request, **where}, passed)
        try:
            yield child
        finally:
            await end_child(child)

    async def _open_root(self, tree: RunningTree) -> int:
        try:
            fd = os.open(f"/proc/{tree.pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NotFoundError(f"container {tree.container_id} is not running") from error
        if tree.pid not in await self.pids_of(tree.container_id):
            os.close(fd)
            raise NotFoundError(f"container {tree.container_id} is not running")
        return fd


def _ids_of_process(pid: int) -> Mapping[str, Any]:
    """As the kernel maps it. Raises NotFoundError for one that has just ended."""
    try:
        return {kind: parse_map(Path(f"/proc/{pid}/{kind[:3]}_map").read_text()) for kind in ("uids", "gids")}
    except OSError as error:
        raise NotFoundError(f"process {pid} is not running") from error


def _ids_of_mapping(mapping: IdMapping | None) -> Mapping[str, Any]:
    if mapping is None:
        return {}
    ranges = {"uids": mapping.uids, "gids": mapping.gids}
    return {kind: [[each.inside, each.outside, each.size] for each in found] for kind, found in ranges.items()}


async def _feed(child: asyncio.subprocess.Process, archive: AsyncIterator[bytes]) -> None:
    if child.stdin is None:
        raise InternalError("the child has no input")
    try:
        async for chunk in archive:
            child.stdin.write(chunk)
            await child.stdin.drain()
        child.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return  # it has ended, and its answer says why


async def _chunks(child: asyncio.subprocess.Process, stack: contextlib.AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for data in rest_of(child):
            yield data


def _path_stat(answer: Mapping[str, Any]) -> PathStat:
    return PathStat(answer["name"], answer["size"], answer["mode"], answer["mtime_ns"], answer["link_target"])
