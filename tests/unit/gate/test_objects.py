"""Owners as an engine on a real socket tells them; what may be remembered and what may not."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.access.asked import Subject
from tidegate.base.errors import InternalError, NotFoundError, UnavailableError
from tidegate.gate.behind.objects import Found, Objects
from tidegate.http.client import UnixClient
from tidegate.http.messages import Request, Response
from tidegate.http.server import Server

Shown = dict[str, tuple[int, object]]


def with_engine(tmp_path: Path, shown: Shown, scenario: Callable[[Objects], Awaitable[None]]) -> list[str]:
    """Run before an engine that shows ``shown`` by target; returns the targets it was asked for."""
    asked: list[str] = []

    async def handle(request: Request) -> Response:
        asked.append(request.target)
        status, document = shown.get(request.target, (404, {"message": f"no such thing: {request.target}"}))
        return Response(status, (), json.dumps(document).encode())

    async def main() -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "engine"))
        server = Server(handle)
        await server.listen(sock)
        client = UnixClient(tmp_path / "engine")
        try:
            async with asyncio.timeout(20):
                await scenario(Objects(client))
        finally:
            await client.close()
            await server.close(grace_s=0.1)

    asyncio.run(main())
    return asked


def labelled(owner: str) -> dict[str, object]:
    return {"Labels": {"tidegate.owner": owner, "x": "y"}}


@pytest.mark.parametrize(
    ("kind", "name", "target", "document", "found"),
    [
        ("container", "web", "/containers/web/json", {"Id": "c1", "Config": labelled("a")}, Found("c1", "a")),
        ("container", "web", "/containers/web/json", {"Id": "c1", "Config": {"Labels": None}}, Found("c1", "")),
        ("image", "a/b:1", "/images/a/b:1/json", {"Id": "sha256:1", "Config": labelled("b")}, Found("sha256:1", "b")),
        ("image", "bare", "/images/bare/json", {"Id": "sha256:2"}, Found("sha256:2", "")),
        ("network", "n", "/networks/n", {"Id": "n1", **labelled("c")}, Found("n1", "c")),
        ("volume", "v", "/volumes/v", {"Name": "v", **labelled("d")}, Found("v", "d")),
        ("service", "s", "/services/s", {"ID": "s1", "Spec": labelled("e")}, Found("s1", "e")),
        ("volume", "a?b", "/volumes/a%3Fb", {"Name": "a?b"}, Found("a?b", "")),
    ],
)
def test_the_owner_is_what_the_label_says(
    tmp_path: Path, kind: str, name: str, target: str, document: object, found: Found
) -> None:
    async def scenario(objects: Objects) -> None:
        assert await objects.find(kind, name) == found

    with_engine(tmp_path, {target: (200, document)}, scenario)


def test_an_object_is_described_as_the_engine_calls_it(tmp_path: Path) -> None:
    shown: Shown = {
        "/containers/c1/json": (200, {"Id": "c1", "Name": "/web", "Config": {"Labels": {"a": "b"}}}),
        "/exec/e1/json": (200, {"ID": "e1", "ContainerID": "c1"}),
        "/networks/n1": (200, {"Id": "n1", "Name": "back", "Labels": None}),
    }

    async def scenario(objects: Objects) -> None:
        for kind, name in (("container", "c1"), ("exec", "e1")):
            assert await objects.describe(kind, name) == Subject(name, "web", {"a": "b"})
        assert await objects.describe("network", "n1") == Subject("n1", "back", {})

    with_engine(tmp_path, shown, scenario)


def test_ids_are_remembered_and_names_are_not(tmp_path: Path) -> None:
    shown: Shown = {"/containers/web/json": (200, {"Id": "c1", "Config": labelled("a")})}

    async def scenario(objects: Objects) -> None:
        assert await objects.find("container", "web") == Found("c1", "a")
        assert await objects.find("container", "c1") == Found("c1", "a")
        shown["/containers/web/json"] = (200, {"Id": "c2", "Config": labelled("b")})
        assert await objects.find("container", "web") == Found("c2", "b")

    assert with_engine(tmp_path, shown, scenario) == ["/containers/web/json", "/containers/web/json"]


def test_an_exec_belongs_to_who_owns_its_container(tmp_path: Path) -> None:
    shown: Shown = {
        "/exec/e1/json": (200, {"ID": "e1", "ContainerID": "c1"}),
        "/containers/c1/json": (200, {"Id": "c1", "Config": labelled("a")}),
    }

    async def scenario(objects: Objects) -> None:
        for _ in range(3):
            assert await objects.find("exec", "e1") == Found("e1", "a")

    assert with_engine(tmp_path, shown, scenario) == ["/exec/e1/json", "/containers/c1/json"]


def test_what_is_missing_or_broken_is_said_in_the_engines_words(tmp_path: Path) -> None:
    shown: Shown = {
        "/networks/n": (200, {"Name": "n"}),
        "/volumes/v": (500, {"message": "disk on fire"}),
        "/images/i/json": (200, ["no object"]),
    }

    async def scenario(objects: Objects) -> None:
        with pytest.raises(NotFoundError, match="no such thing: /containers/x/json"):
            await objects.find("container", "x")
        with pytest.raises(InternalError, match="no Id"):
            await objects.find("network", "n")
        with pytest.raises(UnavailableError, match="disk on fire"):
            await objects.find("volume", "v")
        with pytest.raises(InternalError, match="no JSON object"):
            await objects.find("image", "i")

    with_engine(tmp_path, shown, scenario)
