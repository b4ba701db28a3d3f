"""Extra hosts, name servers, search domains: what could not stand in the files is refused at create."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.links.names import check_names, split_extra_host
from tidegate.spec.container import HostConfig


@pytest.mark.parametrize(
    ("entry", "pair"),
    [
        ("a:10.0.0.1", ("a", "10.0.0.1")),
        ("a=10.0.0.1", ("a", "10.0.0.1")),
        ("a:2001:db8::1", ("a", "2001:db8::1")),
        ("a:[2001:db8::1]", ("a", "2001:db8::1")),
        ("a=::1", ("a", "::1")),
        ("a:host-gateway", ("a", "host-gateway")),
    ],
)
def test_extra_hosts(entry: str, pair: tuple[str, str]) -> None:
    assert split_extra_host(entry) == pair


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        (HostConfig(extra_hosts=("a",)), 'bad format for add-host: "a"'),
        (HostConfig(extra_hosts=(":1.2.3.4",)), "bad format for add-host"),
        (HostConfig(extra_hosts=("a b:1.2.3.4",)), "bad format for add-host"),
        (HostConfig(extra_hosts=("a:1.2.3",)), 'invalid IP address in add-host: "1.2.3"'),
        (HostConfig(dns=("one",)), "Dns: one is not an ip address"),
        (HostConfig(dns_search=("a b",)), "DnsSearch: a b is not a valid domain"),
        (HostConfig(dns_options=("ndots 1",)), "DnsOptions: 'ndots 1'"),
    ],
)
def test_what_could_not_stand_in_the_files(host: HostConfig, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        check_names(host)


def test_what_docker_takes_is_taken() -> None:
    host = HostConfig(
        dns=("1.1.1.1", "::1"), dns_search=(".", "corp.example.com", "x_y"), dns_options=("ndots:1", "edns0")
    )
    check_names(host)
