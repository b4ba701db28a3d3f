"""Everything told of one container: what it is, and what other services know of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from tidegate.engine.containers.service import ContainerService
from tidegate.engine.execs import ExecService
from tidegate.engine.links.table import LinkTable
from tidegate.engine.networks import PredefinedNetworks
from tidegate.engine.ports import BridgeAttachment, LayerStore, RootFilesystems
from tidegate.engine.volumes import LocalVolumes
from tidegate.model.container import Container


class Inspection(msgspec.Struct, frozen=True):
    """``volume_path`` answers where a volume is; ``exec_ids`` are those that run; ``links`` as clients read them."""

    container: Container
    attachment: BridgeAttachment | None
    network_id: str
    directory: Path
    log_path: Path | None
    exec_ids: Sequence[str]
    volume_path: Callable[[str], Path]
    links: Sequence[str] = ()


class Places(Protocol):
    """Where a container's files are; a log that is nowhere, or nobody's business, is None."""

    def directory(self, container_id: str) -> Path: ...
    def log_path(self, container: Container) -> Path | None: ...


class InspectionService:
    """``places`` answers where a container's files are."""

    def __init__(
        self,
        containers: ContainerService,
        execs: ExecService,
        networks: PredefinedNetworks,
        volumes: LocalVolumes,
        places: Places,
        links: LinkTable,
    ) -> None:
        self._containers, self._execs, self._networks = containers, execs, networks
        self._volumes, self._places, self._links = volumes, places, links

    def inspect(self, name_or_id: str) -> Inspection:
        """Raises NotFoundError, InvalidParameterError for an ambiguous id."""
        container = self._containers.resolve(name_or_id)
        return Inspection(
            container,
            self._containers.attachment(container.id),
            self._networks.id_of(container.settings.network),
            self._places.directory(container.id),
            self._places.log_path(container),
            self._execs.of_container(container.id),
            self._volumes.path,
            self._links.shown(container),
        )


class RootfsSize(NamedTuple):
    """``written_bytes`` is the container's own layer, ``total_bytes`` with the image's."""

    written_bytes: int
    total_bytes: int


class ContainerSizes(msgspec.Struct, frozen=True):
    """How much disk a container takes."""

    rootfs: RootFilesystems
    layers: LayerStore

    async def measure(self, container: Container) -> RootfsSize:
        """Raises InternalError."""
        written = await self.rootfs.usage_bytes(container.id)
        below = [each for each in container.settings.chain_ids if self.layers.exists(each)]
        return RootfsSize(written, written + sum(self.layers.size_bytes(each) for each in below))
