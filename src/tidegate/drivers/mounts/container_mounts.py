"""The mounts of containers for the runtime, and for whoever reads the files of one at rest.

Fits ``engine.file_ports.ContainerMounts``; the plan of a start asks ``requests``.
"""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.mounts.idmapped import MappedIds
from tidegate.drivers.oci.config import MountRequest
from tidegate.engine.file_ports import BindMount
from tidegate.engine.mounts.points import DEFAULT_PROPAGATION, MountPoint, mount_points
from tidegate.model.container import Container


class Stage(Protocol):
    """See ``MountStage``."""

    def stage(self, key: str, points: Sequence[MountPoint], ids: MappedIds | None = None) -> Sequence[str]: ...
    def stage_path(self, key: str, name: str, path: str, ids: MappedIds | None = None) -> str: ...
    def clear(self, key: str) -> None: ...
    def exists(self, path: str) -> bool: ...


class Reachable(NamedTuple):
    """``files`` maps container path to host path."""

    rootfs: str
    files: Mapping[str, str]


class StagedMounts:
    """``release`` is the kernel's, as ``uname -r`` says it; ``ids_of`` a container's user namespace."""

    def __init__(
        self, stage: Stage, release: str, ids_of: Callable[[Container], MappedIds | None] = lambda _: None
    ) -> None:
        self._stage, self._ids_of = stage, ids_of
        self._reaches_below = knows_mount_setattr(release)
        self._numbers = itertools.count(1)

    def requests(self, container: Container) -> tuple[MountRequest, ...]:
        """What a start mounts; ``clear`` is owed, also after an error. Blocks. Raises as ``MountStage.stage``."""
        points = mount_points(container)
        sources = self._stage.stage(container.id, points, self._ids_of(container))
        return tuple(self._request(point, source) for point, source in zip(points, sources, strict=True))

    def ids_of(self, container: Container) -> MappedIds | None:
        """The container's user namespace, None in the host's. Blocks. Raises InternalError."""
        return self._ids_of(container)

    def reachable(self, container_id: str, rootfs: Path, files: Mapping[str, str], ids: MappedIds) -> "Reachable":
        """Root filesystem and files of the engine for a runtime that is nobody on the host; ``clear`` is owed."""
        root = self._stage.stage_path(container_id, "rootfs", str(rootfs))
        staged = {
            path: self._stage.stage_path(container_id, Path(source).name, source, ids) for path, source in files.items()
        }
        return Reachable(root, staged)

    def exists(self, path: str) -> bool:
        """See ``ContainerMounts``."""
        return self._stage.exists(path)

    async def clear(self, container_id: str) -> None:
        """See ``ContainerMounts``."""
        await asyncio.to_thread(self._stage.clear, container_id)

    @contextlib.asynccontextmanager
    async def hold(self, container: Container) -> AsyncIterator[Sequence[BindMount]]:
        """See ``ContainerMounts``."""
        key = f"{container.id}.{next(self._numbers)}"
        points = [each for each in mount_points(container) if each.kind != "tmpfs"]
        try:
            yield await asyncio.to_thread(self._binds, key, points, container)
        finally:
            await asyncio.shield(self.clear(key))

    def _binds(self, key: str, points: Sequence[MountPoint], container: Container) -> Sequence[BindMount]:
        # What is not there a start makes, or fails; looking at the files does neither.
        present = [each for each in points if each.kind != "bind" or self._stage.exists(each.source)]
        sources = self._stage.stage(key, present, self._ids_of(container))
        return [
            BindMount(source, point.container_path, point.read_only)
            for point, source in zip(present, sources, strict=True)
        ]

    def _request(self, point: MountPoint, source: str) -> MountRequest:
        if point.kind == "tmpfs":
            return MountRequest("tmpfs", point.container_path, read_only=point.read_only, options=point.options)
        if point.depth == "whole" and not self._reaches_below:
            raise InvalidParameterError(
                "BindOptions.ReadOnlyForceRecursive: this kernel cannot make mounts recursively read-only: "
                "mount_setattr needs Linux 5.12"
            )
        return MountRequest(
            "bind",
            point.container_path,
            source,
            point.read_only,
            point.propagation or DEFAULT_PROPAGATION,
            recursive=point.recursive,
            # Of a file crun takes only the plain option.
            read_only_below=point.depth != "top" and self._reaches_below and Path(source).is_dir(),
        )


def knows_mount_setattr(release: str) -> bool:
    """Whether a kernel of this release is new enough, 5.12 or later."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (5, 12)
