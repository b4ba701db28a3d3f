"""GET /events: the past that was asked for, then what comes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec

from tidegate.api.media_types import JSON, JSON_LINES, STREAMS_OF_JSON, choose_media_type, json_record
from tidegate.api.pipeline import Call
from tidegate.api.profile import ApiProfile
from tidegate.api.versions.answers import shown_to
from tidegate.base.errors import InvalidParameterError
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
        since, until = _moment(call, "since", now_ns), _moment(call, "until", now_ns)
        if since is not None and until is not None and until < since:
            low, high = call.query.text("since"), call.query.text("until")
            raise InvalidParameterError(f"`since` time ({low}) cannot be after `until` time ({high})")
        media_type = choose_media_type(call.request.headers.get("accept"), STREAMS_OF_JSON)
        media_type = media_type or (JSON if call.profile.streams_as_plain_json else JSON_LINES)
        records = self._records(self._events(accepted, since, until), call.profile, media_type)
        return Response(200, (("Content-Type", media_type),), records)

    async def _records(
        self, events: AsyncGenerator[EngineEvent, None], profile: ApiProfile, media_type: str
    ) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(events):
            async for event in events:
                if not (profile.hides_image_creations and event.kind == "image" and event.action == "create"):
                    yield json_record(
                        msgspec.json.encode(shown_to(profile, "EventMessage", event_view(event))), media_type
                    )

    async def _events(
        self, accepted: EventFilter, since: int | None, until: int | None
    ) -> AsyncGenerator[EngineEvent, None]:
        if until is not None and until <= self.clock():
            for event in self.bus.past(accepted, since, until):
                yield event
            return
        listener = self.bus.subscribe(accepted, since)
        loop = asyncio.get_running_loop()
        timer = loop.call_later((until - self.clock()) / 1e9, listener.close) if until is not None else None
        try:
            async for event in listener.events():
                yield event
        finally:
            if timer is not None:
                timer.cancel()
            listener.close()


def _moment(call: Call, name: str, now_ns: int) -> int | None:
    text = call.query.text(name)
    try:
        return parse_optional_time(text, now_ns)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"invalid value for '{name}': {error.message}") from error


def event_view(event: EngineEvent) -> dict[str, Any]:
    """One event. Specification: definition EventMessage."""
    return {
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.actor_id, "Attributes": dict(event.attributes)},
        "scope": event.scope,
        "time": event.at_ns // 1_000_000_000,
        "timeNano": event.at_ns,
    }
