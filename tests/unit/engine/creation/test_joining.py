"""Namespaces of another container: resolved at create, refused where they conflict."""

import json

import pytest

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.engine.creation.joining import resolve_joined
from tidegate.model.container import Container
from tidegate.spec.codec import decode, encode
from tidegate.spec.container import CreateRequest

OTHER = Container("c" * 64, "web", 1, "a", "i", document=encode(CreateRequest(hostname="box", domainname="lan")))


def find(name_or_id: str) -> Container:
    if name_or_id in ("web", OTHER.id):
        return OTHER
    raise NotFoundError(f"No such container: {name_or_id}")


def resolved(**document: object) -> CreateRequest:
    return resolve_joined(decode(CreateRequest, json.dumps(document).encode()), find)


def test_names_become_ids_and_the_network_s_owner_gives_the_hostname() -> None:
    document = resolved(HostConfig={"NetworkMode": "container:web", "PidMode": "container:web"})
    assert document.host_config.network_mode == document.host_config.pid_mode == f"container:{OTHER.id}"
    assert (document.hostname, document.domainname) == ("box", "lan")
    document = resolved(Hostname="own", HostConfig={"PidMode": "container:web"})
    assert document.hostname == "own"
    assert resolved(HostConfig={"NetworkMode": "host"}).host_config.network_mode == "host"


def test_a_missing_container_is_not_mistaken_for_a_missing_image() -> None:
    with pytest.raises(InvalidParameterError, match="No such container: gone"):
        resolved(HostConfig={"PidMode": "container:gone"})


@pytest.mark.parametrize(
    ("document", "host", "what"),
    [
        ({"Hostname": "x"}, {}, "hostname and the network mode"),
        ({}, {"Dns": ["1.1.1.1"]}, "dns and the network mode"),
        ({}, {"ExtraHosts": ["a:1.1.1.1"]}, "custom host-to-IP mapping and the network mode"),
        ({"MacAddress": "02:42:ac:11:00:02"}, {}, "mac-address and the network mode"),
        ({}, {"PublishAllPorts": True}, "port publishing and the container type network mode"),
        ({"ExposedPorts": {"80/tcp": {}}}, {}, "port exposing and the container type network mode"),
    ],
)
def test_what_the_other_container_decides_cannot_be_asked(
    document: dict[str, object], host: dict[str, object], what: str
) -> None:
    with pytest.raises(InvalidParameterError, match=f"conflicting options: {what}"):
        resolved(**document, HostConfig={"NetworkMode": "container:web", **host})
