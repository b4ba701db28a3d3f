"""What the audit says of streams when they end, by whom and with how many bytes, and of pings that repeat."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.gate.harness import Seen, audited, exchange, listen, through_gate

from tidegate.gate.audit import ping_runs
from tidegate.gate.behind.forward import AnswerBody, Carriage
from tidegate.gate.live import Live
from tidegate.gate.presences import Presences
from tidegate.http.client import UnixClient
from tidegate.http.messages import Request, Response
from tidegate.http.server import Server
from tidegate.pki.snapshot import Snapshot

ATTACH = b"POST /containers/a/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


def of_kind(tmp_path: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in audited(tmp_path) if line["kind"] == kind]


def bound_to(role: str) -> str:
    return f'[[bindings]]\nrole = "{role}"\nuid = {os.getuid()}\n'


class Endless:
    """Says something once, and then nothing for ever."""

    def __init__(self) -> None:
        self.closed = False
        self._said = False

    def __aiter__(self) -> "Endless":
        return self

    async def __anext__(self) -> bytes:
        if self._said:
            await asyncio.Event().wait()
        self._said = True
        return b"hello"

    async def aclose(self) -> None:
        self.closed = True


def logs(body: object) -> dict[str, object]:
    return {"/containers/a/logs": Response(200, (("content-type", "application/octet-stream"),), body)}  # type: ignore[arg-type]


async def pieces(*several: bytes) -> Any:
    for piece in several:
        yield piece


def test_a_stream_that_the_engine_finishes(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        await exchange(gate, ATTACH + b"hi")

    through_gate(tmp_path, scenario)
    decision, outcome, end = audited(tmp_path)
    assert (outcome["status"], outcome["stream"]) == (101, True)
    assert (end["kind"], end["of"], end["ended_by"]) == ("end", decision["seq"], "engine")
    assert (end["received_bytes"], end["sent_bytes"]) == (2, 5)
    assert end["elapsed_ms"] >= outcome["elapsed_ms"]


def test_an_answer_that_comes_to_its_end_by_itself(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        await exchange(gate, b"GET /containers/a/logs?stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")

    through_gate(tmp_path, scenario, answers=logs(pieces(b"one", b"two")))
    (end,) = of_kind(tmp_path, "end")
    assert (end["ended_by"], end["sent_bytes"]) == ("engine", 6)


def test_a_document_has_no_end_of_its_own(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        await exchange(gate, b"GET /containers/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")

    through_gate(tmp_path, scenario, answers={"/containers/json": []})
    assert [line["kind"] for line in audited(tmp_path)] == ["decision", "outcome"]


def test_what_was_uploaded_is_counted(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        head = b"PUT /containers/a/archive?path=/ HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
        await exchange(gate, head + b"12345")

    through_gate(tmp_path, scenario)
    (outcome,) = of_kind(tmp_path, "outcome")
    assert outcome["received_bytes"] == 5


def test_a_stream_that_the_client_leaves(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        reader, writer = await asyncio.open_unix_connection(str(gate))
        writer.write(b"GET /containers/a/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n")
        await reader.readuntil(b"hello")
        writer.transport.abort()
        await until(lambda: bool(of_kind(tmp_path, "end")))

    through_gate(tmp_path, scenario, answers=logs(Endless()))
    (end,) = of_kind(tmp_path, "end")
    assert (end["ended_by"], end["sent_bytes"], end.get("reason")) == ("client", 5, None)


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


@pytest.mark.parametrize("request_head", [ATTACH, b"GET /containers/a/logs?stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n"])
def test_a_stream_that_is_cut_for_a_change_of_role(tmp_path: Path, request_head: bytes) -> None:
    live = Live(Presences())

    async def scenario(gate: Path, _seen: Seen) -> None:
        reader, _writer = await asyncio.open_unix_connection(str(gate))
        _writer.write(request_head)
        await reader.readuntil(b"\r\n\r\n")
        assert live.apply(Snapshot(generation=2, access={"access.toml": none_may()})) == 1
        assert await reader.read() in (b"", b"5\r\nhello\r\n")
        await until(lambda: bool(of_kind(tmp_path, "end")))

    def none_may() -> str:
        return bound_to("nobody") + '[roles.nobody]\nlike = "viewer"\noperations = ["SystemInfo"]\n'

    through_gate(tmp_path, scenario, role=None, live=live, access=bound_to("admin"), answers=logs(Endless()))
    (end,) = of_kind(tmp_path, "end")
    assert end["ended_by"] == "cut"
    assert "nobody" in end["reason"]


def test_a_stream_that_the_gates_own_end_ends(tmp_path: Path) -> None:
    live = Live(Presences())

    async def scenario(gate: Path, _seen: Seen) -> None:
        reader, writer = await asyncio.open_unix_connection(str(gate))
        writer.write(b"GET /containers/a/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n")
        await reader.readuntil(b"hello")
        live.presences.stop()

    through_gate(tmp_path, scenario, live=live, answers=logs(Endless()))
    assert [end["ended_by"] for end in of_kind(tmp_path, "end")] == ["stopped"]


def test_the_pings_of_a_connection_share_a_line(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        reader, writer = await asyncio.open_unix_connection(str(gate))
        for _ in range(5):
            writer.write(PING)
            await reader.readuntil(b"plain")
        writer.write(PING.replace(b"/_ping", b"/v1.41/_ping"))
        await reader.readuntil(b"plain")
        writer.close()
        await reader.read()

    log = through_gate(tmp_path, scenario)
    first, outcome, repeated, other, _ = audited(tmp_path)
    assert (first["operation"], first["allowed"], outcome["of"]) == ("SystemPing", True, first["seq"])
    assert (repeated["kind"], repeated["of"], repeated["count"]) == ("repeated", first["seq"], 4)
    assert (repeated["principal"], repeated["role"]) == (first["principal"], "admin")
    assert first["time"] < repeated["last"] <= repeated["time"]
    assert other["version"] == "1.41"
    assert log.count("SystemPing 200") == 6


def test_what_was_counted_is_told_when_the_connection_ends(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        await exchange(gate, PING * 3)

    through_gate(tmp_path, scenario)
    assert [line["kind"] for line in audited(tmp_path)] == ["decision", "outcome", "repeated"]


def test_a_run_of_pings_does_not_go_on_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping_runs, "RUN_S", 0.0)

    async def scenario(gate: Path, _seen: Seen) -> None:
        await exchange(gate, PING * 3)

    through_gate(tmp_path, scenario)
    assert [line["kind"] for line in audited(tmp_path)] == ["decision", "outcome"] * 3


def test_a_ping_that_failed_is_told(tmp_path: Path) -> None:
    async def scenario(gate: Path, _seen: Seen) -> None:
        await exchange(gate, PING * 3)

    through_gate(tmp_path, scenario, engine=False)
    (repeated,) = of_kind(tmp_path, "repeated")
    assert (repeated["count"], repeated["failed"]) == (2, 2)


def test_no_ping_is_answered_that_could_not_be_recorded(tmp_path: Path) -> None:
    room = [True]

    def write(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data)

    async def scenario(gate: Path, _seen: Seen) -> None:
        reader, writer = await asyncio.open_unix_connection(str(gate))
        writer.write(PING)
        await reader.readuntil(b"plain")
        room[0] = False
        assert (await exchange(gate, b"GET /info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")).startswith(
            b"HTTP/1.1 503"
        )
        writer.write(PING)
        assert (await reader.readuntil(b"}\n")).startswith(b"HTTP/1.1 503")
        room[0] = True
        writer.close()

    through_gate(tmp_path, scenario, write=write)


def test_an_answer_that_nobody_reads_lets_go_of_the_engine(tmp_path: Path) -> None:
    async def main() -> None:
        async def handler(_request: Request) -> Response:
            return Response(200, (), b"")

        server: Server = await listen(tmp_path / "engine", handler)
        client = UnixClient(tmp_path / "engine")
        ended = []
        answer = await client.request("HEAD", "/containers/a/archive")
        body = AnswerBody(answer, Carriage(at_end=lambda: ended.append(True)))
        await body.aclose()
        await body.aclose()
        assert ended == [True]
        again = await client.request("HEAD", "/containers/a/archive")
        assert again.body is not answer.body
        await again.close()
        await client.close()
        await server.close()

    asyncio.run(main())


def test_a_ping_is_decided_anew_when_the_policy_has_changed(tmp_path: Path) -> None:
    live = Live(Presences())
    own = '[roles.own]\nlike = "viewer"\noperations = ["SystemPing"]\n' + bound_to("own")

    async def scenario(gate: Path, _seen: Seen) -> None:
        reader, writer = await asyncio.open_unix_connection(str(gate))
        for _ in range(3):
            writer.write(PING)
            await reader.readuntil(b"plain")
        live.apply(Snapshot(generation=2, access={"access.toml": own.replace("SystemPing", "SystemInfo")}))
        writer.write(PING)
        assert (await reader.readuntil(b"}\n")).startswith(b"HTTP/1.1 403")
        writer.close()

    through_gate(tmp_path, scenario, role=None, live=live, access=own)
    assert [line["allowed"] for line in of_kind(tmp_path, "decision")] == [True, False]
    assert [line["count"] for line in of_kind(tmp_path, "repeated")] == [2]


def test_a_repeated_ping_counts_against_the_rate(tmp_path: Path) -> None:
    rate = (
        '[roles.slow]\nlike = "viewer"\noperations = ["SystemPing"]\n[roles.slow.rate]\nper_second = 0.001\nburst = 3\n'
    )

    async def scenario(gate: Path, _seen: Seen) -> None:
        answers = await exchange(gate, PING * 4)
        assert [answers.count(status) for status in (b"HTTP/1.1 200", b"HTTP/1.1 429")] == [3, 1]

    through_gate(tmp_path, scenario, role=None, access=rate + bound_to("slow"))
