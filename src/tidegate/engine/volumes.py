"""Volumes: records with labels beside the directories of the volume store, and who uses them.

- ``LocalVolumes`` fits the port ``ContainerVolumes``, so that a volume a container asks for gets its record here too;
- the record is stored before the directory is made, and forgotten after the directory is gone; ``load`` completes
  whatever a crash left half done, and records directories of an engine that kept no records;
- a volume that a container names is in use, whether the container runs or not; one that is a device is mounted while
  it runs (``engine/mounts/volume_uses.py``).
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError, NotSupportedError, TidegateError
from tidegate.engine.events import EventBus
from tidegate.engine.file_ports import VolumeStore
from tidegate.engine.mounts.volume_options import check_volume_options, device_mount, volume_size
from tidegate.engine.mounts.volume_uses import VolumeUses
from tidegate.engine.ports import Clock, StateStore
from tidegate.model.container import Container
from tidegate.model.phases import ALIVE, Phase
from tidegate.spec.volume import ANONYMOUS_LABEL, VolumeCreateRequest

VOLUME = "volume"


class Volume(msgspec.Struct, frozen=True):
    """One local volume. ``labels`` of an anonymous one have Docker's mark."""

    name: str
    created_at_ns: int
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    options: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody gave it a name."""
        return ANONYMOUS_LABEL in self.labels


class LocalVolumes:
    """``load`` comes first, once. ``containers`` answers every container there is."""

    def __init__(
        self,
        store: VolumeStore,
        state: StateStore,
        bus: EventBus,
        clock: Clock,
        containers: Callable[[], Sequence[Container]],
    ) -> None:
        self._store, self._state, self._bus, self._clock = store, state, bus, clock
        self._containers = containers
        self._volumes: dict[str, Volume] = {}
        self._making: dict[str, asyncio.Lock] = {}
        self._uses = VolumeUses(store, self._options_of)

    async def load(self) -> None:
        """Read the records at boot. Raises InternalError."""
        for name, raw in (await self._state.load(VOLUME)).items():
            self._volumes[name] = msgspec.json.decode(raw, type=Volume)
            await self._store.create(name, volume_size(self._volumes[name].options))
        for name in await self._store.names():
            if name not in self._volumes:
                await self._record(Volume(name, self._clock()))

    # ------------------------------------------------------------------------- what the API asks for

    def list(self) -> Sequence[Volume]:
        """Every volume, by name."""
        return [self._volumes[name] for name in sorted(self._volumes)]

    def resolve(self, name: str) -> Volume:
        """Raises NotFoundError in Docker's words."""
        if name not in self._volumes:
            raise NotFoundError(f"get {name}: no such volume")
        return self._volumes[name]

    async def make(self, request: VolumeCreateRequest) -> Volume:
        """The volume of that name, made if need be; one that exists keeps its labels.

        Raises InvalidParameterError for a malformed name, NotFoundError for a driver that is not there,
        NotSupportedError naming an option that this engine does not do.
        """
        _check(request)
        if not request.name:
            labels = {**request.labels, ANONYMOUS_LABEL: ""}
            return await self._ensure(secrets.token_hex(32), labels, request.driver_opts)
        return await self._ensure(request.name, request.labels, request.driver_opts)

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Remove volume and data; with ``force`` one that is not there is success.

        Raises NotFoundError, ConflictError while a container names it.
        """
        if force and name not in self._volumes:
            return
        self.resolve(name)
        users = [container.id for container in self._containers() if _names(container, name)]
        if users:
            raise ConflictError(f"remove {name}: volume is in use - [{', '.join(users)}]")
        await self._destroy(name)

    def used_names(self) -> Mapping[str, int]:
        """How many containers name each volume that is in use."""
        counts: dict[str, int] = {}
        for container in self._containers():
            for name in {use.name for use in container.settings.volumes}:
                counts[name] = counts.get(name, 0) + 1
        return counts

    # ------------------------------------------------------------------------- the port ContainerVolumes

    async def create(self, name: str) -> Path:
        """See ``ContainerVolumes``: a volume that a container asks for; an anonymous one is marked."""
        labels, options = dict[str, str](), dict[str, str]()
        for use in (use for each in self._containers() for use in each.settings.volumes if use.name == name):
            labels |= {**use.labels, ANONYMOUS_LABEL: ""} if use.anonymous else use.labels
            options |= use.driver_options
        await self._ensure(name, labels, options)
        return self._store.path(name)

    def path(self, name: str) -> Path:
        """See ``VolumeStore``."""
        return self._store.path(name)

    async def begin_use(self, container: Container) -> None:
        """See ``ContainerVolumes``."""
        await self._uses.begin({use.name for use in container.settings.volumes}, container.id)

    async def end_use(self, container_id: str) -> None:
        """See ``ContainerVolumes``."""
        await self._uses.end(container_id)

    def hold(self, container: Container) -> AbstractAsyncContextManager[None]:
        """Its volumes mounted for as long as the context lasts, whether it runs or not."""
        return self._uses.hold({use.name for use in container.settings.volumes})

    async def settle(self) -> None:
        """At boot, when it is known which containers run."""
        running = {
            each.id: [use.name for use in each.settings.volumes]
            for each in self._containers()
            if each.state.phase in ALIVE
        }
        await self._uses.settle(running, [name for name, volume in self._volumes.items() if volume.options])

    async def copy_up(self, name: str, source: Path) -> None:
        """See ``VolumeStore``."""
        await self._store.copy_up(name, source)

    async def remove(self, name: str) -> None:
        """See ``ContainerVolumes``: gone with its container, unless another one that is not being removed names it."""
        others = [each for each in self._containers() if each.state.phase is not Phase.REMOVING]
        if name in self._volumes and not any(_names(container, name) for container in others):
            await self._destroy(name)

    async def names(self) -> Sequence[str]:
        """See ``VolumeStore``."""
        return sorted(self._volumes)

    async def usage_bytes(self, name: str) -> int:
        """Of the engine's own disk: nothing where something else is mounted."""
        is_elsewhere = device_mount(self._options_of(name)) is not None
        return 0 if is_elsewhere else await self._store.usage_bytes(name)

    # ------------------------------------------------------------------------- records

    def _options_of(self, name: str) -> Mapping[str, str]:
        return self._volumes[name].options if name in self._volumes else {}

    async def _ensure(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> Volume:
        self._store.path(name)
        if name not in self._volumes:
            _check_options(name, options)
        async with self._making.setdefault(name, asyncio.Lock()):
            if name not in self._volumes:
                await self._record(Volume(name, self._clock(), dict(labels), dict(options)))
                await self._make_directory(name, volume_size(options))
                self._bus.publish("volume", "create", name, {"driver": "local"})
            return self._volumes[name]

    async def _make_directory(self, name: str, most_bytes: int) -> None:
        try:
            await self._store.create(name, most_bytes)
        except TidegateError as error:
            await self._forget(name)
            if isinstance(error, NotSupportedError):
                words = f"create {name}: quota size requested but no quota support: {error.message}"
                raise InvalidParameterError(words) from error
            raise

    async def _forget(self, name: str) -> None:
        await self._store.remove(name)
        await self._state.delete(VOLUME, name)
        del self._volumes[name]

    async def _record(self, volume: Volume) -> None:
        await self._state.put(VOLUME, volume.name, msgspec.json.encode(volume))
        self._volumes[volume.name] = volume

    async def _destroy(self, name: str) -> None:
        async with self._making.setdefault(name, asyncio.Lock()):
            if name not in self._volumes:
                return
            await self._forget(name)
            self._bus.publish("volume", "destroy", name, {"driver": "local"})
        self._making.pop(name, None)


def _names(container: Container, volume: str) -> bool:
    return any(use.name == volume for use in container.settings.volumes)


def _check(request: VolumeCreateRequest) -> None:
    if request.cluster_volume_spec is not None:
        raise NotSupportedError("ClusterVolumeSpec: cluster volumes are not supported by this engine yet")
    if request.driver not in ("", "local"):
        name = request.driver
        raise NotFoundError(f'create {request.name}: error looking up volume plugin {name}: plugin "{name}" not found')


def _check_options(name: str, options: Mapping[str, str]) -> None:
    try:
        check_volume_options(options)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"create {name}: {error.message}") from error
