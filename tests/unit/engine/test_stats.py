"""Samples and what is told of them, on fakes: time passes when somebody waits."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from tests.unit.engine.life import Life, settle

from tidegate.api.views.stats import stats_view
from tidegate.base.errors import NotFoundError
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.stats import FIRST_LOOK_S, Meters, StatsService
from tidegate.kernel.cgroups.usage import CgroupUsage, CPUUsage, MemoryUsage
from tidegate.kernel.host_usage import InterfaceUsage
from tidegate.model.container import Settings

SECOND_NS = 1_000_000_000


class World:
    """A container that uses half of one of two processors."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.looks = 0
        self.waits: list[float] = []
        meters = Meters(self.usage, lambda: 2 * life.now_ns, self.interfaces)
        self.service = StatsService(life.service, meters, lambda: life.now_ns, self.pause)

    def usage(self, container_id: str) -> CgroupUsage:
        self.looks += 1
        return CgroupUsage(CPUUsage(self.life.now_ns // 2), MemoryUsage(4096, None, counters={"anon": 1}), 3)

    def interfaces(self, pid: int) -> Mapping[str, InterfaceUsage]:
        return {"eth0": InterfaceUsage(pid)}

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.life.now_ns += int(seconds * SECOND_NS)
        await asyncio.sleep(0)


def play(body: Callable[[World], Awaitable[None]], settings: Settings | None = None) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        await life.service.create(NewContainer("web", "demo", "sha256:1", settings=settings or Settings()))
        try:
            await asyncio.wait_for(body(World(life)), 30)
        finally:
            await life.close()

    asyncio.run(scene())


def test_who_asks_once_gets_a_rate_without_waiting_if_the_sampler_was_there() -> None:
    async def body(world: World) -> None:
        await world.life.service.start("web")
        sampling = asyncio.create_task(world.service.run())
        while not world.waits:
            await asyncio.sleep(0.001)
        sampling.cancel()
        waits = len(world.waits)
        world.life.now_ns += 2 * SECOND_NS
        now, before = (await world.service.once("web"))[1:]
        assert now is not None and before is not None
        assert (now.usage.cpu.total_ns - before.usage.cpu.total_ns) * 4 == now.host_cpu_ns - before.host_cpu_ns
        assert len(world.waits) == waits

    play(body)


def test_a_container_not_seen_before_is_looked_at_twice() -> None:
    async def body(world: World) -> None:
        await world.life.service.start("web")
        reading = await world.service.once("web")
        assert reading.now is not None and reading.before is not None
        assert (world.waits, world.looks) == ([FIRST_LOOK_S], 2)
        shot = await world.service.once("web", one_shot=True)
        assert (shot.before, world.looks) == (None, 2)

    play(body)


def test_streams_share_what_is_read_and_end_with_the_container() -> None:
    async def body(world: World) -> None:
        await world.life.service.start("web")
        stream = await world.service.stream("web")
        first, second = await anext(stream), await anext(stream)
        assert second.before == first.now
        looks = world.looks
        await world.service.once("web")
        assert world.looks == looks
        await world.life.service.remove("web", force=True)
        await settle()
        assert [reading async for reading in stream] == []
        with pytest.raises(NotFoundError):
            await world.service.stream("web")

    play(body)


def test_a_container_at_rest_has_a_name_and_nothing_else() -> None:
    async def body(world: World) -> None:
        shown = stats_view(await world.service.once("web"), 1 << 30, 2)
        assert (shown["name"], shown["read"]) == ("/web", "0001-01-01T00:00:00Z")
        assert (shown["memory_stats"], shown["pids_stats"], world.looks) == ({}, {}, 0)
        assert "networks" not in shown

    play(body)


def test_the_host_s_network_is_not_the_container_s() -> None:
    async def body(world: World) -> None:
        await world.life.service.start("web")
        assert "networks" not in stats_view(await world.service.once("web"), 1 << 30, 2)

    play(body, Settings(network="host"))


def test_a_reading_as_docker_shows_it() -> None:
    async def body(world: World) -> None:
        await world.life.service.start("web")
        reading = await world.service.once("web")
        shown = stats_view(reading, 1 << 30, 2)
        assert shown["cpu_stats"]["system_cpu_usage"] > shown["precpu_stats"]["system_cpu_usage"]
        assert shown["cpu_stats"]["online_cpus"] == 2
        assert shown["memory_stats"] == {"usage": 4096, "limit": 1 << 30, "stats": {"anon": 1}}
        assert shown["pids_stats"] == {"current": 3, "limit": (1 << 64) - 1}
        assert shown["networks"]["eth0"]["rx_bytes"] == reading.container.state.pid
        assert shown["blkio_stats"]["io_service_bytes_recursive"] == []

    play(body)
