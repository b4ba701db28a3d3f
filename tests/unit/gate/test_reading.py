"""What of a request is read, and that a remembered reading is of the same request."""

import asyncio

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.gate.reading import Reading, find_operation, read_request
from tidegate.http.messages import Headers, Request


def read(method: str, target: str, *headers: tuple[str, str]) -> Reading:
    request = Request(method, target, Headers(headers))
    return asyncio.run(read_request(request, *find_operation(request)))


def test_the_same_target_is_read_once() -> None:
    first = read("GET", "/v1.41/containers/json?all=1", ("user-agent", "docker"))
    assert read("GET", "/v1.41/containers/json?all=1") is first
    assert (first.operation_id, first.query.encode()) == ("ContainerList", "all=1")
    for other in ("/v1.41/containers/json?all=0", "/v1.40/containers/json?all=1", "/containers/json?all=1"):
        assert read("GET", other) != first
    assert read("HEAD", "/_ping").operation_id != read("GET", "/_ping").operation_id


def test_what_says_more_than_its_target_is_read_anew() -> None:
    assert read("GET", "/_ping", ("content-length", "0")) is not read("GET", "/_ping")
    with pytest.raises(InvalidParameterError, match="Upgrade"):
        read("GET", "/containers/a/attach/ws", ("upgrade", "h2c"))
    attach = "/containers/a/attach/ws"
    assert read("GET", attach).upgrade == ""
    assert read("GET", attach, ("upgrade", "websocket")).upgrade == "websocket"
    assert read("POST", "/containers/a/start") is not read("POST", "/containers/a/start")
