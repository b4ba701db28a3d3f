"""The texts of /etc/hosts and /etc/resolv.conf, and how a running container's are changed."""

from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.oci.etc_files import (
    hosts_text,
    own_names,
    resolv_conf_text,
    with_address,
    without_alias,
    write_etc_files,
)
from tidegate.engine.links.table import LinkedContainer
from tidegate.engine.ports import BridgeAttachment
from tidegate.spec.container import HostConfig

ATTACHMENT = BridgeAttachment("1", "172.17.0.3", 16, "172.17.0.1", "02::", ())
LINKED = LinkedContainer("db", "172.17.0.2", ["db", "box", "store"], [])


def test_names_extra_hosts_links_and_the_container_itself() -> None:
    names = own_names("web", "example.com")
    lines = hosts_text(names, ["a:10.0.0.1", "gw=host-gateway"], ATTACHMENT, [LINKED], "172.17.0.1").splitlines()
    assert lines[2:] == [
        "10.0.0.1\ta",
        "172.17.0.1\tgw",
        "172.17.0.2\tdb box store",
        "172.17.0.3\tweb.example.com web",
    ]


def test_a_full_name_may_be_given_as_hostname() -> None:
    assert own_names("web", "") == ["web"]
    assert own_names("web.example.com", "") == ["web.example.com", "web"]


@pytest.mark.parametrize("entry", ["a", ":10.0.0.1", "a:"])
def test_an_extra_host_that_says_nothing_is_refused(entry: str) -> None:
    with pytest.raises(InvalidParameterError):
        hosts_text(["web"], [entry], None)


def test_a_linked_container_that_moved_is_followed_and_nothing_else_changes() -> None:
    text = "127.0.0.1\tlocalhost\n# 10.0.0.9 db\n172.17.0.2\tdb box store\n10.0.0.1\tother db\n"
    moved = with_address(text, "db", "172.17.0.7")
    assert moved == text.replace("172.17.0.2\tdb", "172.17.0.7\tdb")
    assert without_alias(text, "db") == text.replace("172.17.0.2\tdb box store\n", "")


def test_files_keep_their_inode_since_containers_have_them_mounted(tmp_path: Path) -> None:
    write_etc_files(tmp_path, {"hosts": "a\n"})
    before = (tmp_path / "hosts").stat()
    write_etc_files(tmp_path, {"hosts": "b\n"})
    assert (tmp_path / "hosts").stat().st_ino == before.st_ino
    assert (tmp_path / "hosts").read_text() == "b\n"


def test_servers_and_search_of_the_client_replace_the_host_s(tmp_path: Path) -> None:
    source = tmp_path / "resolv.conf"
    source.write_text("nameserver 127.0.0.53\nnameserver 10.0.0.53\nsearch corp\noptions edns0\n")
    assert resolv_conf_text(HostConfig(), source, on_host=False).splitlines()[0] == "nameserver 10.0.0.53"
    assert "nameserver 127.0.0.53" in resolv_conf_text(HostConfig(), source, on_host=True)
    host = HostConfig(dns=("1.1.1.1",), dns_search=("a", "b"), dns_options=("ndots:2",))
    lines = ["nameserver 1.1.1.1", "search a b", "options ndots:2"]
    assert resolv_conf_text(host, source, on_host=False).splitlines() == lines
    assert "search" not in resolv_conf_text(HostConfig(dns_search=(".",)), source, on_host=False)
