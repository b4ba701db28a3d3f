"""The event bus: what ``GET /events`` shows.

- the last 256 events are kept and replayed to a listener that asks for the past;
- a listener has a bounded queue: one that does not read loses its subscription, never the engine's memory;
- publishing never waits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.engine.ports import Clock
from tidegate.spec.references import parse_reference

HISTORY = 256
LISTENER_CAPACITY = 1024


class EngineEvent(msgspec.Struct, frozen=True):
    """``kind`` is Docker's Type (container, image, ...); ``attributes`` include the object's labels."""

    kind: str
    action: str
    actor_id: str
    attributes: Mapping[str, str]
    at_ns: int
    scope: str = "local"


class EventFilter(msgspec.Struct, frozen=True):
    """Docker's filters, already parsed: values of one name are alternatives, names are all required."""

    terms: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)

    def accepts(self, event: EngineEvent) -> bool:
        """Whether the event passes; an unknown name accepts nothing (the API refuses it before)."""
        return all(not values or _accepts(name, values, event) for name, values in self.terms.items())


def _accepts(name: str, values: Sequence[str], event: EngineEvent) -> bool:
    attributes = event.attributes
    if name == "type":
        return event.kind in values
    if name == "event":
        return any(event.action == value or event.action.startswith(f"{value}:") for value in values)
    if name == "scope":
        return event.scope in values
    if name == "label":
        return all(_has_label(attributes, value) for value in values)
    if name == "image":
        return not _image_names(event).isdisjoint(values)
    return event.kind == name and any(
        event.actor_id == value or event.actor_id.startswith(value) or attributes.get("name") == value
        for value in values
        if value
    )


def _image_names(event: EngineEvent) -> frozenset[str]:
    """What an event's image is called, with and without its tag; a container's events are about its image too."""
    named = event.attributes.get("name" if event.kind == "image" else "image", "")
    whole = (event.actor_id, named) if event.kind == "image" else (named,)
    return frozenset((*whole, *(_without_tag(name) for name in whole))) - {""}


def _without_tag(name: str) -> str:
    try:
        return name if name.startswith("sha256:") else parse_reference(name).familiar_name
    except InvalidParameterError:  # no reference, and not to be found by one
        return name


def _has_label(attributes: Mapping[str, str], label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in attributes and (not equals or attributes[key] == value)


class Listener:
    """One subscription; iterate it, and ``close`` it when the client is gone."""

    def __init__(self, bus: "EventBus", accepted: EventFilter) -> None:
        self._bus = bus
        self._filter = accepted
        self._queue: asyncio.Queue[EngineEvent | None] = asyncio.Queue(LISTENER_CAPACITY)
        self._overflowed = False

    def offer(self, event: EngineEvent) -> None:
        """Queue the event if it passes the filter; a full queue ends the subscription."""
        if self._overflowed or not self._filter.accepts(event):
            return
        if self._queue.full():
            self._overflowed = True
            self._bus.forget(self)
            return
        self._queue.put_nowait(event)

    async def events(self) -> AsyncIterator[EngineEvent]:
        """Events as they come, until ``close``. Raises UnavailableError once a client that was too slow has read
        what was queued for it."""
        while not (self._overflowed and self._queue.empty()):
            event = await self._queue.get()
            if event is None:
                return
            yield event
        raise UnavailableError("the listener is too slow: events were lost")

    def close(self) -> None:
        """End the subscription; closing twice is fine."""
        self._bus.forget(self)
        if not self._queue.full():
            self._queue.put_nowait(None)


class EventBus:
    """Publish and subscribe; one per engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._history: deque[EngineEvent] = deque(maxlen=HISTORY)
        self._listeners: set[Listener] = set()
        self.published = 0

    @property
    def listeners(self) -> int:
        """How many subscriptions there are."""
        return len(self._listeners)

    def publish(self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> None:
        """Record the event and hand it to every listener."""
        event = EngineEvent(kind, action, actor_id, attributes, self._clock())
        self._history.append(event)
        self.published += 1
        for listener in tuple(self._listeners):
            listener.offer(event)

    def subscribe(self, accepted: EventFilter, since_ns: int | None = None) -> Listener:
        """A listener of what comes; with ``since_ns``, the history from then on comes first, without a gap."""
        listener = Listener(self, accepted)
        for event in self.past(accepted, since_ns, None) if since_ns is not None else ():
            listener.offer(event)
        self._listeners.add(listener)
        return listener

    def past(self, accepted: EventFilter, since_ns: int | None, until_ns: int | None) -> Sequence[EngineEvent]:
        """The kept events of an interval, both ends included."""
        low, high = since_ns or 0, until_ns if until_ns is not None else 1 << 63
        return [event for event in self._history if low <= event.at_ns <= high and accepted.accepts(event)]

    def forget(self, listener: Listener) -> None:
        """Stop delivering to the listener."""
        self._listeners.discard(listener)
