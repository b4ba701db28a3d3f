"""Plugins on real sockets: what they are told, and that nothing but a clear yes lets a request pass."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.access.principal import UnknownPrincipal
from tidegate.access.verdict import Verdict
from tidegate.base.errors import ForbiddenError, InternalError, InvalidParameterError
from tidegate.gate.behind.authz_plugins import AuthzPlugins, Question, find_plugin
from tidegate.gate.behind.forward import Sending
from tidegate.gate.live import Identity
from tidegate.gate.screening import Screening
from tidegate.http.client import UnixClient
from tidegate.http.messages import BytesBody, Headers, Request, Response
from tidegate.http.server import Server

Asked = list[tuple[str, dict[str, object]]]
QUESTION = Question(
    user="alice",
    certificate=None,
    method="POST",
    target="/v1.41/containers/create",
    headers=[("content-type", "application/json"), ("x-registry-auth", "c2VjcmV0"), ("x-a", "1"), ("x-a", "2")],
    body=b'{"Image":"a"}',
)


def with_plugins(
    tmp_path: Path, answers: dict[str, Response | None], scenario: Callable[[AuthzPlugins], Awaitable[None]]
) -> Asked:
    """Run with a plugin for each name; None is a plugin whose socket is gone. Returns what they were asked."""
    asked: Asked = []

    def handler(answer: Response) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            body = await request.read_all(1 << 26)
            asked.append((request.target, json.loads(body) if body else {}))
            if request.target == "/Plugin.Activate":
                return Response(200, (), b'{"Implements":["authz"]}')
            return answer

        return handle

    async def main() -> None:
        servers = []
        clients = []
        for name, answer in answers.items():
            clients.append((name, UnixClient(tmp_path / name)))
            if answer is None:
                continue
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(str(tmp_path / name))
            servers.append(Server(handler(answer)))
            await servers[-1].listen(sock)
        plugins = AuthzPlugins(clients)
        try:
            async with asyncio.timeout(20):
                await scenario(plugins)
        finally:
            await plugins.close()
            for server in servers:
                await server.close(grace_s=0.1)

    asyncio.run(main())
    return asked


def yes() -> Response:
    return Response(200, (), b'{"Allow":true}')


def test_a_plugin_sees_the_request_but_no_credentials(tmp_path: Path) -> None:
    async def scenario(plugins: AuthzPlugins) -> None:
        await plugins.authorize_request(QUESTION)
        await plugins.authorize_response(QUESTION, 201, [("Content-Type", "application/json")], b'{"Id":"1"}')

    asked = with_plugins(tmp_path, {"p": yes()}, scenario)
    assert [path for path, _ in asked] == ["/Plugin.Activate", "/AuthZPlugin.AuthZReq", "/AuthZPlugin.AuthZRes"]
    request, response = asked[1][1], asked[2][1]
    assert request["User"] == "alice"
    assert request["RequestMethod"] == "POST"
    assert request["RequestUri"] == "/v1.41/containers/create"
    assert base64.b64decode(str(request["RequestBody"])) == QUESTION.body
    assert request["RequestHeaders"] == {"Content-Type": "application/json", "X-A": "2"}
    assert response["ResponseStatusCode"] == 201
    assert base64.b64decode(str(response["ResponseBody"])) == b'{"Id":"1"}'


def test_the_certificate_is_shown_as_pem(tmp_path: Path) -> None:
    async def scenario(plugins: AuthzPlugins) -> None:
        await plugins.authorize_request(Question("bob", b"\x30\x03\x02\x01\x05", "GET", "/info", (), b""))

    sent = with_plugins(tmp_path, {"p": yes()}, scenario)[1][1]
    assert sent["UserAuthNMethod"] == "TLS"
    certificates = sent["RequestPeerCertificates"]
    assert isinstance(certificates, list)
    assert base64.b64decode(certificates[0]).startswith(b"-----BEGIN CERTIFICATE-----")
    assert "RequestBody" not in sent


def test_a_body_of_megabytes_is_shown_whole(tmp_path: Path) -> None:
    body = b"x" * (3 << 20)

    async def scenario(plugins: AuthzPlugins) -> None:
        await plugins.authorize_request(Question("bob", None, "POST", "/info", (), body))

    sent = with_plugins(tmp_path, {"p": yes()}, scenario)[1][1]
    assert base64.b64decode(str(sent["RequestBody"])) == body


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Response(200, (), b'{"Allow":false,"Msg":"not you"}'), ForbiddenError, "denied by plugin p: not you"),
        (Response(200, (), b"{}"), ForbiddenError, "authorization denied by plugin p"),
        (Response(200, (), b'{"Allow":true,"Err":"broken"}'), InternalError, "plugin p failed with error"),
        (Response(200, (), b'{"Allow":"yes"}'), InternalError, "plugin p failed with error"),
        (Response(200, (), b""), InternalError, "plugin p failed with error"),
        (Response(500, (), b'{"Allow":true}'), InternalError, "status 500"),
        (None, InternalError, "plugin p failed with error"),
    ],
)
def test_nothing_but_a_clear_yes_lets_a_request_pass(
    tmp_path: Path, answer: Response | None, error: type[Exception], message: str
) -> None:
    async def scenario(plugins: AuthzPlugins) -> None:
        with pytest.raises(error, match=message):
            await plugins.authorize_request(QUESTION)

    with_plugins(tmp_path, {"p": answer}, scenario)


@pytest.mark.parametrize(
    ("operation_id", "shown"), [("ContainerList", b'[{"Id":"1"}]'), ("SystemEvents", None), ("ContainerWait", None)]
)
def test_a_document_in_chunks_is_shown_whole_and_a_stream_passes(
    tmp_path: Path, operation_id: str, shown: bytes | None
) -> None:
    """As engines send every document of more than 2 KB: without a length."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b'[{"Id":'
        yield b'"1"}]'

    async def scenario(plugins: AuthzPlugins) -> None:
        identity = Identity(UnknownPrincipal(""), "admin")
        request = Request("GET", "/x", Headers(), BytesBody())
        screening = Screening(plugins, identity, request, Sending("GET", "/x", (), None), Verdict(True, "", ""))
        answer = Response(200, (("Content-Type", "application/json"),), pieces())
        passed = await screening.screen(operation_id, answer)
        assert isinstance(passed, Response)
        assert isinstance(passed.body, bytes) is (shown is not None)

    ((_, asked),) = [each for each in with_plugins(tmp_path, {"p": yes()}, scenario) if each[0].endswith("AuthZRes")]
    assert asked.get("ResponseBody") == (None if shown is None else base64.b64encode(shown).decode())


