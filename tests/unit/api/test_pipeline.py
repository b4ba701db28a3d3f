"""One request through the engine's API, over a real unix socket."""

import asyncio
import http.client
import itertools
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.api.handlers import system
from tidegate.api.pipeline import Api, Call
from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.http.messages import Response, split_target
from tidegate.http.server import Server


class UnixHTTPConnection(http.client.HTTPConnection):
    """The standard library's client on a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


async def fail(_call: Call) -> Response:
    raise ConflictError("the name is taken")


async def crash(_call: Call) -> Response:
    raise ZeroDivisionError


async def echo(call: Call) -> Response:
    await call.document_bytes()
    return Response(200, (), f"{call.parameters['id']} {call.query.flag('all')}".encode())


HANDLERS = {**system.handlers(), "ContainerStart": fail, "ContainerStop": crash, "ContainerKill": echo}


@pytest.fixture
def request_api(tmp_path: Path) -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Send one request to an API with HANDLERS; returns status, headers, body."""
    numbers = itertools.count()

    def send(method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        path = tmp_path / f"{next(numbers)}.sock"

        def client() -> tuple[int, dict[str, str], bytes]:
            connection = UnixHTTPConnection(path)
            connection.request(method, target, body or None, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            data = response.read()
            connection.close()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, data

        async def main() -> tuple[int, dict[str, str], bytes]:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            server = Server(Api(HANDLERS).handle)
            await server.listen(listener)
            try:
                return await asyncio.to_thread(client)
            finally:
                await server.close()

        return asyncio.run(main())

    return send


def test_ping_carries_what_the_cli_negotiates_by(request_api: Callable[..., tuple[int, dict[str, str], bytes]]) -> None:
    status, headers, body = request_api("GET", "/_ping")
    assert (status, body) == (200, b"OK")
    assert headers["api-version"] == "1.56"
    assert headers["ostype"] == "linux"
    assert headers["server"].startswith("Docker/")
    assert headers["swarm"] == "inactive"
    assert request_api("HEAD", "/_ping")[1]["api-version"] == "1.56"


def test_version_names_the_range_of_versions(request_api: Callable[..., tuple[int, dict[str, str], bytes]]) -> None:
    document = json.loads(request_api("GET", "/v1.41/version")[2])
    assert (document["MinAPIVersion"], document["ApiVersion"]) == ("1.24", "1.56")


@pytest.mark.parametrize(
    ("method", "target", "status", "message"),
    [
        ("GET", "/nothing", 404, "page not found"),
        ("POST", "/v1.41/swarm/init", 501, "SwarmInit is not implemented"),
        ("GET", "/v1.23/version", 400, "client version 1.23 is too old"),
        ("GET", "/v1.99/version", 400, "too new"),
        ("POST", "/containers/a/start", 409, "the name is taken"),
        ("POST", "/containers/a/stop", 500, "ZeroDivisionError"),
        ("GET", "/containers//json", 400, "invalid request path"),
        ("POST", "/containers/a/kill?x=%ff", 400, "invalid query"),
    ],
)
def test_an_error_is_a_message_with_its_status_and_the_usual_headers(
    request_api: Callable[..., tuple[int, dict[str, str], bytes]], method: str, target: str, status: int, message: str
) -> None:
    got, headers, body = request_api(method, target)
    assert got == status
    assert message in json.loads(body)["message"]
    assert headers["api-version"] == "1.56"


def test_a_body_that_is_no_json_by_its_own_word_is_refused(
    request_api: Callable[..., tuple[int, dict[str, str], bytes]],
) -> None:
    status, _, body = request_api("POST", "/containers/a/kill", b"x=1", Content_Type="text/plain")
    assert status == 400
    assert "Content-Type" in json.loads(body)["message"]


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("", False), ("0", False), ("no", False), ("False", False), ("none", False), ("1", True), ("yes", True)],
)
def test_booleans_are_read_as_docker_reads_them(
    request_api: Callable[..., tuple[int, dict[str, str], bytes]], value: str, meaning: bool
) -> None:
    assert request_api("POST", f"/containers/abc/kill?all={value}")[2] == f"abc {meaning}".encode()


def test_targets_in_both_forms() -> None:
    assert split_target("/a?b=c") == ("/a", "b=c")
    assert split_target("http://docker/v1.41/info?x=1") == ("/v1.41/info", "x=1")
    with pytest.raises(InvalidParameterError):
        split_target("*")
