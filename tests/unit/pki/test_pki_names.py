"""Names: what is accepted, in which form; what the host is called."""

import ipaddress

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.host_names import host_names, interface_addresses
from tidegate.pki.names import parse_alternative_name, parse_context_host, usable_names


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Host.Example.", "host.example"), ("*.example", "*.example"), ("my_host", "my_host"),
        ("10.0.0.1", "10.0.0.1"), ("[FD00::0:1]", "fd00::1"),
    ],
)  # fmt: skip
def test_alternative_names(typed: str, canonical: str) -> None:
    assert parse_alternative_name(typed) == canonical


@pytest.mark.parametrize("typed", ["", "a b", "-a", "a..b", "10.0.0.256", "a.*.b", "é.example", "x" * 64, "a\n"])
def test_bad_alternative_names(typed: str) -> None:
    with pytest.raises(InvalidParameterError, match="neither a DNS name nor an IP address"):
        parse_alternative_name(typed)


@pytest.mark.parametrize(
    ("typed", "host", "name"),
    [
        ("docker.example", "tcp://docker.example:2376", "docker.example"),
        ("tcp://10.0.0.1:99", "tcp://10.0.0.1:99", "10.0.0.1"),
        ("tcp://[::1]:99", "tcp://[::1]:99", "::1"),
        ("[::1]", "tcp://[::1]:2376", "::1"),
        ("::1", "tcp://[::1]:2376", "::1"),
    ],
)
def test_context_hosts(typed: str, host: str, name: str) -> None:
    assert parse_context_host(typed) == (host, name)


@pytest.mark.parametrize("typed", ["", "unix:///x", "a:0", "a:65536", "a:", "a:b", "tcp://a/b", "*.a:1", "[::1]x"])
def test_bad_context_hosts(typed: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid"):
        parse_context_host(typed)


def test_unusable_names_are_left_out() -> None:
    assert usable_names(["A", "a", "(none)", "127.0.0.1"]) == ("a", "127.0.0.1")


def test_host_names() -> None:
    names = host_names()
    assert names[0] == "localhost"
    assert {"127.0.0.1", "::1"} <= set(names)
    assert len(names) == len(set(names))
    assert all(ipaddress.ip_address(address) for address in interface_addresses())
