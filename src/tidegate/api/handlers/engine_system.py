"""What the engine says of itself and of the disk it takes. Ping and version, which need no engine, are in
``system.py``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tidegate.api.handlers.images import summary
from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.views.containers import status_text, summary_view
from tidegate.api.views.system import UsageRows, info_view, legacy_usage_view, usage_view
from tidegate.api.views.volumes import usage_view as volume_usage_view
from tidegate.api.views.volumes import volume_view
from tidegate.base.errors import InvalidParameterError
from tidegate.engine.event_sources.image_events import image_labels
from tidegate.engine.system import ContainerSize, DiskUsage, ImageSize, SystemService, VolumeSize
from tidegate.http.messages import Response

KINDS = ("container", "image", "volume", "build-cache")


class SystemHandlers(msgspec.Struct, frozen=True):
    """On the system service; ``network_id`` answers the id of a network."""

    system: SystemService
    network_id: Callable[[str], str]

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {"SystemInfo": self.info, "SystemDataUsage": self.disk_usage}

    async def info(self, _call: Call) -> Response:
        """GET /info."""
        return json_response(info_view(await self.system.info()))

    async def disk_usage(self, call: Call) -> Response:
        """GET /system/df."""
        kinds = frozenset(call.query.texts("type")) or frozenset(KINDS)
        if kinds - frozenset(KINDS):
            raise InvalidParameterError(f"unknown object type: {min(kinds - frozenset(KINDS))}")
        usage = await self.system.disk_usage(
            images="image" in kinds, containers="container" in kinds, volumes="volume" in kinds
        )
        rows = self._rows(usage, build_cache="build-cache" in kinds)
        if call.profile.legacy_disk_usage:
            return json_response(legacy_usage_view(usage, rows))
        return json_response(usage_view(usage, rows, verbose=call.query.flag("verbose")))

    def _rows(self, usage: DiskUsage, *, build_cache: bool) -> UsageRows:
        return UsageRows(
            None if usage.images is None else [_image_row(each) for each in usage.images],
            None if usage.containers is None else [self._container_row(each) for each in usage.containers],
            None if usage.volumes is None else [self._volume_row(each) for each in usage.volumes],
            [] if build_cache else None,
        )

    def _container_row(self, size: ContainerSize) -> Mapping[str, Any]:
        attachment = self.system.holdings.containers.attachment(size.container.id)
        status = status_text(size.container.state, self.system.clock())
        row = summary_view(size.container, attachment, self.network_id(size.container.settings.network), status)
        return {**row, "SizeRw": size.written_bytes, "SizeRootFs": size.total_bytes}

    def _volume_row(self, size: VolumeSize) -> Mapping[str, Any]:
        row = volume_view(size.volume, self.system.holdings.volumes.path(size.volume.name))
        return {**row, "UsageData": volume_usage_view(size.size_bytes, size.containers)}


def _image_row(size: ImageSize) -> Mapping[str, Any]:
    labels = image_labels(size.image.config.document)
    return {**summary(size.image, labels, size.containers), "SharedSize": size.size_bytes - size.unique_bytes}
