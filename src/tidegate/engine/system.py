"""The engine as a whole: its identity, what it is set to, what it holds, and how much disk that takes.

What the host is comes from ``kernel/host.py``; what the wire shows of it all from ``api/views/system.py``.
"""

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tidegate.engine.containers.service import ContainerService
from tidegate.engine.events import EventBus
from tidegate.engine.images.records import Image
from tidegate.engine.images.service import ImageService
from tidegate.engine.isolation.runtimes import Runtimes
from tidegate.engine.ports import Clock, LayerStore, RootFilesystems, StateStore
from tidegate.engine.volumes import LocalVolumes, Volume
from tidegate.kernel.host import HostFacts
from tidegate.model.container import Container
from tidegate.model.phases import ALIVE, Phase

ENGINE = "engine"


class EngineFacts(msgspec.Struct, frozen=True):
    """What is set, as far as clients are told; ``private_cgroups``: containers have cgroup namespaces by default.

    ``proxies`` by scheme, and ``no``; ``address_pools`` are (base, prefix length of each subnet).
    """

    data_root: Path
    log_driver: str
    debug: bool
    live_restore: bool
    registry_mirrors: Sequence[str] = ()
    insecure_registries: Sequence[str] = ()
    private_cgroups: bool = False
    user_namespaces: bool = False
    labels: Sequence[str] = ()
    proxies: Mapping[str, str] = {}
    address_pools: Sequence[tuple[str, int]] = ()
    runtimes: Runtimes = msgspec.field(default_factory=Runtimes)
    cdi_directories: Sequence[Path] = ()
    no_new_privileges: bool = False
    seccomp_profile: str = ""


class EngineInfo(msgspec.Struct, frozen=True):
    """A look at the engine at one moment; ``open_files`` are its descriptors, ``tasks`` what it does at once."""

    id: str
    facts: EngineFacts
    host: HostFacts
    running: int
    paused: int
    stopped: int
    images: int
    listeners: int
    at_ns: int
    open_files: int = 0
    tasks: int = 0


class ImageSize(msgspec.Struct, frozen=True):
    """``unique_bytes`` are those of layers that no other image has."""

    image: Image
    size_bytes: int
    unique_bytes: int
    containers: int


class ContainerSize(msgspec.Struct, frozen=True):
    """``written_bytes`` is the container's own layer, ``total_bytes`` with the image's."""

    container: Container
    written_bytes: int
    total_bytes: int

    @property
    def is_active(self) -> bool:
        """Whether a prune leaves it alone."""
        return self.container.state.phase in ALIVE | {Phase.RESTARTING}


class VolumeSize(msgspec.Struct, frozen=True):
    """``containers`` is how many name it."""

    volume: Volume
    size_bytes: int
    containers: int


class DiskUsage(msgspec.Struct, frozen=True):
    """``layers_bytes`` counts a layer that images share once. None is a kind that was not asked for."""

    layers_bytes: int = 0
    images: Sequence[ImageSize] | None = None
    containers: Sequence[ContainerSize] | None = None
    volumes: Sequence[VolumeSize] | None = None


class Holdings(msgspec.Struct, frozen=True):
    """Where the engine keeps things, and how it is asked for their sizes."""

    containers: ContainerService
    images: ImageService
    volumes: LocalVolumes
    rootfs: RootFilesystems
    layers: LayerStore


@dataclass(slots=True)
class SystemService:
    """``load`` comes first, once. ``read_host`` may block."""

    holdings: Holdings
    facts: EngineFacts
    bus: EventBus
    state: StateStore
    clock: Clock
    read_host: Callable[[], HostFacts]
    _id: str = field(default="", init=False)

    @property
    def id(self) -> str:
        """The engine's identity; "" before ``load``."""
        return self._id

    async def load(self) -> None:
        """The engine's identity, made at its first start. Raises InternalError."""
        known = (await self.state.load(ENGINE)).get("id")
        self._id = known.decode() if known else str(uuid.uuid4())
        if known is None:
            await self.state.put(ENGINE, "id", self._id.encode())

    def publish(self, action: str, attributes: Mapping[str, str]) -> None:
        """An event of the engine itself."""
        self.bus.publish("daemon", action, self._id, attributes)

    async def info(self) -> EngineInfo:
        """Everything of GET /info that is not a constant."""
        phases = Counter(container.state.phase for container in self.holdings.containers.list())
        running = phases[Phase.RUNNING] + phases[Phase.STOPPING] + phases[Phase.RESTARTING]
        return EngineInfo(
            id=self._id,
            facts=self.facts,
            host=await asyncio.to_thread(self.read_host),
            running=running,
            paused=phases[Phase.PAUSED],
            stopped=phases.total() - running - phases[Phase.PAUSED],
            images=len(self.holdings.images.list()),
            listeners=self.bus.listeners,
            at_ns=self.clock(),
            open_files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names only, as cheap as can be
            tasks=len(asyncio.all_tasks()),
        )

    async def disk_usage(self, *, images: bool, containers: bool, volumes: bool) -> DiskUsage:
        """Measures what is asked for. Raises InternalError."""
        layers = {chain_id for image in self.holdings.images.list() for chain_id in image.chain_ids}
        return DiskUsage(
            sum(self.holdings.layers.size_bytes(chain_id) for chain_id in layers) if images else 0,
            self._image_sizes() if images else None,
            await self._container_sizes() if containers else None,
            await self._volume_sizes() if volumes else None,
        )

    def _image_sizes(self) -> Sequence[ImageSize]:
        users = Counter(container.image_id for container in self.holdings.containers.list())
        unique = self.holdings.images.unique_bytes()
        return [
            ImageSize(image, image.size_bytes, unique[image.image_id], users[image.image_id])
            for image in self.holdings.images.list()
        ]

    async def _container_sizes(self) -> Sequence[ContainerSize]:
        sizes = []
        known = {image.image_id: image.size_bytes for image in self.holdings.images.list()}
        for container in self.holdings.containers.list():
            written = await self.holdings.rootfs.usage_bytes(container.id)
            sizes.append(ContainerSize(container, written, written + known.get(container.image_id, 0)))
        return sizes

    async def _volume_sizes(self) -> Sequence[VolumeSize]:
        used: Mapping[str, int] = self.holdings.volumes.used_names()
        return [
            VolumeSize(each, await self.holdings.volumes.usage_bytes(each.name), used.get(each.name, 0))
            for each in self.holdings.volumes.list()
        ]
