"""Containers: the list, creation, and inspect. Their life is in ``container_life``."""

from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.views.containers import health_status_of, inspect_view, status_of
from tidegate.api.views.summary_rows import SummaryRows
from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers import ContainerService
from tidegate.engine.creator import ContainerCreator
from tidegate.engine.inspection import InspectionService
from tidegate.engine.ports import Clock
from tidegate.http.messages import Response
from tidegate.model.container import Container
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest
from tidegate.spec.filters import Filters, labels_match, parse_filters

LIST_FILTERS = frozenset({"ancestor", "exited", "health", "id", "label", "name", "status"})
HEALTH_STATUSES = frozenset({"none", "starting", "healthy", "unhealthy"})


class ContainerHandlers(msgspec.Struct, frozen=True):
    """On the container service, with those that make and describe containers."""

    containers: ContainerService
    creator: ContainerCreator
    inspection: InspectionService
    rows: SummaryRows
    clock: Clock

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ContainerList": self.list,
            "ContainerCreate": self.create,
            "ContainerInspect": self.inspect,
        }

    async def list(self, call: Call) -> Response:
        """GET /containers/json."""
        filters = parse_filters(call.query.text("filters"), LIST_FILTERS)
        check_health_filter(filters)
        limit = call.query.integer("limit")
        everything = call.query.flag("all") or bool(limit) or "status" in filters or "exited" in filters
        everyone = self.containers.list()
        chosen = (
            everyone
            if everything and not filters
            else [each for each in everyone if self._shown(each, filters, everything)]
        )
        rows = chosen[:limit] if limit and limit > 0 else chosen
        now_ns = self.clock()
        attachment, row = self.containers.attachment, self.rows.row
        shown = [row(each, attachment(each.id), now_ns) for each in rows]
        self.rows.keep_only({each.id for each in everyone})
        return json_response(shown)

    def _shown(self, container: Container, filters: Filters, everything: bool) -> bool:
        status = status_of(container.state)
        if not everything and status not in ("running", "paused", "restarting"):
            return False
        names, ids, statuses = (filters.get(name, ()) for name in ("name", "id", "status"))
        ancestors, codes = filters.get("ancestor", ()), filters.get("exited", ())
        healths = filters.get("health", ())
        return (
            (not names or any(name.removeprefix("/") in container.name for name in names))
            and (not ids or any(container.id.startswith(prefix) for prefix in ids))
            and (not statuses or status in statuses)
            and (not healths or health_status_of(container.state) in healths)
            and (not codes or (status == "exited" and str(container.state.exit_code) in codes))
            and (not ancestors or any(self._descends(container, ancestor) for ancestor in ancestors))
            and labels_match(filters.get("label", ()), container.labels)
        )

    def _descends(self, container: Container, ancestor: str) -> bool:
        return ancestor in (container.image, container.image.partition(":")[0]) or container.image_id.removeprefix(
            "sha256:"
        ).startswith(ancestor.removeprefix("sha256:"))

    async def create(self, call: Call) -> Response:
        """POST /containers/create."""
        request = decode(CreateRequest, await call.document_bytes())
        created = await self.creator.create(call.query.text("name"), request)
        return json_response({"Id": created.container.id, "Warnings": list(created.warnings)}, 201)

    async def inspect(self, call: Call) -> Response:
        """GET /containers/{id}/json."""
        return json_response(inspect_view(self.inspection.inspect(call.parameters["id"]), call.profile))


def check_health_filter(filters: Filters) -> None:
    """Raises InvalidParameterError for a value that no container has."""
    for value in filters.get("health", ()):
        if value not in HEALTH_STATUSES:
            raise InvalidParameterError(f"Unrecognised filter value for health: {value}")
