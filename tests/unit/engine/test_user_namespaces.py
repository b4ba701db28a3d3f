"""Who is mapped into a user namespace, with whom, and what that excludes."""

import asyncio

import pytest
from tests.fakes.filesystems import FakeUserNamespaces

from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.engine.isolation.user_namespaces import (
    ContainerUserNamespaces,
    IdMapping,
    IdRange,
    check_user_namespace,
    highest,
    to_container,
    to_host,
)
from tidegate.model.container import Container, Settings
from tidegate.model.phases import State
from tidegate.spec.codec import encode
from tidegate.spec.container import CreateRequest, HostConfig

RANGES = (IdRange(0, 100_000, 10), IdRange(10, 300_000, 5))
MAPPING = IdMapping(RANGES, RANGES)


def container(name: str, *, network: str = "bridge", **host: str) -> Container:
    document = encode(CreateRequest(host_config=HostConfig(**host)))  # type: ignore[arg-type]
    return Container(name, name, 0, "i", "i", document=document, settings=Settings(network=network), state=State(pid=7))


def test_ids_go_both_ways() -> None:
    assert MAPPING.root == (100_000, 100_000)
    assert [to_host(RANGES, number) for number in (0, 9, 10, 14)] == [100_000, 100_009, 300_000, 300_004]
    assert [to_container(RANGES, number) for number in (100_000, 300_004, 0, 300_005)] == [0, 14, 65534, 65534]
    assert highest(RANGES) == 14
    with pytest.raises(InvalidParameterError, match="the id 15 is not mapped"):
        to_host(RANGES, 15)


def opened(*containers: Container, mapping: IdMapping | None = MAPPING) -> dict[str, tuple[str | None, bool]]:
    fake = FakeUserNamespaces(mapping)
    known = {each.id: each for each in containers}
    spaces = ContainerUserNamespaces(fake, known.__getitem__)
    for each in containers:
        assert asyncio.run(spaces.open(each)) == (each.id in fake.made) == (spaces.mapping_of(each) is not None)
    return fake.made


def test_a_container_gets_its_own_or_that_of_whom_it_joins() -> None:
    assert opened(container("a"), mapping=None) == {}
    assert opened(container("a", userns_mode="host")) == {}
    one = container("one")
    joining = [
        container("net", network="container:one"),
        container("pid", pid_mode="container:one"),
        container("ipc", ipc_mode="container:one", network="none"),
    ]
    theirs = "/proc/7/ns/user"
    wanted = {"one": (None, True), "net": (theirs, False), "pid": (theirs, True), "ipc": (theirs, True)}
    assert opened(one, *joining) == wanted


def test_namespaces_are_not_shared_across_the_mapping() -> None:
    with pytest.raises(ConflictError, match="cannot share namespaces with one, which is in the host's user namespace"):
        opened(container("one", userns_mode="host"), container("two", pid_mode="container:one"))
    opened(container("one"), container("two", pid_mode="container:one", userns_mode="host"))


@pytest.mark.parametrize(
    ("host", "network", "words"),
    [
        (HostConfig(privileged=True), "bridge", "privileged mode is incompatible with user namespaces"),
        (HostConfig(), "host", "cannot share the host's network namespace when user namespaces are enabled"),
        (HostConfig(pid_mode="host"), "bridge", "cannot share the host PID namespace when user namespaces are enabled"),
    ],
)
def test_what_is_the_host_s_needs_its_user_namespace(host: HostConfig, network: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        check_user_namespace(host, network, MAPPING)
    check_user_namespace(host, network, None)
    spared = HostConfig(privileged=host.privileged, pid_mode=host.pid_mode, userns_mode="host")
    check_user_namespace(spared, network, MAPPING)
