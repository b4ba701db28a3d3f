"""After a loss of power containers come back in the order that Compose wrote down, and nobody waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.unit.engine.life import Life, settle

from tidegate.engine.containers.boot_order import PATIENCE_NS
from tidegate.engine.containers.service import NewContainer
from tidegate.model.boot_order import DEPENDS_ON, PROJECT, SERVICE
from tidegate.model.phases import Phase, Rules
from tidegate.model.restart import RestartPolicy


def play(body: Callable[[Life], Awaitable[None]]) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        await body(life)
        await life.close()

    asyncio.run(scene())


async def service(life: Life, name: str, depends_on: str = "", policy: str = "always") -> str:
    labels = {PROJECT: "shop", SERVICE: name, DEPENDS_ON: depends_on}
    rules = Rules(restart=RestartPolicy(policy))  # type: ignore[arg-type]
    container = await life.service.create(NewContainer(name, "alpine", "sha256:1", labels=labels, rules=rules))
    await life.service.start(name)
    return container.id


def phase(life: Life, name: str) -> Phase:
    return life.service.resolve(name).state.phase


async def fire_restarts(life: Life) -> None:
    """Let the timers of restart policies run out, and nobody's patience."""
    for entry in [each for each in life.timers.armed if each[0] < PATIENCE_NS]:
        life.timers.armed.remove(entry)
        entry[1]()
    await settle()


def test_a_container_starts_after_what_it_depends_on() -> None:
    async def body(life: Life) -> None:
        await service(life, "web", "api")
        await service(life, "api", "db")
        await service(life, "db")
        life.now_ns += 1_000
        await life.lose_power()
        assert [phase(life, name) for name in ("web", "api", "db")] == [Phase.RESTARTING] * 3
        await fire_restarts(life)
        assert [phase(life, name) for name in ("web", "api", "db")] == [Phase.RUNNING] * 3
        starts = [each[1] for each in life.runtime.calls if each[0] == "start"]
        assert starts == [life.service.resolve(name).id for name in ("db", "api", "web")]
        assert life.ordering.done() and life.bus.listeners == 0

    play(body)


def test_what_never_comes_is_not_waited_for_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async def body(life: Life) -> None:
        await service(life, "web", "job:service_completed_successfully:false,lost")
        await service(life, "job", policy="always")
        life.now_ns += 1_000
        await life.lose_power()
        await fire_restarts(life)
        assert (phase(life, "job"), phase(life, "web")) == (Phase.RUNNING, Phase.RESTARTING)
        assert life.timers.fire() == PATIENCE_NS
        await settle()
        assert phase(life, "web") is Phase.RUNNING and life.ordering.done()

    play(body)
    assert "web depends on lost, of which there is no container" in caplog.text
    assert "web starts without job" in caplog.text


def test_a_user_need_not_wait_and_a_stop_is_a_stop() -> None:
    async def body(life: Life) -> None:
        for name in ("web", "other"):
            await service(life, name, "db")
        await service(life, "db")
        life.now_ns += 1_000
        await life.lose_power()
        await life.service.start("web")
        await life.service.stop("other")
        assert (phase(life, "web"), phase(life, "other")) == (Phase.RUNNING, Phase.EXITED)
        await fire_restarts(life)
        assert (phase(life, "db"), phase(life, "other")) == (Phase.RUNNING, Phase.EXITED)

    play(body)


def test_a_hold_outlives_another_death_of_the_engine() -> None:
    async def body(life: Life) -> None:
        await service(life, "web", "db")
        await service(life, "db")
        life.now_ns += 1_000
        await life.lose_power()
        await life.reboot()
        await life.reboot()
        assert phase(life, "web") is Phase.RESTARTING
        await fire_restarts(life)
        assert (phase(life, "db"), phase(life, "web")) == (Phase.RUNNING, Phase.RUNNING)

    play(body)
