"""The control connection against a scripted peer on a unix socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.base.errors import InternalError, NotFoundError, UnavailableError
from tidegate.drivers.shim.connection import ConnectionLostError, ShimConnection, error_from

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run_with(peer: Peer, path: Path, scenario: Callable[[ShimConnection], Awaitable[None]]) -> None:
    async def main() -> None:
        server = await asyncio.start_unix_server(peer, str(path))
        async with server:
            connection = await ShimConnection.open(path)
            try:
                await scenario(connection)
            finally:
                await connection.close()

    asyncio.run(main())


def test_answers_are_matched_by_id_in_any_order(tmp_path: Path) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = [json.loads(await reader.readline()) for _ in range(2)]
        for request in reversed(requests):
            writer.write(json.dumps({"id": request["id"], "ok": {"was": request["op"]}}).encode() + b"\n")
        await reader.read()
        writer.close()

    async def scenario(connection: ShimConnection) -> None:
        first, second = await asyncio.gather(connection.call("start"), connection.call("state"))
        assert (first["was"], second["was"]) == ("start", "state")

    run_with(peer, tmp_path / "s", scenario)


def test_an_error_answer_is_raised_as_its_kind(tmp_path: Path) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = json.loads(await reader.readline())["id"]
        error = {"kind": "not_found", "message": "no such container"}
        writer.write(json.dumps({"id": number, "error": error}).encode() + b"\n")
        await reader.read()
        writer.close()

    async def scenario(connection: ShimConnection) -> None:
        with pytest.raises(NotFoundError, match="no such container"):
            await connection.call("signal")

    run_with(peer, tmp_path / "s", scenario)


def test_a_lost_peer_fails_calls_under_way_later_ones_and_ends_the_events(tmp_path: Path) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"event": "exited", "container_id": "c"}\n')
        await writer.drain()
        writer.close()

    async def scenario(connection: ShimConnection) -> None:
        with pytest.raises(ConnectionLostError):
            await connection.call("start")
        event = await connection.events.get()
        assert event is not None
        assert event["container_id"] == "c"
        assert await connection.events.get() is None
        assert connection.lost
        with pytest.raises(ConnectionLostError):
            await connection.call("start")

    run_with(peer, tmp_path / "s", scenario)


def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        asyncio.run(ShimConnection.open(tmp_path / "missing"))


def test_an_unknown_kind_is_an_internal_fault() -> None:
    assert isinstance(error_from({"kind": "odd"}), InternalError)
