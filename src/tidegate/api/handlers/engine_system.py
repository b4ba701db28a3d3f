"""What the engine says of itself and of the disk it takes. Ping and version, which need no engine, are in
``system.py``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.profile import ApiProfile
from tidegate.api.versions.answers import shown_to
from tidegate.api.versions.change import View
from tidegate.api.views import images
from tidegate.api.views.containers import status_text, summary_view
from tidegate.api.views.system import UsageRows, info_view, legacy_usage_view, usage_view
from tidegate.api.views.volumes import usage_view as volume_usage_view
from tidegate.api.views.volumes import volume_view
from tidegate.base.errors import InvalidParameterError
from tidegate.engine.system import ContainerSize, DiskUsage, ImageSize, SystemService, VolumeSize
from tidegate.http.messages import Response

Size = TypeVar("Size")
KINDS = ("container", "image", "volume", "build-cache")


class SystemHandlers(msgspec.Struct, frozen=True):
    """On the system service; ``network_id`` answers the id of a network."""

    system: SystemService
    network_id: Callable[[str], str]

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {"SystemInfo": self.info, "SystemDataUsage": self.disk_usage}

    async def info(self, call: Call) -> Response:
        """GET /info."""
        return json_response(shown_to(call.profile, "SystemInfo", info_view(await self.system.info())))

    async def disk_usage(self, call: Call) -> Response:
        """GET /system/df."""
        asked = () if call.profile.whole_disk_usage_only else call.query.texts("type")
        kinds = frozenset(asked) or frozenset(KINDS)
        if kinds - frozenset(KINDS):
            raise InvalidParameterError(f"unknown object type: {min(kinds - frozenset(KINDS))}")
        usage = await self.system.disk_usage(
            images="image" in kinds, containers="container" in kinds, volumes="volume" in kinds
        )
        rows = self._rows(usage, call.profile, build_cache="build-cache" in kinds)
        if call.profile.precedes_usage_totals:
            return json_response(shown_to(call.profile, "DiskUsage", legacy_usage_view(usage, rows)))
        verbose = call.query.flag("verbose")
        legacy = {} if verbose else legacy_usage_view(usage, rows)  # for clients that take whatever version is newest
        return json_response({**usage_view(usage, rows, verbose=verbose), **legacy})

    def _rows(self, usage: DiskUsage, profile: ApiProfile, *, build_cache: bool) -> UsageRows:
        def rows(kind: str, sizes: Iterable[Size] | None, row: Callable[[Size], View]) -> Sequence[View] | None:
            return None if sizes is None else [shown_to(profile, kind, row(size)) for size in sizes]

        return UsageRows(
            rows("ImageSummary", usage.images, _image_row),
            rows("ContainerSummary", usage.containers, self._container_row),
            rows("Volume", usage.volumes, self._volume_row),
            [] if build_cache else None,
        )

    def _container_row(self, size: ContainerSize) -> Mapping[str, Any]:
        attachment = self.system.holdings.containers.attachment(size.container.id)
        status = status_text(size.container.state, self.system.clock())
        network_id = self.network_id(size.container.settings.network)
        row = summary_view(size.container, attachment, network_id, status, self.system.holdings.volumes.path)
        return {**row, "SizeRw": size.written_bytes, "SizeRootFs": size.total_bytes}

    def _volume_row(self, size: VolumeSize) -> Mapping[str, Any]:
        row = volume_view(size.volume, self.system.holdings.volumes.path(size.volume.name))
        return {**row, "UsageData": volume_usage_view(size.size_bytes, size.containers)}


def _image_row(size: ImageSize) -> Mapping[str, Any]:
    return images.summary_view(size.image, size.containers, size.size_bytes - size.unique_bytes)
