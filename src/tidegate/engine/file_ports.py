"""What the engine asks of volumes and of a container's files; contracts as in ``engine/ports.py``."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from tidegate.engine.isolation.user_namespaces import IdMapping
from tidegate.engine.mounts.volume_options import DeviceMount
from tidegate.model.container import Container


class BindMount(msgspec.Struct, frozen=True):
    """A directory or file of the host that a container sees."""

    host_path: str
    container_path: str
    read_only: bool = False


class RunningTree(msgspec.Struct, frozen=True):
    """The files as the processes of a running container see them. ``pid`` is its init's."""

    container_id: str
    pid: int


class RestingTree(msgspec.Struct, frozen=True):
    """The files of a container at rest: its mounted root filesystem with ``binds`` laid over it.

    ``ids`` is the user namespace into which both are mapped.
    """

    rootfs: Path
    binds: Sequence[BindMount] = ()
    read_only: bool = False
    ids: IdMapping | None = None


Tree = RunningTree | RestingTree


class PathStat(msgspec.Struct, frozen=True):
    """``mode`` is Go's ``fs.FileMode``; ``link_target`` the whole path a symlink leads to, else ""."""

    name: str
    size_bytes: int
    mode: int
    mtime_ns: int
    link_target: str = ""


class WriteRequest(msgspec.Struct, frozen=True):
    """Where an archive goes. ``keep_kinds``: never exchange a directory for something else, or the reverse.

    ``user`` is who owns what is written, as a container's ``User`` says it; "" takes the archive's owners.
    """

    path: str
    keep_kinds: bool = False
    user: str = ""


class Change(msgspec.Struct, frozen=True):
    """A path of the container that differs from its image."""

    path: str
    kind: Literal["modified", "added", "deleted"]


class WritableLayer(msgspec.Struct, frozen=True):
    """A container's own directory of an overlay, and the layers below it, topmost first."""

    upper: Path
    lowers: Sequence[Path] = ()


class HoldRootfs(Protocol):
    """A root filesystem mounted for as long as the context lasts, whether its container runs or not."""

    def __call__(self, container_id: str, *, mapped: bool = False) -> AbstractAsyncContextManager[Path]: ...


class VolumeStore(Protocol):
    """Directories of local volumes, under DATA_ROOT/volumes/NAME/_data, and what is mounted there."""

    async def create(self, name: str, most_bytes: int = 0) -> Path:
        """Make it, or complete what was half made; ``most_bytes`` can be written (0: all).

        Raises NotSupportedError for a limit that the disk does not keep.
        """
        ...

    def path(self, name: str) -> Path: ...
    async def copy_up(self, name: str, source: Path) -> None:
        """Fill an empty volume from a directory of an image, with ownership, modes, xattrs; a filled one is left."""
        ...

    async def mount(self, name: str, wanted: DeviceMount) -> None:
        """Mount it on the volume's directory; where something is mounted already that is success."""
        ...

    async def unmount(self, name: str) -> None: ...
    async def remove(self, name: str) -> None:
        """Unmount, and remove the directory; what was mounted keeps its data."""
        ...

    async def names(self) -> Sequence[str]: ...
    async def usage_bytes(self, name: str) -> int: ...


class ContainerVolumes(Protocol):
    """Volumes as containers use them."""

    async def create(self, name: str) -> Path:
        """A volume that a container names, made if need be."""
        ...

    async def begin_use(self, container: Container) -> None:
        """Have its volumes mounted that are devices; ``end_use`` is owed, also after an error."""
        ...

    async def end_use(self, container_id: str) -> None: ...
    async def copy_up(self, name: str, source: Path) -> None:
        """See ``VolumeStore``."""
        ...

    async def remove(self, name: str) -> None:
        """With the container that had it, unless another one names it."""
        ...


class ContainerMounts(Protocol):
    """What a container mounts of volumes, images and the host."""

    def exists(self, path: str) -> bool:
        """Whether a path is there on the host, where others mount. Blocks."""
        ...

    async def clear(self, container_id: str) -> None:
        """Give back what a start needed to mount it; a container that runs keeps its mounts. Idempotent."""
        ...

    def hold(self, container: Container) -> AbstractAsyncContextManager[Sequence[BindMount]]:
        """As a start would mount it, as far as it is there, for as long as the context lasts; nothing is made.

        Raises InvalidParameterError for what cannot be mounted, InternalError.
        """
        ...


class ContainerFiles(Protocol):
    """Paths are the container's, resolved in its root: no symlink of it leads to the host.

    Every method raises NotFoundError for a path that is not there, ForbiddenError for what is read-only,
    InvalidParameterError for a malformed path or archive, InternalError otherwise.
    """

    async def stat(self, tree: Tree, path: str) -> PathStat: ...

    async def read(self, tree: Tree, path: str, *, gzip: bool) -> tuple[PathStat, AsyncIterator[bytes]]:
        """The path as a tar stream; it must be read or closed."""
        ...

    async def write(self, tree: Tree, request: WriteRequest, archive: AsyncIterator[bytes]) -> None:
        """Write a tar stream, in any compression, into a directory."""
        ...

    async def export(self, tree: Tree) -> AsyncIterator[bytes]:
        """Everything as a tar stream."""
        ...


class ContainerLayers(Protocol):
    """What a container changed of its image. Raises NotFoundError for a container without layers, InternalError."""

    async def changes(self, container_id: str) -> Sequence[Change]:
        """A directory before what is in it."""
        ...

    def diff(self, container_id: str) -> AsyncIterator[bytes]:
        """The same as a layer of an image, an uncompressed tar with whiteouts."""
        ...
