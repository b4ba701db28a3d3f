"""Prune: remove what nothing uses, say what it was and how much space came back, and publish the event ``prune``.

What comes into use or goes away while a prune runs is left alone: that refusal is the expected outcome of a race.
Filters, all optional: ``until`` (older than), ``label`` (has every one), ``label!`` (does not have every one).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.event_sources.image_events import image_labels
from tidegate.engine.events import EventBus
from tidegate.engine.images.records import Image, image_uses
from tidegate.engine.images.service import ImageService
from tidegate.engine.ports import Clock, LayerStore, RootFilesystems
from tidegate.engine.volumes import LocalVolumes
from tidegate.model.phases import Phase
from tidegate.spec.filters import Filters, labels_match
from tidegate.spec.timestamps import parse_optional_time, parse_time

_AT_REST = frozenset({Phase.CREATED, Phase.EXITED, Phase.DEAD})


class Pruned(msgspec.Struct, frozen=True):
    """``deleted`` are ids or names; ``messages`` are those of removed images."""

    deleted: Sequence[str] = ()
    reclaimed_bytes: int = 0
    messages: Sequence[Mapping[str, Any]] = ()


class PruneService(msgspec.Struct, frozen=True):
    """On the services; the stores only tell sizes."""

    containers: ContainerService
    images: ImageService
    volumes_in: LocalVolumes
    rootfs: RootFilesystems
    layers: LayerStore
    bus: EventBus
    clock: Clock

    async def stopped(self, filters: Filters) -> Pruned:
        """Remove containers at rest. Raises InvalidParameterError for an ``until`` that is no time."""
        before_ns = self._until(filters)
        deleted, reclaimed = [], 0
        for container in self.containers.list():
            if container.state.phase not in _AT_REST or container.created_at_ns >= before_ns:
                continue
            if not _labels_fit(filters, container.labels):
                continue
            size = await self.rootfs.usage_bytes(container.id)
            try:
                await self.containers.remove(container.id)
            except (ConflictError, NotFoundError):
                continue  # started or removed meanwhile
            deleted.append(container.id)
            reclaimed += size
        return self._done("container", Pruned(deleted, reclaimed))

    async def unused_images(self, filters: Filters, *, dangling_only: bool) -> Pruned:
        """Remove images that no container was made from; without names only, if ``dangling_only``."""
        before_ns = self._until(filters)
        messages: list[Mapping[str, Any]] = []
        reclaimed = 0
        for image in self.images.list():
            uses = image_uses(self.containers.list())
            if any(use.image_id == image.image_id for use in uses) or (dangling_only and image.tags):
                continue
            if _image_created_ns(image) >= before_ns or not _labels_fit(filters, image_labels(image.config.document)):
                continue
            sizes = {chain_id: self.layers.size_bytes(chain_id) for chain_id in image.chain_ids}
            try:
                done = await self.images.remove(image.image_id, force=True, uses=uses)
            except (ConflictError, NotFoundError):
                continue  # used or removed meanwhile
            messages += done
            reclaimed += sum(sizes.get(message.get("Deleted", ""), 0) for message in done)
        return self._done("image", Pruned((), reclaimed, messages))

    async def volumes(self, filters: Filters, *, everything: bool) -> Pruned:
        """Remove volumes no container names; anonymous ones only, unless ``everything``."""
        deleted, reclaimed = [], 0
        used = self.volumes_in.used_names()
        for volume in self.volumes_in.list():
            if volume.name in used or not (everything or volume.is_anonymous):
                continue
            if not _labels_fit(filters, volume.labels):
                continue
            size = await self.volumes_in.usage_bytes(volume.name)
            try:
                await self.volumes_in.delete(volume.name)
            except (ConflictError, NotFoundError):
                continue  # used or removed meanwhile
            deleted.append(volume.name)
            reclaimed += size
        return self._done("volume", Pruned(deleted, reclaimed))

    def nothing(self, kind: str) -> Pruned:
        """A prune of something this engine has none of (``network``, ``builder``)."""
        return self._done(kind, Pruned())

    def _until(self, filters: Filters) -> int:
        moments = [parse_optional_time(text, self.clock()) for text in filters.get("until", ())]
        return min((moment for moment in moments if moment is not None), default=1 << 63)

    def _done(self, kind: str, pruned: Pruned) -> Pruned:
        self.bus.publish(kind, "prune", "", {"reclaimed": str(pruned.reclaimed_bytes)})
        return pruned


def _labels_fit(filters: Filters, labels: Mapping[str, str]) -> bool:
    refused = filters.get("label!", ())
    return labels_match(filters.get("label", ()), labels) and not (refused and labels_match(refused, labels))


def _image_created_ns(image: Image) -> int:
    text = image.config.document.get("created")
    return parse_time(text, 0) if isinstance(text, str) and text else 0
