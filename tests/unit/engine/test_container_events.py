"""What the bus hears of a container's runs: network and volumes too, in Docker's order, each once."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from tests.unit.engine.life import Life, settle

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.events import EventFilter
from tidegate.engine.ports import RunningProcess
from tidegate.model.container import Settings, VolumeUse


def play(body: Callable[[Life], Awaitable[None]]) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        await body(life)
        await life.close()

    asyncio.run(scene())


def with_volumes(network: str = "bridge") -> NewContainer:
    document = {"HostConfig": {"Binds": ["data:/data:ro", "cache:/cache"], "NetworkMode": network}}
    volumes = (VolumeUse("data", "/data", copy_up=False), VolumeUse("cache", "/cache", copy_up=False))
    return NewContainer(
        "web", "alpine", "sha256:1", labels={"a": "b"}, document=msgspec.json.encode(document),
        settings=Settings(network=network, volumes=volumes),
    )  # fmt: skip


def test_a_run_connects_mounts_and_gives_back_before_it_dies() -> None:
    async def body(life: Life) -> None:
        container = await life.service.create(with_volumes())
        await life.service.start("web")
        life.runtime.now_ns += 7_500_000_000
        life.runtime.exit(container.id, 3)
        await settle()
        assert life.events() == [
            "container create",
            "network connect", "volume mount", "volume mount", "container start",
            "network disconnect", "volume unmount", "volume unmount", "container die",
        ]  # fmt: skip
        connect, mounts, died = (
            life.bus.past(EventFilter({"event": [action]}), None, None) for action in ("connect", "mount", "die")
        )
        assert connect[0].actor_id == "id of bridge"
        assert connect[0].attributes == {"container": container.id, "name": "bridge", "type": "bridge"}
        assert {(each.actor_id, each.attributes["read/write"]) for each in mounts} == {
            ("data", "false"),
            ("cache", "true"),
        }
        assert died[0].attributes == {
            "a": "b", "image": "alpine", "name": "web", "exitCode": "3", "execDuration": "7",
        }  # fmt: skip

    play(body)


def test_the_end_of_a_run_that_an_earlier_engine_began_is_told() -> None:
    async def body(life: Life) -> None:
        container = await life.service.create(with_volumes("host"))
        await life.service.start("web")
        life.runtime.recovered = [RunningProcess(container.id, None, 100, 1, False, None)]
        await life.reboot()
        life.runtime.exit(container.id, 0)
        await settle()
        assert life.events() == ["network disconnect", "volume unmount", "volume unmount", "container die"]

    play(body)


def test_what_could_not_be_launched_does_not_die() -> None:
    async def body(life: Life) -> None:
        await life.service.create(with_volumes())
        life.runtime.start_error = InvalidParameterError("executable file not found in $PATH")
        with pytest.raises(InvalidParameterError):
            await life.service.start("web")
        assert life.events()[-1] == "volume unmount" and "container die" not in life.events()

    play(body)
