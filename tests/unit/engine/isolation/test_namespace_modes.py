"""Modes of namespaces: which there are, and whose IPC can be joined."""

import pytest

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.engine.isolation.namespace_modes import IPC, check_modes, ipc_of
from tidegate.model.container import Container
from tidegate.model.phases import Phase, State
from tidegate.spec.codec import encode
from tidegate.spec.container import CreateRequest, HostConfig


def donor(name: str, mode: str, phase: Phase = Phase.RUNNING) -> Container:
    document = encode(CreateRequest(host_config=HostConfig(ipc_mode=mode)))
    return Container(name, name, 0, "img", "sha256:1", document=document, state=State(phase=phase, pid=7))


DONORS = {
    each.id: each
    for each in (
        donor("open", "shareable"),
        donor("closed", "private"),
        donor("bare", "none"),
        donor("wide", "host"),
        donor("guest", "container:open"),
        donor("still", "shareable", Phase.EXITED),
    )
}


def find(name: str) -> Container:
    try:
        return DONORS[name]
    except KeyError as error:
        raise NotFoundError(name) from error


def ipc(mode: str) -> IPC:
    return ipc_of(HostConfig(ipc_mode=mode), find)


def test_modes_without_another_container() -> None:
    assert ipc("private") == ipc("") == IPC("own", "runtime")
    assert ipc("none") == IPC("own", "none")
    assert ipc("shareable") == IPC("own", "engine")
    assert ipc("host") == IPC("host", "none")


def test_a_shareable_one_is_joined_also_through_a_guest_of_it() -> None:
    assert ipc("container:open") == ipc("container:guest") == IPC("joined", "engine", DONORS["open"])
    assert ipc("container:wide") == IPC("host", "none")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("closed", "non-shareable IPC"),
        ("bare", "non-shareable IPC"),
        ("still", "of a non running container: still"),
        ("gone", "of a removed container: gone"),
    ],
)
def test_what_cannot_be_joined(name: str, complaint: str) -> None:
    with pytest.raises(ConflictError, match=complaint):
        ipc(f"container:{name}")


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (CreateRequest(host_config=HostConfig(ipc_mode="mine")), "invalid IPC mode: mine"),
        (CreateRequest(host_config=HostConfig(uts_mode="container:x")), "invalid UTS mode: container:x"),
        (CreateRequest(host_config=HostConfig(userns_mode="mine")), "invalid user namespace mode: mine"),
        (CreateRequest(hostname="box", host_config=HostConfig(uts_mode="host")), "hostname and the UTS mode"),
    ],
)
def test_what_there_is_not_is_refused(request_: CreateRequest, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        check_modes(request_)


@pytest.mark.parametrize("mode", ["", "none", "private", "shareable", "host", "container:x"])
def test_every_ipc_mode_of_dockers_is_one(mode: str) -> None:
    check_modes(CreateRequest(host_config=HostConfig(ipc_mode=mode)))