def test_every_plugin_must_allow(tmp_path: Path) -> None:
    async def scenario(plugins: AuthzPlugins) -> None:
        with pytest.raises(ForbiddenError, match="plugin second"):
            await plugins.authorize_request(QUESTION)

    with_plugins(tmp_path, {"first": yes(), "second": Response(200, (), b'{"Allow":false}')}, scenario)


def test_others_are_asked_from_one_moment_on(tmp_path: Path) -> None:
    async def scenario(plugins: AuthzPlugins) -> None:
        await plugins.authorize_request(QUESTION)
        plugins.replace([("gone", UnixClient(tmp_path / "gone"))])
        with pytest.raises(InternalError, match="plugin gone failed"):
            await plugins.authorize_request(QUESTION)
        plugins.replace([])
        await plugins.authorize_request(QUESTION)
        assert not plugins

    asked = with_plugins(tmp_path, {"p": yes()}, scenario)
    assert [path for path, _ in asked] == ["/Plugin.Activate", "/AuthZPlugin.AuthZReq"]


def test_plugins_are_found_where_dockerd_looks(tmp_path: Path) -> None:
    sockets, specs = tmp_path / "run", tmp_path / "etc"
    (sockets / "b").mkdir(parents=True)
    specs.mkdir()
    held = []
    for path in (sockets / "a.sock", sockets / "b" / "b.sock"):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].bind(str(path))
    (specs / "c.spec").write_text("unix:///run/c.sock\n")
    (specs / "d.json").write_text('{"Name":"d","Addr":"unix:///run/d.sock"}')
    (specs / "e.spec").write_text("tcp://127.0.0.1:9\n")
    assert find_plugin("a", sockets, [specs]) == sockets / "a.sock"
    assert find_plugin("b", sockets, [specs]) == sockets / "b" / "b.sock"
    assert find_plugin("c", sockets, [specs]) == Path("/run/c.sock")
    assert find_plugin("d", sockets, [specs]) == Path("/run/d.sock")
    for name, message in (("e", "only unix://"), ("f", "not found"), ("../a", "no plugin name")):
        with pytest.raises(InvalidParameterError, match=message):
            find_plugin(name, sockets, [specs])
    for sock in held:
        sock.close()
