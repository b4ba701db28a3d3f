"""Volumes: list, create, inspect, remove, prune."""

from collections.abc import Mapping

import msgspec

from tidegate.api.container_filter import expression
from tidegate.api.handlers.responses import json_response, no_content
from tidegate.api.pipeline import Call, Handler
from tidegate.api.profile import ApiProfile
from tidegate.api.versions.answers import shown_to
from tidegate.api.versions.change import View
from tidegate.api.views.volumes import volume_view
from tidegate.engine.prune import PruneService
from tidegate.engine.volumes import LocalVolumes, Volume
from tidegate.http.messages import Response
from tidegate.spec.codec import decode
from tidegate.spec.filters import Filters, labels_match, parse_boolean_filter, parse_filters
from tidegate.spec.volume import VolumeCreateRequest

LIST_FILTERS = frozenset({"dangling", "driver", "label", "name"})
PRUNE_FILTERS = frozenset({"all", "label", "label!"})


class VolumeHandlers(msgspec.Struct, frozen=True):
    """On the volumes."""

    volumes: LocalVolumes
    prunes: PruneService

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "VolumeList": self.list,
            "VolumeCreate": self.create,
            "VolumeInspect": self.inspect,
            "VolumeDelete": self.delete,
            "VolumePrune": self.prune,
        }

    def _view(self, volume: Volume, profile: ApiProfile) -> View:
        return shown_to(profile, "Volume", volume_view(volume, self.volumes.path(volume.name)))

    async def list(self, call: Call) -> Response:
        """GET /volumes."""
        filters = parse_filters(call.query.text("filters"), LIST_FILTERS)
        used = self.volumes.used_names()
        shown = [
            self._view(each, call.profile) for each in self.volumes.list() if _matches(each, filters, each.name in used)
        ]
        return json_response({"Volumes": shown, "Warnings": []})

    async def create(self, call: Call) -> Response:
        """POST /volumes/create."""
        volume = await self.volumes.make(decode(VolumeCreateRequest, await call.document_bytes()))
        return json_response(self._view(volume, call.profile), 201)

    async def inspect(self, call: Call) -> Response:
        """GET /volumes/{name}."""
        volume = self.volumes.resolve(call.parameters["name"])
        return json_response(self._view(volume, call.profile))

    async def delete(self, call: Call) -> Response:
        """DELETE /volumes/{name}."""
        await self.volumes.delete(call.parameters["name"], force=call.query.flag("force"))
        return no_content()

    async def prune(self, call: Call) -> Response:
        """POST /volumes/prune: anonymous ones, and with ``all`` (or an old client) every unused one."""
        filters = parse_filters(call.query.text("filters"), PRUNE_FILTERS)
        everything = parse_boolean_filter(filters, "all", not call.profile.prunes_anonymous_volumes_only)
        pruned = await self.prunes.volumes(filters, everything=everything)
        return json_response({"VolumesDeleted": list(pruned.deleted), "SpaceReclaimed": pruned.reclaimed_bytes})


def _matches(volume: Volume, filters: Filters, is_used: bool) -> bool:
    names, drivers = filters.get("name", ()), filters.get("driver", ())
    return (
        (not names or any(expression("name", name).search(volume.name) for name in names))
        and (not drivers or "local" in drivers)
        and parse_boolean_filter(filters, "dangling", not is_used) == (not is_used)
        and labels_match(filters.get("label", ()), volume.labels)
    )
