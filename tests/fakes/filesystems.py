"""In-memory RootFilesystems, VolumeStore and ContainerMounts, and the stage of mounts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tidegate.base.errors import InternalError, NotFoundError, NotSupportedError
from tidegate.drivers.mounts.idmapped import MappedIds
from tidegate.engine.file_ports import BindMount
from tidegate.engine.isolation.user_namespaces import IdMapping
from tidegate.engine.mounts.points import MountPoint
from tidegate.engine.mounts.volume_options import DeviceMount
from tidegate.model.container import Container


class FakeRootFilesystems:
    """``prepared`` and ``mounted`` are what exists; ``busy`` makes ``remove`` fail."""

    def __init__(self) -> None:
        self.prepared: dict[str, Sequence[str]] = {}
        self.mounted: set[str] = set()
        self.busy = False

    async def prepare(self, container_id: str, chain_ids: Sequence[str], most_bytes: int = 0) -> None:
        if "missing" in chain_ids:
            raise NotFoundError("No such layer: missing")
        self.prepared[container_id] = chain_ids

    async def mount(self, container_id: str, *, mapped: bool = False) -> Path:
        if container_id not in self.prepared:
            raise NotFoundError(f"no root filesystem: {container_id}")
        self.mounted.add(container_id)
        return Path("/rootfs") / container_id

    async def unmount(self, container_id: str) -> None:
        self.mounted.discard(container_id)

    async def remove(self, container_id: str) -> None:
        if self.busy:
            raise InternalError("device or resource busy")
        self.mounted.discard(container_id)
        self.prepared.pop(container_id, None)

    async def container_ids(self) -> Sequence[str]:
        return sorted(self.prepared)

    async def usage_bytes(self, container_id: str) -> int:
        return 0


class FakeVolumeStore:
    """``volumes`` maps a name to what was copied into it, ``mounted`` to what is mounted there.

    It fits ``ContainerVolumes`` too: ``users`` are the containers that use volumes.
    """

    def __init__(self) -> None:
        self.mounted: dict[str, DeviceMount] = {}
        self.users: list[str] = []
        self.volumes: dict[str, list[Path]] = {}

    async def create(self, name: str, most_bytes: int = 0) -> Path:
        if most_bytes:
            raise NotSupportedError("a size can be limited where there are project quotas")
        self.volumes.setdefault(name, [])
        return self.path(name)

    def path(self, name: str) -> Path:
        return Path("/volumes") / name / "_data"

    async def copy_up(self, name: str, source: Path) -> None:
        if not self.volumes[name]:
            self.volumes[name].append(source)

    async def mount(self, name: str, wanted: DeviceMount) -> None:
        if wanted.device == "/broken":
            raise InternalError("failed to mount local volume")
        self.mounted.setdefault(name, wanted)

    async def unmount(self, name: str) -> None:
        self.mounted.pop(name, None)

    async def begin_use(self, container: Container) -> None:
        self.users.append(container.id)

    async def end_use(self, container_id: str) -> None:
        self.users = [each for each in self.users if each != container_id]

    async def remove(self, name: str) -> None:
        self.mounted.pop(name, None)
        self.volumes.pop(name, None)

    async def names(self) -> Sequence[str]:
        return sorted(self.volumes)

    async def usage_bytes(self, name: str) -> int:
        return 7


class FakeMounts:
    """``binds`` is what every container mounts; ``cleared`` the containers whose staged mounts were given back."""

    def __init__(self, binds: Sequence[BindMount] = ()) -> None:
        self.binds = binds
        self.cleared: list[str] = []

    def exists(self, path: str) -> bool:
        return True

    async def clear(self, container_id: str) -> None:
        self.cleared.append(container_id)

    @asynccontextmanager
    async def hold(self, container: Container) -> AsyncIterator[Sequence[BindMount]]:
        yield self.binds


class FakeStage:
    """A directory for each mount, named after what is asked of it, below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def stage(self, key: str, points: Sequence[MountPoint], ids: MappedIds | None = None) -> Sequence[str]:
        staged = []
        for point in points:
            name = f"{point.kind} {point.source} {point.subpath} {point.make_source}".replace("/", "-")
            (self._root / name).mkdir(exist_ok=True)
            staged.append(str(self._root / name))
        return staged

    def stage_path(self, key: str, name: str, path: str, ids: MappedIds | None = None) -> str:
        return path

    def clear(self, key: str) -> None:
        """Nothing is staged."""


class FakeUserNamespaces:
    """Fits ``UserNamespaces``; ``made`` is what was asked for each container whose handles are not closed."""

    def __init__(self, mapping: IdMapping | None = None) -> None:
        self.mapping = mapping
        self.made: dict[str, tuple[str | None, bool]] = {}

    async def create(self, container_id: str, joined: str | None, *, own_network: bool) -> None:
        self.made[container_id] = (joined, own_network)

    def close(self, container_id: str) -> None:
        self.made.pop(container_id, None)
