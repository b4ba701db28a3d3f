"""Decisions of the bridge driver that need no kernel."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from tidegate.base.errors import InvalidParameterError, NotSupportedError, TidegateError, UnavailableError
from tidegate.drivers.bridge.driver import BridgeSettings, LinuxBridge
from tidegate.drivers.bridge.names import choose_subnet, mac_of, veth_name, veth_prefix
from tidegate.drivers.bridge.ports import parse_publication
from tidegate.drivers.bridge.ruleset import render_publish, render_ruleset, render_withdraw
from tidegate.engine.ports import PortPublication


def test_publications_go_to_the_map_of_their_address() -> None:
    ports = [PortPublication(80, "tcp", "0.0.0.0", 8080), PortPublication(53, "udp", "127.0.0.1", 5353)]
    assert render_publish("br", "172.18.0.2", ports).splitlines() == [
        "add element ip tidegate-br published_any { tcp . 8080 : 172.18.0.2 . 80 }",
        "add element ip tidegate-br published { 127.0.0.1 . udp . 5353 : 172.18.0.2 . 53 }",
    ]
    assert render_withdraw("br", ports).splitlines() == [
        "delete element ip tidegate-br published_any { tcp . 8080 }",
        "delete element ip tidegate-br published { 127.0.0.1 . udp . 5353 }",
    ]


def test_the_ruleset_replaces_the_table_in_one_transaction() -> None:
    text = render_ruleset(
        "br", IPv4Network("172.18.0.0/16"), [("172.18.0.2", [PortPublication(1, "tcp", "0.0.0.0", 2)])]
    )
    opening = " ".join(text.split("{")[0].split())
    assert opening == "table ip tidegate-br delete table ip tidegate-br table ip tidegate-br"
    assert "add element ip tidegate-br published_any { tcp . 2 : 172.18.0.2 . 1 }" in text


@pytest.mark.parametrize(
    ("port", "kind"),
    [
        (PortPublication(80, "icmp", "", 80), InvalidParameterError),
        (PortPublication(0, "tcp", "", 80), InvalidParameterError),
        (PortPublication(80, "tcp", "", 65536), InvalidParameterError),
        (PortPublication(80, "tcp", "1.2.3 }; flush ruleset", 80), InvalidParameterError),
        (PortPublication(80, "sctp", "::1", 80), NotSupportedError),
        (PortPublication(80, "tcp", "::g", 80), InvalidParameterError),
    ],
)
def test_a_publication_that_cannot_be_is_refused(port: PortPublication, kind: type[TidegateError]) -> None:
    with pytest.raises(kind):
        parse_publication(port)


def test_no_host_address_means_every_address() -> None:
    assert parse_publication(PortPublication(80, "tcp", "", 0)).host_ip == "0.0.0.0"
    assert parse_publication(PortPublication(80, "tcp", "0:0::1", 0)).host_ip == "::1"
    assert render_publish("br", "172.18.0.2", [PortPublication(80, "tcp", "::1", 8080)]) == ""


def test_the_first_free_subnet_is_chosen() -> None:
    assert choose_subnet([]) == IPv4Network("172.18.0.0/16")
    pool = list(IPv4Network("10.0.0.0/16").subnets(new_prefix=24))
    assert choose_subnet([IPv4Network("10.0.0.0/24")], pool) == IPv4Network("10.0.1.0/24")
    assert choose_subnet([IPv4Network("172.18.5.0/24"), IPv4Network("172.19.0.0/16")]) == IPv4Network("172.20.0.0/16")
    with pytest.raises(UnavailableError):
        choose_subnet([IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")])


def test_names_fit_and_belong_to_one_bridge() -> None:
    assert len(veth_name("tidegate0", "a" * 64)) == 15
    assert veth_name("tidegate0", "a").startswith(veth_prefix("tidegate0"))
    assert veth_prefix("tidegate0") != veth_prefix("tidegate1")
    assert mac_of(IPv4Address("172.18.0.2")) == "02:42:ac:12:00:02"


@pytest.mark.parametrize("name", ["", "a" * 16, "br 0", "br\n", 'br"', "0br"])
def test_a_bridge_name_that_could_not_be_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError):
        LinuxBridge(BridgeSettings(name))
