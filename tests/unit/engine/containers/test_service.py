"""The use cases of containers, on fakes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.fakes.runtime import not_found_in_path
from tests.unit.engine.life import Life, settle

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError, TidegateError
from tidegate.engine.containers.service import NewContainer
from tidegate.model.container import PublishedPort, Settings, VolumeUse
from tidegate.model.phases import Phase, Rules
from tidegate.model.restart import RestartPolicy


def play(body: Callable[[Life], Awaitable[None]]) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        try:
            await asyncio.wait_for(body(life), 10)
        finally:
            await life.close()

    asyncio.run(scene())


async def started(life: Life, name: str = "web", **new: object) -> str:
    container = await life.service.create(NewContainer(name, "alpine", "sha256:1", **new))  # type: ignore[arg-type]
    await life.service.start(name)
    return container.id


def test_run_exit_and_remove_leave_nothing() -> None:
    async def body(life: Life) -> None:
        identity = await started(life)
        assert await life.service.start("web") is False
        waited = life.service.wait("web", "next-exit")
        life.runtime.exit(identity, 3)
        assert (await waited).exit_code == 3
        assert not life.bridge.attached and not life.rootfs.mounted and not life.runtime.created
        await life.service.remove("web")
        assert not life.store.records and not life.rootfs.prepared and life.service.list() == []
        assert life.actions() == ["create", "start", "die", "destroy"]

    play(body)


def test_stop_kills_after_the_timeout_and_is_nothing_when_stopped() -> None:
    async def body(life: Life) -> None:
        life.runtime.deadly = {9}
        await started(life)
        stopping = asyncio.ensure_future(life.service.stop("web", 7))
        await settle()
        assert life.service.resolve("web").state.phase is Phase.STOPPING
        assert life.timers.fire() == 7_000_000_000
        assert await stopping is True
        assert await life.service.stop("web") is False
        assert life.actions()[-4:] == ["kill", "kill", "die", "stop"]

    play(body)


def test_auto_remove_ends_the_wait_for_removal() -> None:
    async def body(life: Life) -> None:
        container = await life.service.create(NewContainer("x1", "a", "i", rules=Rules(auto_remove=True)))
        gone = life.service.wait("x1", "removed")
        await life.service.start("x1")
        life.runtime.exit(container.id, 5)
        assert (await gone).exit_code == 5
        with pytest.raises(NotFoundError, match="No such container: x1"):
            life.service.resolve("x1")

    play(body)


def test_a_command_not_found_is_127_and_everything_is_released() -> None:
    async def body(life: Life) -> None:
        await life.service.create(NewContainer("web", "a", "i"))
        life.runtime.start_error = not_found_in_path("nope")
        with pytest.raises(InvalidParameterError, match="executable file not found"):
            await life.service.start("web")
        state = life.service.resolve("web").state
        assert (state.phase, state.exit_code) == (Phase.CREATED, 127)
        assert not life.bridge.attached and not life.rootfs.mounted

    play(body)


def test_policy_restarts_after_the_back_off() -> None:
    async def body(life: Life) -> None:
        identity = await started(life, rules=Rules(RestartPolicy("always")))
        life.runtime.exit(identity, 1)
        await settle()
        assert life.service.resolve("web").state.phase is Phase.RESTARTING
        assert life.timers.fire() == 100_000_000
        await settle()
        assert life.service.resolve("web").state.phase is Phase.RUNNING
        await life.service.remove("web", force=True)
        assert life.actions() == ["create", "start", "die", "start", "kill", "die", "destroy"]

    play(body)


def test_a_forced_removal_ends_a_policy_that_is_about_to_start_the_container_again() -> None:
    async def body(life: Life) -> None:
        identity = await started(life, rules=Rules(RestartPolicy("always")))
        life.runtime.release_gate = asyncio.Event()
        life.runtime.exit(identity, 1)
        await settle()
        removing = asyncio.ensure_future(life.service.remove("web", force=True))
        await settle()
        life.runtime.release_gate.set()
        await removing
        assert life.service.list() == [] and life.timers.armed == []

    play(body)


def test_restart_keeps_an_auto_removed_container() -> None:
    async def body(life: Life) -> None:
        await started(life, rules=Rules(auto_remove=True))
        await life.service.restart("web")
        assert life.service.resolve("web").state.phase is Phase.RUNNING
        assert life.actions()[2:] == ["kill", "die", "stop", "start", "restart"]

    play(body)


def test_dockers_words_for_what_is_refused() -> None:
    async def body(life: Life) -> None:
        identity = await started(life)
        service = life.service
        with pytest.raises(ConflictError, match='cannot remove container "/web": container is running: stop the'):
            await service.remove("web")
        with pytest.raises(ConflictError, match="is not paused"):
            await service.unpause("web")
        await service.pause("web")
        with pytest.raises(ConflictError, match="already paused"):
            await service.pause("web")
        with pytest.raises(ConflictError, match="cannot start a paused container"):
            await service.start("web")
        await service.kill("web")
        with pytest.raises(ConflictError, match=f"container {identity} is not running"):
            await service.kill("web")
        with pytest.raises(ConflictError, match=f'name "/web" is already in use by container "{identity}"'):
            await service.create(NewContainer("web", "a", "i"))
        with pytest.raises(InvalidParameterError, match="Invalid container name"):
            await service.create(NewContainer("-", "a", "i"))

    play(body)


def test_names_prefixes_and_rename() -> None:
    async def body(life: Life) -> None:
        one = await life.service.create(NewContainer("", "a", "i"))
        two = await life.service.create(NewContainer("two", "a", "i"))
        assert life.service.resolve(one.id[:12]).id == one.id and "_" in one.name
        await life.service.rename("two", "three")
        assert life.service.resolve("/three").id == two.id
        with pytest.raises(NotFoundError):
            life.service.resolve("two")
        with pytest.raises(ConflictError):
            await life.service.rename("three", one.name)
        with pytest.raises(InvalidParameterError, match="same name"):
            await life.service.rename("three", "three")

    play(body)


def test_a_create_that_fails_leaves_neither_record_nor_name() -> None:
    async def body(life: Life) -> None:
        with pytest.raises(NotFoundError):
            await life.service.create(NewContainer("web", "a", "i", settings=Settings(chain_ids=("missing",))))
        assert not life.store.records
        await life.service.create(NewContainer("web", "a", "i"))

    play(body)


def test_a_taken_port_fails_the_start_and_volumes_are_filled() -> None:
    async def body(life: Life) -> None:
        port = Settings(ports=(PublishedPort(80, "tcp", "", 8080),), volumes=(VolumeUse("data", "/data"),))
        await started(life, settings=port)
        assert str(life.volumes.volumes["data"][0]).endswith("/data")
        await life.service.create(NewContainer("second", "a", "i", settings=port))
        with pytest.raises(InvalidParameterError, match="port is already allocated"):
            await life.service.start("second")
        assert len(life.bridge.attached) == 1

    play(body)


def test_a_client_attached_before_start_is_bound_before_the_process_runs() -> None:
    async def body(life: Life) -> None:
        container = await life.service.create(NewContainer("web", "a", "i"))
        stream = await life.service.attach("web", stdin=True, stdout=True, stderr=True)
        reading = asyncio.ensure_future(stream.read())
        await life.service.start("web")
        assert [call[0] for call in life.runtime.calls] == ["create", "attach", "start"]
        assert await reading == b""
        await stream.write(b"hello")
        assert life.runtime.streams[0].written == [b"hello"]
        life.runtime.exit(container.id)

    play(body)


def test_a_stop_that_meets_a_start_waits_for_it() -> None:
    async def body(life: Life) -> None:
        await life.service.create(NewContainer("web", "a", "i"))
        life.runtime.gate = asyncio.Event()
        starting = asyncio.ensure_future(life.service.start("web"))
        await settle()
        stopping = asyncio.ensure_future(life.service.stop("web"))
        await settle()
        starting.cancel()
        life.runtime.gate.set()
        assert await stopping is True
        assert life.service.resolve("web").state.phase is Phase.EXITED

    play(body)


def test_anonymous_volumes_go_with_the_container_when_it_goes_at_last() -> None:
    async def body(life: Life) -> None:
        uses = (VolumeUse("kept", "/kept", copy_up=False), VolumeUse("a" * 64, "/gone", copy_up=False, anonymous=True))
        await life.service.create(NewContainer("web", "alpine", "sha256:1", settings=Settings(volumes=uses)))
        life.rootfs.busy = True
        with pytest.raises(TidegateError):
            await life.service.remove("web", volumes=True)
        assert set(life.volumes.volumes) == {"kept", "a" * 64}
        life.rootfs.busy = False
        await life.reboot()
        await life.service.remove("web")
        assert set(life.volumes.volumes) == {"kept"} and life.service.list() == []

    play(body)
