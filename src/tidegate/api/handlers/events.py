"""GET /events: the past that was asked for, then what comes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from tidegate.api.pipeline import Call
from tidegate.api.profile import ApiProfile
from tidegate.engine.events import EngineEvent, EventBus, EventFilter
from tidegate.engine.ports import Clock
from tidegate.http.messages import Response
from tidegate.spec.filters import parse_filters
from tidegate.spec.timestamps import parse_optional_time

FILTERS = frozenset(
    {"config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
     "service", "type", "volume"}
)  # fmt: skip


class EventHandlers(msgspec.Struct, frozen=True):
    """On the bus."""

    bus: EventBus
    clock: Clock

    async def stream(self, call: Call) -> Response:
        """The head goes out at once; ``until`` in the past answers and ends."""
        now_ns = self.clock()
        accepted = EventFilter(parse_filters(call.query.text("filters"), FILTERS))
        since = parse_optional_time(call.query.text("since"), now_ns)
        until = parse_optional_time(call.query.text("until"), now_ns)
        body = self._lines(accepted, since, until, call.profile)
        return Response(200, (("Content-Type", "application/json"),), body)

    async def _lines(
        self, accepted: EventFilter, since: int | None, until: int | None, profile: ApiProfile
    ) -> AsyncIterator[bytes]:
        if until is not None and until <= self.clock():
            for event in self.bus.past(accepted, since, until):
                yield line(event, profile)
            return
        listener = self.bus.subscribe(accepted, since)
        loop = asyncio.get_running_loop()
        timer = loop.call_later((until - self.clock()) / 1e9, listener.close) if until is not None else None
        try:
            async for event in listener.events():
                yield line(event, profile)
        finally:
            if timer is not None:
                timer.cancel()
            listener.close()


def line(event: EngineEvent, profile: ApiProfile) -> bytes:
    """One event as JSON; below 1.52 with the fields of old."""
    shown: dict[str, Any] = {}
    if profile.legacy_event_fields and event.kind == "container":
        shown = {"status": event.action, "id": event.actor_id, "from": event.attributes.get("image", "")}
    shown |= {
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.actor_id, "Attributes": dict(event.attributes)},
        "scope": event.scope,
        "time": event.at_ns // 1_000_000_000,
        "timeNano": event.at_ns,
    }
    return msgspec.json.encode(shown) + b"\n"
