"""GET /events: which events a version sees, in which media type, and what is refused."""

import asyncio
import json
from urllib.parse import quote

import msgspec
import pytest

from tidegate.api.handlers.events import EventHandlers
from tidegate.api.media_types import choose_media_type
from tidegate.api.pipeline import Api
from tidegate.engine.events import EventBus
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Headers, Request

NOW_NS = 2_000_000_000


def ask(target: str, accept: str = "") -> tuple[int, str, bytes]:
    """Status, media type and body of an answer about the past, in which an image and a container appeared."""

    async def story() -> tuple[int, str, bytes]:
        bus = EventBus(lambda: NOW_NS)
        bus.publish("image", "create", "sha256:1", {"name": "sha256:1"})
        bus.publish("image", "tag", "sha256:1", {"name": "app:1"})
        bus.publish("container", "create", "c1", {"image": "app:1", "name": "web"})
        bus.publish("network", "connect", "n1", {"container": "c1"})
        api = Api({"SystemEvents": EventHandlers(bus, lambda: 3_000_000_000).stream})
        headers = Headers([("Accept", accept)] if accept else [])
        answer = await api.handle(Request("GET", target, headers))
        assert not isinstance(answer, Hijack)
        body = answer.body if isinstance(answer.body, bytes) else b"".join([piece async for piece in answer.body])
        return answer.status, Headers(answer.headers).get("content-type") or "", body

    return asyncio.run(story())


def test_the_newest_version_gets_lines_of_json_without_fields_of_old() -> None:
    status, media_type, body = ask("/events?until=2.5")
    shown = [json.loads(line) for line in body.splitlines()]
    assert (status, media_type) == (200, "application/jsonl")
    assert [event["Action"] for event in shown] == ["create", "tag", "create", "connect"]
    assert shown[2] == {
        "Type": "container",
        "Action": "create",
        "Actor": {"ID": "c1", "Attributes": {"image": "app:1", "name": "web"}},
        "scope": "local",
        "time": 2,
        "timeNano": NOW_NS,
    }


def test_older_versions_get_the_fields_of_old_for_containers_and_images() -> None:
    status, media_type, body = ask("/v1.45/events?until=2.5")
    tag, container, network = (json.loads(line) for line in body.splitlines())
    assert (status, media_type) == (200, "application/json")
    assert (tag["status"], tag["id"], tag.get("from")) == ("tag", "sha256:1", None)
    assert (container["status"], container["id"], container["from"]) == ("create", "c1", "app:1")
    assert "status" not in network


def test_a_sequence_has_a_separator_before_each_document() -> None:
    _, media_type, body = ask(
        "/v1.41/events?until=2.5&filters=" + quote('{"type":["container"]}'), "application/json-seq"
    )
    assert media_type == "application/json-seq"
    assert body.startswith(b"\x1e{") and body.endswith(b"}\n") and body.count(b"\x1e") == body.count(b"\n") == 1


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/*", ""),
        ("application/json", ""),
        ("Application/X-NDJSON", "application/x-ndjson"),
        ("application/json-seq, application/jsonl", "application/jsonl"),
        ("application/jsonl;q=0.5, application/json-seq; q=0.9", "application/json-seq"),
        ("application/jsonl;q=0", ""),
        ("application/jsonl;q=oops", ""),
    ],
)
def test_only_a_type_that_is_named_is_chosen(accept: str, chosen: str) -> None:
    offered = ("application/jsonl", "application/x-ndjson", "application/json-seq")
    assert choose_media_type(accept, offered) == chosen


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=5&until=4", "cannot be after"),
        ("since=yesterday", "invalid value for 'since'"),
        ("filters=" + quote('{"pod":["x"]}'), "invalid filter 'pod'"),
    ],
)
def test_what_makes_no_sense_is_refused(query: str, words: str) -> None:
    status, _, body = ask(f"/events?{query}")
    assert status == 400 and words in msgspec.json.decode(body)["message"]
