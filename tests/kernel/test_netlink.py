"""Links, addresses and routes as the kernel shows them."""

import errno
import os
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from tests.kernel.fresh_netns import in_fresh_netns

from tidegate.kernel.namespaces import create_network_namespace, in_network_namespace
from tidegate.kernel.network import links
from tidegate.kernel.network.netlink import NetlinkSocket


def test_a_bridge_with_a_veth_whose_peer_is_in_another_namespace() -> None:
    def body() -> None:
        netns_fd = create_network_namespace(lambda: None)[0]
        inside = in_network_namespace(netns_fd, NetlinkSocket)
        with NetlinkSocket() as host, inside:
            links.add_bridge(host, "br9", "02:42:00:00:00:09", 1400)
            bridge = links.get_link(host, "br9")
            assert bridge is not None and bridge.kind == "bridge" and bridge.mac_address == "02:42:00:00:00:09"
            links.set_up(host, bridge.index)
            links.add_address(host, bridge.index, IPv4Interface("10.7.0.1/24"))
            links.add_address(host, bridge.index, IPv4Interface("10.7.0.1/24"))
            assert links.list_addresses(host) == [(bridge.index, IPv4Interface("10.7.0.1/24"))]
            assert IPv4Network("10.7.0.0/24") in links.list_destinations(host)

            peer = links.Peer("eth0", "02:42:0a:07:00:02", netns_fd)
            links.add_veth(host, "v9", 1400, peer, master=bridge.index)
            near, far = links.get_link(host, "v9"), links.get_link(inside, "eth0")
            assert near is not None and near.master == bridge.index and near.is_up
            assert far is not None and not far.is_up and far.mac_address == "02:42:0a:07:00:02"
            links.set_hairpin(host, near.index)
            links.set_up(inside, far.index)
            links.add_address(inside, far.index, IPv4Interface("10.7.0.2/24"))
            links.add_default_route(inside, IPv4Address("10.7.0.1"))
            assert {link.name for link in links.list_links(inside)} == {"lo", "eth0"}

            assert links.delete_link(host, "v9")
            assert not links.delete_link(host, "v9")
            assert links.get_link(inside, "eth0") is None
        os.close(netns_fd)

    in_fresh_netns(body)


def test_a_refusal_carries_the_errno_of_the_kernel() -> None:
    def body() -> None:
        with NetlinkSocket() as host:
            links.add_bridge(host, "br9", "02:42:00:00:00:09", 1500)
            with pytest.raises(OSError) as caught:
                links.add_bridge(host, "br9", "02:42:00:00:00:09", 1500)
            assert caught.value.errno == errno.EEXIST
            with pytest.raises(OSError, match="[Nn]exthop|unreachable"):
                links.add_default_route(host, IPv4Address("10.99.0.1"))

    in_fresh_netns(body)


def test_making_a_namespace_leaves_the_caller_where_it_was() -> None:
    def body() -> None:
        before = Path("/proc/thread-self/ns/net").readlink()
        netns_fd = create_network_namespace(lambda: None)[0]
        assert Path("/proc/thread-self/ns/net").readlink() == before
        inside = in_network_namespace(netns_fd, lambda: Path("/proc/thread-self/ns/net").readlink())
        assert inside == Path(f"/proc/self/fd/{netns_fd}").readlink() != before
        with pytest.raises(ZeroDivisionError):
            in_network_namespace(netns_fd, lambda: 1 // 0)
        os.close(netns_fd)

    in_fresh_netns(body)
