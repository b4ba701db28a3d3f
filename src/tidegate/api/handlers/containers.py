"""Containers: the list, and inspect. Their life is in ``container_life``."""

from collections.abc import Mapping, Sequence

import msgspec

from tidegate.api.container_filter import ContainerFilter, Surroundings
from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.profile import ApiProfile
from tidegate.api.versions.answers import shown_to
from tidegate.api.views.containers import inspect_view
from tidegate.api.views.summary_rows import SummaryRows
from tidegate.engine.containers.inspection import ContainerSizes, InspectionService
from tidegate.engine.links.table import LinkTable
from tidegate.engine.ports import Clock
from tidegate.http.messages import Response
from tidegate.model.container import Container


class ContainerHandlers(msgspec.Struct, frozen=True):
    """On the services that know and describe containers."""

    around: Surroundings
    inspection: InspectionService
    sizes: ContainerSizes
    rows: SummaryRows
    clock: Clock
    links: LinkTable

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ContainerList": self.list,
            "ContainerInspect": self.inspect,
        }

    async def list(self, call: Call) -> Response:
        """GET /containers/json."""
        parameters = {name: call.query.text(name) for name in ("before", "since")}
        wanted = ContainerFilter(call.query.text("filters"), self.around, parameters)
        limit = call.query.integer("limit") or 0
        everything = call.query.flag("all") or limit > 0 or wanted.wants_all
        everyone = self.around.containers.list()
        chosen = (
            everyone
            if everything and wanted.is_empty
            else [each for each in everyone if wanted.shows(each, everything=everything)]
        )
        chosen = chosen[:limit] if limit > 0 else chosen
        shown = self._rows(chosen, call.profile)
        self.rows.keep_only({each.id for each in everyone})
        if call.query.flag("size"):
            return json_response([await self._with_size(*pair) for pair in zip(chosen, shown, strict=True)])
        return json_response(shown)

    def _rows(self, chosen: Sequence[Container], profile: ApiProfile) -> Sequence[msgspec.Raw]:
        now_ns = self.clock()
        attachment, row = self.around.containers.attachment, self.rows.row
        names = self.links.names()
        return [row(each, attachment(each.id), now_ns, names.get(each.id, ()), profile) for each in chosen]

    async def _with_size(self, container: Container, row: msgspec.Raw) -> Mapping[str, object]:
        return {**msgspec.json.decode(row), **await self._size(container)}

    async def _size(self, container: Container) -> Mapping[str, int]:
        size = await self.sizes.measure(container)
        return {"SizeRw": size.written_bytes, "SizeRootFs": size.total_bytes}

    async def inspect(self, call: Call) -> Response:
        """GET /containers/{id}/json."""
        found = self.inspection.inspect(call.parameters["id"])
        size = await self._size(found.container) if call.query.flag("size") else {}
        view = shown_to(call.profile, "ContainerInspectResponse", inspect_view(found, call.profile))
        return json_response({**view, **size})
