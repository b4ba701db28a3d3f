"""What all RemoteLogs keep: run on the forwarder and on the fake."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from tests.fakes.remote_logs import FakeRemoteLogs
from tests.unit.drivers.logs.remote_logs import remote_log

from tidegate.drivers.logs.forwarding.places import Places
from tidegate.drivers.logs.forwarding.process import LogForwarder
from tidegate.engine.logging.remote import RemoteLog, RemoteLogs, Undelivered

ONE, TWO = "1" * 64, "2" * 64


class Opened(NamedTuple):
    """``stage`` of a container that is gone, or was never there, is None or ``removed``."""

    logs: RemoteLogs
    path: Callable[[str], Path]
    stage: Callable[[str], str | None]

    async def begin(self, container_id: str) -> None:
        log: RemoteLog = replace(remote_log(syslog_address="udp://127.0.0.1:9"), container_id=container_id)
        await self.logs.begin(log, self.path(container_id))

    def stages(self, names: Collection[str] = (ONE, TWO)) -> list[str]:
        return [self.stage(name) or "removed" for name in names]


Opener = Callable[[], AbstractAsyncContextManager[Opened]]


@pytest.fixture(params=["forwarder", "fake"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    @asynccontextmanager
    async def forwarder() -> AsyncIterator[Opened]:
        places = Places(tmp_path / "logs")
        made = LogForwarder(places)

        def stage(container_id: str) -> str | None:
            assignment = places.read(container_id)
            return assignment and assignment.stage.value

        yield Opened(made, places.log, stage)
        await made.recover([])
        async with asyncio.timeout(20):
            while made._holder() is not None or list(places.ids()):
                await asyncio.sleep(0.01)
        await made.close()

    @asynccontextmanager
    async def fake() -> AsyncIterator[Opened]:
        made = FakeRemoteLogs()
        yield Opened(made, lambda name: tmp_path / name, made.stages.get)

    return forwarder if request.param == "forwarder" else fake


def test_a_container_runs_ends_runs_again_and_goes(opened: Opener) -> None:
    async def body() -> None:
        async with opened() as world:
            await world.begin(ONE)
            await world.begin(ONE)
            await world.begin(TWO)
            assert world.stages() == ["running", "running"]
            assert world.logs.undelivered() == {ONE: Undelivered(0, 0), TWO: Undelivered(0, 0)}
            for _ in range(2):
                await world.logs.end(ONE)
                assert world.stages() == ["ended", "running"]
            await world.begin(ONE)
            assert world.stages() == ["running", "running"]
            for _ in range(2):
                await world.logs.remove(ONE)
                await world.logs.end(ONE)
                assert world.stages() == ["removed", "running"]

    asyncio.run(body())


def test_others_are_none_of_its_business(opened: Opener) -> None:
    async def body() -> None:
        async with opened() as world:
            await world.logs.end(ONE)
            await world.logs.remove(ONE)
            assert world.stages() == ["removed", "removed"]

    asyncio.run(body())


def test_at_boot_what_is_not_on_record_goes(opened: Opener) -> None:
    async def body() -> None:
        async with opened() as world:
            await world.begin(ONE)
            await world.begin(TWO)
            await world.logs.recover([TWO, "3" * 64])
            assert world.stages() == ["removed", "running"]

    asyncio.run(body())
