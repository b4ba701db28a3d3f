"""Boot recovery: whatever instant the engine was killed at, nothing leaks and nothing that runs is lost."""

import asyncio
from typing import Any

import msgspec
from tests.unit.engine.containers.test_service import play, started
from tests.unit.engine.life import Life, settle

from tidegate.base.errors import UnavailableError
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.ports import Exited, RunningProcess
from tidegate.model.container import Container
from tidegate.model.phases import Phase, Rules
from tidegate.model.restart import RestartPolicy


def test_a_running_container_is_adopted_with_its_address() -> None:
    async def body(life: Life) -> None:
        identity = await started(life)
        life.runtime.recovered = [RunningProcess(identity, None, 100, 1, False, None)]
        await life.reboot()
        assert life.service.resolve("web").state.phase is Phase.RUNNING
        assert life.bridge.adopted == [life.service.attachment(identity)]
        life.runtime.exit(identity, 4)
        await settle()
        assert life.service.resolve("web").state.exit_code == 4

    play(body)


def test_a_container_that_was_frozen_meanwhile_is_known_as_paused_before_anyone_can_ask() -> None:
    async def body(life: Life) -> None:
        identity = await started(life)
        life.runtime.recovered = [RunningProcess(identity, None, 100, 1, True, None)]
        await life.close()
        life.boot()
        await life.service.recover()
        assert life.service.resolve("web").state.phase is Phase.PAUSED

    play(body)


def test_an_exit_while_away_is_learned_and_a_lost_one_is_255() -> None:
    async def body(life: Life) -> None:
        first, second = await started(life), await started(life, "db")
        ended = Exited(first, None, 6, 2_000)
        life.runtime.recovered = [RunningProcess(first, None, 100, 1, False, ended)]
        await life.reboot()
        assert life.service.resolve(first).state.exit_code == 6
        assert life.service.resolve(second).state.exit_code == 255
        assert not life.bridge.attached and not life.rootfs.mounted

    play(body)


def test_a_half_started_container_is_released() -> None:
    async def body(life: Life) -> None:
        await life.service.create(NewContainer("web", "a", "i"))
        life.runtime.gate = asyncio.Event()
        starting = asyncio.ensure_future(life.service.start("web"))
        await settle()
        assert life.rootfs.mounted and life.bridge.attached
        life.runtime.gate = None
        await life.reboot()
        starting.cancel()
        assert life.service.resolve("web").state.phase is Phase.EXITED
        assert not life.bridge.attached and not life.rootfs.mounted and not life.runtime.created

    play(body)


def test_a_removal_is_finished_and_always_starts_again() -> None:
    async def body(life: Life) -> None:
        await started(life, "db", rules=Rules(RestartPolicy("always")))
        await life.service.stop("db")
        await life.service.create(NewContainer("web", "a", "i"))
        life.rootfs.busy = True
        failed = await asyncio.gather(life.service.remove("web"), return_exceptions=True)
        assert "busy" in str(failed[0]) and life.service.resolve("web").state.phase is Phase.DEAD
        life.rootfs.busy = False
        await life.service.remove("web")
        await life.reboot()
        assert [each.name for each in life.service.list()] == ["db"]
        assert life.service.resolve("db").state.phase is Phase.RUNNING

    play(body)


def test_what_a_client_was_told_outlives_a_loss_of_power() -> None:
    async def body(life: Life) -> None:
        await life.service.create(NewContainer("made", "a", "i"))
        await life.lose_power()
        assert life.service.resolve("made").state.phase is Phase.CREATED
        await started(life, "kept", rules=Rules(RestartPolicy("unless-stopped")))
        await life.lose_power()
        life.timers.fire()
        await settle()
        assert life.service.resolve("kept").state.phase is Phase.RUNNING
        identity = await started(life, "told")
        waited = life.service.wait("told", "next-exit")
        life.runtime.exit(identity, 3)
        assert (await waited).exit_code == 3
        await life.lose_power()
        assert life.service.resolve("told").state.exit_code == 3
        await life.service.remove("told")
        await life.lose_power()
        assert {each.name for each in life.service.list()} == {"made", "kept"}
        await life.service.stop("kept")
        await life.lose_power()
        assert life.service.resolve("kept").state.phase is Phase.EXITED

    play(body)


def test_a_run_waits_for_the_disk_only_where_somebody_relies_on_it() -> None:
    """Creating and removing must be found again; what a launch and a release make and undo goes with the power."""

    async def body(life: Life) -> None:
        synced: list[Phase] = []
        apply = life.store.apply

        async def noting(changes: Any, *, durable: bool = True) -> None:
            await apply(changes, durable=durable)
            if durable:
                synced.extend(msgspec.json.decode(value, type=Container).state.phase for _, _, value in changes)

        life.store.apply = noting  # type: ignore[method-assign]
        identity = await started(life, rules=Rules(auto_remove=True))
        gone = life.service.wait(identity, "removed")
        life.runtime.exit(identity, 0)
        await gone
        assert synced == [Phase.CREATING, Phase.CREATED, Phase.RUNNING, Phase.REMOVING]
        assert not life.store.records

    play(body)


def test_an_engine_killed_during_the_release_or_the_removal_of_an_ended_container_sees_it_through() -> None:
    async def body(life: Life) -> None:
        for name, rules in (("web", Rules()), ("gone", Rules()), ("db", Rules(RestartPolicy("always")))):
            identity = await started(life, name, rules=rules)
            life.runtime.release_error = UnavailableError("the shim was killed")
            life.runtime.exit(identity, 6)
            await settle()
            ended = Exited(identity, None, 6, 2_000)
            life.runtime.recovered.append(RunningProcess(identity, None, 100, 1, False, ended))
        await asyncio.gather(life.service.remove("gone"), return_exceptions=True)
        life.runtime.release_error = None
        await life.reboot()
        life.timers.fire()
        await settle()
        phases = {each.name: each.state.phase for each in life.service.list()}
        assert phases == {"web": Phase.EXITED, "gone": Phase.DEAD, "db": Phase.RUNNING}
        assert {key[0] for key in life.runtime.created} == {life.service.resolve(name).id for name in ("gone", "db")}

    play(body)
