"""The forwarder as the engine has it: started, found again, revived, and ended with its work."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.drivers.logs.remote_logs import append, remote_log

from tidegate.base.errors import InternalError
from tidegate.drivers.logs.forwarding.places import Places
from tidegate.drivers.logs.forwarding.process import LogForwarder
from tidegate.engine.logging.remote import RemoteLog

ID = remote_log().container_id


class Peer:
    """A syslog server on loopback."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.lines.append(line.decode().partition(": ")[2].strip())
        writer.close()


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[Peer, RemoteLog]]:
    made = Peer()
    server = await asyncio.start_server(made.converse, "127.0.0.1", 0)
    yield made, remote_log(syslog_address=f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def play(tmp_path: Path, body: Callable[[Places], Awaitable[None]]) -> None:
    async def main() -> None:
        await body(Places(tmp_path / "logs"))

    asyncio.run(main())


def holder(forwarder: LogForwarder) -> int | None:
    return forwarder._holder()


def test_it_is_started_revived_and_ends(tmp_path: Path) -> None:
    async def body(places: Places) -> None:
        forwarder = LogForwarder(places)
        await forwarder.end("nobody")
        await forwarder.recover([])
        assert holder(forwarder) is None
        async with peer() as (server, remote):
            await forwarder.begin(remote, places.log(ID))
            append(places.log(ID), 1)
            await until(lambda: server.lines == ["line 1"])
            first = holder(forwarder)
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: holder(forwarder) not in (None, first))
            append(places.log(ID), 2)
            await until(lambda: server.lines[-1:] == ["line 2"])
            await forwarder.end(ID)
            await until(lambda: holder(forwarder) is None)
            assert places.log(ID).exists()
            await forwarder.remove(ID)
            await until(lambda: not places.log(ID).exists())
        await forwarder.close()

    play(tmp_path, body)


def test_the_next_engine_finds_it_and_what_was_left(tmp_path: Path) -> None:
    async def body(places: Places) -> None:
        engine = LogForwarder(places)
        async with peer() as (server, remote):
            await engine.begin(remote, places.log(ID))
            await until(lambda: holder(engine) is not None)
            await engine.close()
            heir = LogForwarder(places)
            await heir.recover([ID])
            pid = holder(heir)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda: holder(heir) not in (None, pid))
            append(places.log(ID), 1)
            await until(lambda: server.lines == ["line 1"])
            await heir.close()
            last = LogForwarder(places)
            await last.recover([])
            await until(lambda: not list(places.ids()))
            await until(lambda: holder(last) is None)
            await last.close()

    play(tmp_path, body)


def test_an_assignment_that_was_damaged_stops_nothing(tmp_path: Path) -> None:
    async def body(places: Places) -> None:
        places.make()
        (places.assigned / f"{ID}.json").write_bytes(b"")
        forwarder = LogForwarder(places)
        await forwarder.recover([ID])
        await forwarder.end(ID)
        async with peer() as (server, remote):
            await forwarder.begin(remote, places.log(ID))
            append(places.log(ID), 1)
            await until(lambda: server.lines == ["line 1"])
            (places.assigned / f"{ID}.json").write_bytes(b"{")
            await forwarder.remove(ID)
            assert not list(places.ids())
            pid = holder(forwarder)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        await forwarder.close()

    play(tmp_path, body)


def test_a_log_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    async def body(places: Places) -> None:
        with pytest.raises(InternalError, match="not where the forwarder looks"):
            await LogForwarder(places).begin(remote_log(), tmp_path / "other.log")

    play(tmp_path, body)
