"""The predefined networks and the processes of a container, on fakes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.unit.engine.life import Life

from tidegate.base.errors import ConflictError, ForbiddenError, InternalError, InvalidParameterError, NotFoundError
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.networks import BridgeFacts, PredefinedNetworks, endpoint_id
from tidegate.engine.processes import ProcessService, select_rows
from tidegate.model.container import Settings

PRINTED = """\
UID          PID    PPID CMD
root           1       0 /sbin/init splash
root        4711       1 sh -c  echo a; sleep 1
root           -       - a thread
root        4712    4711 [sleep] <defunct>
root           -       - another
root          47       1 other
"""


def play(body: Callable[[Life], Awaitable[None]]) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        try:
            await asyncio.wait_for(body(life), 30)
        finally:
            await life.close()

    asyncio.run(scene())


def networks(life: Life) -> PredefinedNetworks:
    facts = BridgeFacts("172.17.0.0/16", "172.17.0.1")
    return PredefinedNetworks(life.store, life.ports.clock, life.service, lambda: facts)


def test_predefined_networks_keep_their_ids_and_cannot_be_removed() -> None:
    async def body(life: Life) -> None:
        first, second = networks(life), networks(life)
        await first.load()
        await second.load()
        assert first.list() == second.list()
        assert [(each.name, each.driver) for each in first.list()] == [
            ("bridge", "bridge"), ("host", "host"), ("none", "null")
        ]  # fmt: skip
        bridge = first.resolve("bridge")
        assert first.resolve(bridge.id) == first.resolve(bridge.id[:20]) == bridge
        with pytest.raises(ForbiddenError, match="bridge is a pre-defined network and cannot be removed"):
            first.remove(bridge.id)
        for missing in ("", "web"):
            with pytest.raises(NotFoundError, match=f"network {missing} not found"):
                first.resolve(missing)
        with pytest.raises(InvalidParameterError, match="ambiguous"):
            first.list = lambda: [bridge, bridge]  # type: ignore[method-assign]
            first.resolve(bridge.id)

    play(body)


def test_members_are_the_running_containers() -> None:
    async def body(life: Life) -> None:
        found = networks(life)
        await found.load()
        await life.service.create(NewContainer("web", "a", "i"))
        await life.service.create(NewContainer("lonely", "a", "i", settings=Settings(network="none")))
        bridge, none = found.resolve("bridge"), found.resolve("none")
        assert found.members(bridge) == []
        await life.service.start("web")
        await life.service.start("lonely")
        [(container, attachment)] = found.members(bridge)
        assert container.name == "web" and attachment is not None and attachment.address == "172.17.0.2"
        [(other, nothing)] = found.members(none)
        assert other.name == "lonely" and nothing is None
        assert endpoint_id(bridge.id, container.id) != endpoint_id(none.id, container.id)

    play(body)


def test_rows_are_those_of_the_container_with_their_threads() -> None:
    table = select_rows(PRINTED, {"4711", "4712"})
    assert table.titles == ["UID", "PID", "PPID", "CMD"]
    assert table.rows == [
        ["root", "4711", "1", "sh -c echo a; sleep 1"],
        ["root", "-", "-", "a thread"],
        ["root", "4712", "4711", "[sleep] <defunct>"],
        ["root", "-", "-", "another"],
    ]
    for printed in ("", "UID CMD\n0 init\n"):
        with pytest.raises(InternalError, match="Couldn't find PID field in ps output"):
            select_rows(printed, {"1"})


def test_top_is_of_running_containers_and_its_options_are_looked_at() -> None:
    asked: list[Sequence[str]] = []

    async def ps(options: Sequence[str]) -> str:
        asked.append(options)
        return PRINTED

    async def body(life: Life) -> None:
        service = ProcessService(life.service, life.runtime, ps)
        container = await life.service.create(NewContainer("web", "a", "i"))
        with pytest.raises(ConflictError, match=f"container {container.id} is not running"):
            await service.top("web")
        await life.service.start("web")
        assert (await service.top("web")).titles[1] == "PID"
        await service.top("web", "-o pid,  cmd")
        assert asked == [["-ef"], ["-o", "pid,", "cmd"]]
        with pytest.raises(InvalidParameterError, match='specifying "ppid=PID" is not allowed'):
            await service.top("web", "-o ppid=PID")

    play(body)
