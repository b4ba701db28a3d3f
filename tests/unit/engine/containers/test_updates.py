"""Limits and restart policies changed while a container lives, on fakes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.unit.engine.life import Life

from tidegate.base.errors import ConflictError, InvalidParameterError, TidegateError
from tidegate.drivers.resources import process_limits
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.containers.updates import UpdateService
from tidegate.kernel.host import CgroupAbilities
from tidegate.model.phases import Rules
from tidegate.model.restart import RestartPolicy
from tidegate.spec.codec import decode
from tidegate.spec.container import UpdateRequest
from tidegate.spec.stored import stored_request

MIB = 1 << 20
ABLE = CgroupAbilities("2", True, True, False, True, True, True, True, cpus="0-1", memory_nodes="0")
DOCUMENT = b'{"Cmd": ["x"], "HostConfig": {"Memory": 104857600, "MemorySwap": 209715200, "CgroupnsMode": "private"}}'


def play(body: Callable[[Life, UpdateService], Awaitable[None]], rules: Rules | None = None) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        await life.service.create(NewContainer("web", "demo", "sha256:1", document=DOCUMENT, rules=rules or Rules()))
        try:
            service = UpdateService(life.service, life.runtime, ABLE, process_limits)
            await asyncio.wait_for(body(life, service), 30)
        finally:
            await life.close()

    asyncio.run(scene())


def test_the_record_changes_at_rest_and_the_groups_too_when_it_runs() -> None:
    async def body(life: Life, service: UpdateService) -> None:
        assert await service.update("web", UpdateRequest(cpu_shares=512, cpuset_cpus="0")) == []
        assert life.runtime.limits == {}
        await life.service.start("web")
        await service.update("web", UpdateRequest(memory=200 * MIB, memory_swap=-1, pids_limit=0))
        container = life.service.resolve("web")
        assert life.runtime.limits[container.id].resources == {
            "memory": {"limit": 200 * MIB, "swap": -1},
            "cpu": {"shares": 512, "cpus": "0"},
            "pids": {"limit": -1},
        }
        host = stored_request(container.document).host_config
        assert (host.memory, host.memory_swap, host.cpu_shares, host.pids_limit) == (200 * MIB, -1, 512, -1)
        assert stored_request(container.document).cmd == ("x",)
        assert life.actions()[-1] == "update"
        await life.reboot()
        assert stored_request(life.service.resolve("web").document).host_config.memory == 200 * MIB

    play(body)


def test_a_refusal_of_the_kernel_leaves_everything_as_it_was() -> None:
    async def body(life: Life, service: UpdateService) -> None:
        await life.service.start("web")
        before = life.service.resolve("web")

        async def refuse(container_id: str, limits: object) -> None:
            raise InvalidParameterError("the kernel refuses memory.max=6291456: Device or resource busy")

        life.runtime.update = refuse  # type: ignore[method-assign]
        request = UpdateRequest(
            memory=6 * MIB, restart_policy=decode(UpdateRequest, b'{"RestartPolicy":{"Name":"always"}}').restart_policy
        )
        with pytest.raises(InvalidParameterError, match=f"Cannot update container {before.id}: the kernel refuses"):
            await service.update("web", request)
        assert life.service.resolve("web") == before

    play(body)


def test_a_restart_policy_changes_at_once() -> None:
    async def body(life: Life, service: UpdateService) -> None:
        await life.service.start("web")
        await service.update(
            "web", decode(UpdateRequest, b'{"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}')
        )
        container = life.service.resolve("web")
        assert container.state.rules.restart == RestartPolicy("on-failure", 3)
        assert stored_request(container.document).host_config.restart_policy.name == "on-failure"
        assert life.runtime.limits == {}

    play(body)


def test_an_auto_removed_container_has_no_restart_policy() -> None:
    async def body(life: Life, service: UpdateService) -> None:
        with pytest.raises(ConflictError, match="AutoRemove is enabled"):
            await service.update("web", decode(UpdateRequest, b'{"RestartPolicy": {"Name": "always"}}'))

    play(body, Rules(auto_remove=True))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b'{"Memory": 1000}', "Minimum memory limit allowed is 6MB"),
        (b'{"Memory": 300000000}', "update the memoryswap at the same time"),
        (b'{"NanoCpus": 1000000000, "CpuPeriod": 5000}', "Nano CPUs and CPU Period"),
        (b'{"CpusetCpus": "7"}', "Requested CPUs are not available"),
        (b'{"Devices": [{"PathOnHost": "/dev/null"}]}', "Devices cannot be updated: create the container anew"),
        (b'{"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1}]}', "Ulimits cannot be updated"),
        (b'{"RestartPolicy": {"Name": "sometimes"}}', "unknown policy 'sometimes'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(document: bytes, words: str) -> None:
    async def body(life: Life, service: UpdateService) -> None:
        with pytest.raises(TidegateError, match=words):
            await service.update("web", decode(UpdateRequest, document))
        assert life.service.resolve("web").document == DOCUMENT

    play(body)


def test_what_the_host_cannot_limit_is_a_warning() -> None:
    async def body(life: Life, service: UpdateService) -> None:
        assert await service.update("web", UpdateRequest(blkio_weight=500)) == [
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
        ]
        assert stored_request(life.service.resolve("web").document).host_config.blkio_weight == 0

    play(body)
