"""The gate before an engine's API, both on real sockets; what is refused never reaches the engine."""

import asyncio
import errno
import io
import json
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tidegate.access.principal import CertificatePrincipal, UnixPrincipal, UnknownPrincipal
from tidegate.gate.audit import AuditLog
from tidegate.gate.audit_sinks import FileSink
from tidegate.gate.doors import Door
from tidegate.gate.forward import splice
from tidegate.gate.ping import MOST_AGE_S, PingCache
from tidegate.gate.pipeline import Gate, canonical_target, principal_of
from tidegate.gate.request_log import RequestLog
from tidegate.http.client import UnixClient
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.messages import Peer, Request, Response
from tidegate.http.server import Server
from tidegate.spec.audit_chain import genesis
from tidegate.spec.audit_verify import Walk, pieces_of
from tidegate.spec.catalogue import match

Seen = list[tuple[str, str, bytes]]


def through_gate(
    tmp_path: Path,
    scenario: Callable[[Path, Seen], Awaitable[None]],
    engine: bool = True,
    write: Callable[[int, bytes], int] = os.write,
) -> str:
    """Run ``scenario`` with the gate's socket; ``Seen`` collects what the engine got. Returns the request log.

    The audit is in ``tmp_path / "audit"``, by way of ``write``.
    """
    seen: Seen = []
    log = io.BytesIO()
    fd = os.open(tmp_path / "audit", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def engine_handler(request: Request) -> Response | Hijack:
        body = await request.read_all(1 << 20)
        seen.append((request.method, request.target, body))
        if "attach" in request.target:

            async def echo(stream: Stream) -> None:
                while data := await stream.read():
                    await stream.write(data.upper())
                await stream.write(b"end")
                stream.write_eof()

            return Hijack(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", echo)
        return Response(200, (("X-Engine", "yes"),), body[::-1] or b"plain")

    async def listen(name: str, handler: Callable[[Request], Awaitable[Response | Hijack]]) -> Server:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / name))
        server = Server(handler)
        await server.listen(sock)
        return server

    async def main() -> None:
        servers = [await listen("engine", engine_handler)] if engine else []
        client = UnixClient(tmp_path / "engine")
        requests = RequestLog(log.write)
        audit = AuditLog("key/gate-1", genesis("key/gate-1"), FileSink(fd, 0, write))
        servers.append(await listen("gate", partial(Gate(client, requests, audit).handle, Door("unix"))))
        try:
            async with asyncio.timeout(20):
                await scenario(tmp_path / "gate", seen)
        finally:
            await client.close()
            for server in servers:
                await server.close(grace_s=0.1)
            requests.flush()
            await audit.close()

    asyncio.run(main())
    return log.getvalue().decode()


async def exchange(gate: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(gate))
    writer.write(request)
    writer.write_eof()
    data = await reader.read()
    writer.close()
    return data


