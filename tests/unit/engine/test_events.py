"""The event bus."""

import asyncio

import pytest

from tidegate.base.errors import UnavailableError
from tidegate.engine.events import HISTORY, LISTENER_CAPACITY, EngineEvent, EventBus, EventFilter


def ticking() -> EventBus:
    times = iter(range(1, 1_000_000))
    return EventBus(lambda: next(times))


def test_the_last_256_are_replayed_and_then_what_comes() -> None:
    async def body() -> None:
        bus = ticking()
        for number in range(HISTORY + 10):
            bus.publish("container", "start", str(number), {})
        listener = bus.subscribe(EventFilter(), since_ns=0)
        bus.publish("container", "die", "x", {})
        listener.close()
        seen = [event.actor_id async for event in listener.events()]
        assert len(seen) == HISTORY + 1 and seen[0] == "10" and seen[-1] == "x"

    asyncio.run(body())


def test_past_is_bounded_by_since_and_until() -> None:
    bus = ticking()
    for name in "abcd":
        bus.publish("volume", "create", name, {})
    assert [event.actor_id for event in bus.past(EventFilter(), 2, 3)] == ["b", "c"]


def test_a_listener_that_does_not_read_is_cut_off() -> None:
    async def body() -> None:
        bus = ticking()
        listener = bus.subscribe(EventFilter())
        for _ in range(LISTENER_CAPACITY + 5):
            bus.publish("container", "start", "a", {})
        seen = 0
        with pytest.raises(UnavailableError, match="too slow"):
            async for _ in listener.events():
                seen += 1
        assert seen == LISTENER_CAPACITY

    asyncio.run(body())


@pytest.mark.parametrize(
    ("terms", "accepted"),
    [
        ({}, True),
        ({"type": ["container"], "event": ["health_status"]}, True),
        ({"type": ["image"]}, False),
        ({"container": ["web"]}, True),
        ({"container": ["abc"]}, True),
        ({"container": ["b"]}, False),
        ({"label": ["tier=1"]}, True),
        ({"label": ["tier=2"]}, False),
        ({"label": ["tier", "missing"]}, False),
        ({"image": ["alpine"]}, True),
        ({"image": ["alpine:3"]}, True),
        ({"image": ["alp"]}, False),
        ({"image": ["web"]}, False),
        ({"event": ["health_status: healthy"], "container": ["web"]}, True),
        ({"event": ["health"]}, False),
        ({"scope": ["local"]}, True),
        ({"scope": ["swarm"]}, False),
        ({"network": ["web"]}, False),
    ],
)
def test_filters(terms: dict[str, list[str]], accepted: bool) -> None:
    attributes = {"name": "web", "image": "alpine:3", "tier": "1"}
    event = EngineEvent("container", "health_status: healthy", "abcdef", attributes, 1)
    assert EventFilter(terms).accepts(event) is accepted


@pytest.mark.parametrize(
    ("image", "accepted"),
    [
        ("registry:5000/team/app", True),
        ("registry:5000/team/app:1", True),
        ("registry", False),
        ("sha256:" + "a" * 64, True),
        ("sha256", False),
    ],
)
def test_events_of_images_are_found_by_id_and_name(image: str, accepted: bool) -> None:
    event = EngineEvent("image", "tag", "sha256:" + "a" * 64, {"name": "registry:5000/team/app:1"}, 1)
    assert EventFilter({"image": [image]}).accepts(event) is accepted
