"""What containers use, once or each second."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.profile import ApiProfile
from tidegate.api.versions.answers import shown_to
from tidegate.api.views.stats import stats_view
from tidegate.engine.stats import Reading, StatsService
from tidegate.http.messages import Response

_JSON = (("Content-Type", "application/json"),)


class StatsHandlers(msgspec.Struct, frozen=True):
    """On the stats service; what the host has is told with every reading."""

    stats: StatsService
    host_memory_bytes: int
    cpus: int

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {"ContainerStats": self.read}

    async def read(self, call: Call) -> Response:
        """GET /containers/{id}/stats."""
        if call.query.flag("stream", True):
            return Response(200, _JSON, self._lines(await self.stats.stream(call.parameters["id"]), call.profile))
        reading = await self.stats.once(call.parameters["id"], one_shot=call.query.flag("one-shot"))
        return json_response(self._view(reading, call.profile))

    async def _lines(self, readings: AsyncIterator[Reading], profile: ApiProfile) -> AsyncIterator[bytes]:
        async for reading in readings:
            yield msgspec.json.encode(self._view(reading, profile)) + b"\n"

    def _view(self, reading: Reading, profile: ApiProfile) -> Mapping[str, object]:
        view = stats_view(reading, self.host_memory_bytes, self.cpus)
        return shown_to(profile, "ContainerStatsResponse", view)