def test_a_request_is_sent_on_in_canonical_form_with_its_body(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        body = b"abc"
        line = b"POST /v1.41/containers/%63reate?name=x HTTP/1.1\r\n"
        head = line + b"Host: d\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        answer = await exchange(gate, head + body)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"cba")
        assert b"x-engine: yes" in answer.lower()
        assert seen == [("POST", "/v1.41/containers/create?name=x", b"abc")]

    log = through_gate(tmp_path, scenario)
    assert "unix POST ContainerCreate 200 " in log
    assert "uid=" in log


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"POST /grpc", 404),
        (b"GET /v1.41/nothing", 404),
        (b"POST /containers//create", 400),
        (b"POST /containers/../create", 400),
    ],
)
def test_what_is_no_operation_never_reaches_the_engine(tmp_path: Path, line: bytes, status: int) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await exchange(gate, line + b" HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert "message" in json.loads(answer.partition(b"\r\n\r\n")[2])
        assert seen == []

    through_gate(tmp_path, scenario)


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    """What the audit says, which is whole."""
    content = (tmp_path / "audit").read_bytes()
    assert Walk("key/gate-1", lambda _message, _signature: True).run(pieces_of("f", [content])).findings == []
    return [json.loads(line) for line in content.splitlines()]


def test_a_decision_and_its_outcome_are_in_the_audit(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        await exchange(gate, b"POST /v1.41/containers/web/start HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        await exchange(gate, b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        await exchange(gate, b"POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")

    through_gate(tmp_path, scenario)
    decided, outcome, refused, answer = audited(tmp_path)
    assert decided["kind"] == "decision" and decided["allowed"] is True
    assert (decided["operation"], decided["object"], decided["version"]) == ("ContainerStart", "web", "1.41")
    assert decided["principal"].startswith("uid=")
    assert (outcome["kind"], outcome["of"], outcome["status"]) == ("outcome", decided["seq"], 200)
    assert (refused["operation"], refused["object"], refused["allowed"]) == ("-", "/grpc", False)
    assert answer["status"] == 404


def test_what_cannot_be_audited_never_reaches_the_engine(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await exchange(gate, b"GET /info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"tidegate: the audit cannot be written (No space left on device)" in answer
        assert seen == []

    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    through_gate(tmp_path, scenario, write=full)


def test_pings_are_answered_from_what_the_engine_said_a_moment_ago(tmp_path: Path) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answers = [
            await exchange(gate, b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n") for _ in range(5)
        ]
        assert all(answer.endswith(b"plain") and b"x-engine: yes" in answer.lower() for answer in answers)
        assert len(seen) == 1

    assert through_gate(tmp_path, scenario).count("SystemPing 200") == 5


def test_an_old_ping_is_asked_again_and_a_failed_one_not_remembered() -> None:
    now_s = [100.0]
    answers = [Response(200, (), b"one"), Response(503), Response(200, (), b"two")]

    async def ask() -> Response:
        return answers.pop(0)

    async def main() -> None:
        pings = PingCache(lambda: now_s[0])
        got = []
        for step_s in (0.0, MOST_AGE_S / 2, MOST_AGE_S, 0.0, 0.0):
            now_s[0] += step_s
            response = await pings.answer("GET", "/_ping", ask)
            assert isinstance(response, Response)
            got.append((response.status, response.body))
        assert got == [(200, b"one"), (200, b"one"), (503, b""), (200, b"two"), (200, b"two")]

    asyncio.run(main())


def test_an_engine_that_is_away_is_a_503_that_says_so(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        answer = await exchange(gate, b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"the engine behind the gate does not answer" in answer

    through_gate(tmp_path, scenario, engine=False)


def test_a_taken_over_connection_carries_both_ways_and_half_closes(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        head = b"POST /containers/a/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        answer = await exchange(gate, head + b"hi")
        first, _, rest = answer.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 101 UPGRADED")
        assert rest == b"HIend"

    through_gate(tmp_path, scenario)


def test_what_a_client_sent_before_it_left_is_passed_on() -> None:
    taken: list[bytes] = []

    class Left:
        """A client that is gone: what it sent can be read, and nothing be written."""

        def __init__(self) -> None:
            self._sent = [b"typed ", b"text", b""]

        async def read(self) -> bytes:
            return self._sent.pop(0)

        async def write(self, data: bytes) -> None:
            raise ConnectionResetError

        async def wait_closed(self) -> None:
            """It is."""

        def close(self) -> None:
            """Again."""

    class Engine(Left):
        """Has output for the client, and takes its input some turns of the loop later."""

        async def write(self, data: bytes) -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            taken.append(data)

        def write_eof(self) -> None:
            taken.append(b"")

        def close(self) -> None:
            taken.append(b"closed")

    asyncio.run(asyncio.wait_for(splice(Left(), Engine()), 20))  # type: ignore[arg-type]
    assert taken == [b"typed ", b"text", b"", b"closed"]


def test_who_is_there_is_read_from_the_listener() -> None:
    subject = {"subject": ((("commonName", "alice"),),)}
    assert isinstance(principal_of(Peer("1.2.3.4:5", b"der", subject=subject)), CertificatePrincipal)
    assert principal_of(Peer(credentials=(7, 1000, 100))) == UnixPrincipal(1000, 100, 7)
    assert principal_of(Peer("1.2.3.4:5")) == UnknownPrincipal("1.2.3.4:5")


def test_names_are_encoded_once() -> None:
    found = match("GET", "/v1.41/images/a%20b%2fc:1/json")
    assert canonical_target(found, "x=%2f") == "/v1.41/images/a%20b/c:1/json?x=%2f"
