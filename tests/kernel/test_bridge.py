"""The bridge driver in a fresh network namespace that plays the host, asserted with real sockets."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.kernel.fresh_netns import in_fresh_netns

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.drivers.bridge.driver import BridgeSettings, LinuxBridge, remove_bridge
from tidegate.drivers.bridge.names import veth_name
from tidegate.engine.ports import BridgeAttachment, PortPublication
from tidegate.kernel.namespaces import create_network_namespace, in_network_namespace
from tidegate.kernel.network import links
from tidegate.kernel.network.netlink import NetlinkSocket
from tidegate.kernel.network.nftables import Nftables

SETTINGS = BridgeSettings("tgtest0", IPv4Network("172.29.0.0/16"))
TIMEOUT_S = 5.0


def on_a_host(scenario: Callable[[LinuxBridge], Awaitable[None]], settings: BridgeSettings = SETTINGS) -> None:
    async def run() -> None:
        with NetlinkSocket() as host:
            links.set_up(host, links.LOOPBACK_INDEX)
        bridge = LinuxBridge(settings)
        await bridge.ensure()
        await scenario(bridge)
        await bridge.close()

    in_fresh_netns(lambda: asyncio.run(run()))


def within(path: str, work: Callable[[], socket.socket]) -> socket.socket:
    netns_fd = os.open(path, os.O_RDONLY)
    try:
        return in_network_namespace(netns_fd, work)
    finally:
        os.close(netns_fd)


def listen(kind: int, port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, kind)
    server.settimeout(TIMEOUT_S)
    server.bind(("0.0.0.0", port))
    if kind == socket.SOCK_STREAM:
        server.listen()
    return server


def connect(address: str, port: int) -> socket.socket:
    return socket.create_connection((address, port), timeout=TIMEOUT_S)


def assert_reaches(client: socket.socket, server: socket.socket) -> str:
    """The connected client talks to the server; returns the client's address as the server sees it."""
    accepted, peer = server.accept()
    client.sendall(b"ping")
    assert accepted.recv(4) == b"ping"
    accepted.sendall(b"pong")
    assert client.recv(4) == b"pong"
    accepted.close()
    client.close()
    return str(peer[0])


def outside_world(subnet: str = "10.9.0") -> str:
    """Another machine at .2, this host being .1; returns the path of its namespace."""
    netns_fd = create_network_namespace(lambda: None)[0]
    inside = in_network_namespace(netns_fd, NetlinkSocket)
    with NetlinkSocket() as host, inside:
        links.add_veth(host, "wan0", 1500, links.Peer("eth0", "02:00:00:00:00:02", netns_fd))
        near, far = links.get_link(host, "wan0"), links.get_link(inside, "eth0")
        assert near is not None and far is not None
        links.add_address(host, near.index, IPv4Interface(f"{subnet}.1/24"))
        links.add_address(inside, far.index, IPv4Interface(f"{subnet}.2/24"))
        links.set_up(inside, far.index)
        links.add_default_route(inside, IPv4Address(f"{subnet}.1"))
    return f"/proc/self/fd/{netns_fd}"


def test_a_container_reaches_the_gateway_and_by_masquerade_the_world() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        world = outside_world()
        attachment = await bridge.connect("c1", [], None)
        assert attachment == BridgeAttachment("c1", "172.29.0.2", 16, "172.29.0.1", "02:42:ac:1d:00:02", ())
        at_gateway = listen(socket.SOCK_STREAM, 9001)
        client = within(bridge.netns_path("c1"), lambda: connect("172.29.0.1", 9001))
        assert assert_reaches(client, at_gateway) == "172.29.0.2"
        abroad = within(world, lambda: listen(socket.SOCK_STREAM, 9002))
        client = within(bridge.netns_path("c1"), lambda: connect("10.9.0.2", 9002))
        assert assert_reaches(client, abroad) == "10.9.0.1"

    on_a_host(scenario)


@pytest.mark.parametrize("are_filtered", ["0", "1"])
def test_containers_that_may_not_reach_each_other_still_do_by_published_ports(are_filtered: str) -> None:
    bridged_frames = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not bridged_frames.exists() and are_filtered == "1":
        pytest.skip("no br_netfilter here")

    async def scenario(bridge: LinuxBridge) -> None:
        if bridged_frames.exists():
            bridged_frames.write_text(are_filtered)
        await bridge.connect("c1", [PortPublication(80, "tcp", "", 8080)], None)
        await bridge.connect("c2", [], None)
        server = within(bridge.netns_path("c1"), lambda: listen(socket.SOCK_STREAM, 80))
        other = within(bridge.netns_path("c1"), lambda: listen(socket.SOCK_STREAM, 81))
        path = bridge.netns_path("c2")
        for port in (80, 81):
            with pytest.raises((TimeoutError, OSError)):
                within(path, lambda port=port: socket.create_connection(("172.29.0.2", port), timeout=0.3))
        assert_reaches(within(path, lambda: connect("172.29.0.1", 8080)), server)
        other.close()

    on_a_host(scenario, replace(SETTINGS, among_themselves=False))


def test_a_bridge_without_masquerade_shows_the_containers_addresses_and_gives_only_fixed_ones() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        world = outside_world()
        attachment = await bridge.connect("c1", [], None)
        assert attachment.address == "172.29.4.1"
        abroad = within(world, lambda: listen(socket.SOCK_STREAM, 9002))
        client = within(bridge.netns_path("c1"), lambda: connect("10.9.0.2", 9002))
        assert assert_reaches(client, abroad) == "172.29.4.1"

    on_a_host(scenario, replace(SETTINGS, masquerade=False, fixed=IPv4Network("172.29.4.0/30")))


def test_a_fixed_part_that_is_none_of_the_subnet_is_refused() -> None:
    async def run() -> None:
        bridge = LinuxBridge(replace(SETTINGS, fixed=IPv4Network("10.0.0.0/24")))
        with pytest.raises(InvalidParameterError, match="fixed-cidr: 10.0.0.0/24 is no part of 172.29.0.0/16"):
            await bridge.ensure()

    in_fresh_netns(lambda: asyncio.run(run()))


def test_a_published_port_is_reached_from_everywhere() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        world = outside_world()
        attachment = await bridge.connect("c1", [PortPublication(80, "tcp", "", 8080)], None)
        assert list(attachment.ports) == [PortPublication(80, "tcp", "0.0.0.0", 8080)]
        await bridge.connect("c2", [], None)
        server = within(bridge.netns_path("c1"), lambda: listen(socket.SOCK_STREAM, 80))
        assert assert_reaches(within(world, lambda: connect("10.9.0.1", 8080)), server) == "10.9.0.2"
        assert_reaches(connect("127.0.0.1", 8080), server)
        assert_reaches(connect("10.9.0.1", 8080), server)
        for container_id in ("c2", "c1"):  # c1 to itself needs the hairpin
            path = bridge.netns_path(container_id)
            assert_reaches(within(path, lambda: connect("172.29.0.1", 8080)), server)
            assert_reaches(within(path, lambda: connect("10.9.0.1", 8080)), server)

    on_a_host(scenario)


def test_a_port_published_on_loopback_and_what_is_not_published_stay_out_of_reach() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        world = outside_world()
        await bridge.connect("c1", [PortPublication(80, "tcp", "127.0.0.1", 8080)], None)
        server = within(bridge.netns_path("c1"), lambda: listen(socket.SOCK_STREAM, 80))
        assert_reaches(connect("127.0.0.1", 8080), server)
        with pytest.raises(ConnectionRefusedError):
            within(world, lambda: connect("10.9.0.1", 8080))
        with pytest.raises(TimeoutError):
            within(world, lambda: socket.create_connection(("172.29.0.2", 80), timeout=0.3))

    on_a_host(scenario)


def test_udp_is_published_too() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        world = outside_world()
        await bridge.connect("c1", [PortPublication(53, "udp", "10.9.0.1", 5353)], None)
        server = within(bridge.netns_path("c1"), lambda: listen(socket.SOCK_DGRAM, 53))
        client = within(world, lambda: listen(socket.SOCK_DGRAM, 4000))
        client.sendto(b"ask", ("10.9.0.1", 5353))
        question, asker = server.recvfrom(10)
        assert (question, asker) == (b"ask", ("10.9.0.2", 4000))
        server.sendto(b"answer", asker)
        assert client.recvfrom(10) == (b"answer", ("10.9.0.1", 5353))

    on_a_host(scenario)


def test_a_taken_port_is_refused_in_dockers_words_and_leaves_nothing() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        taken = listen(socket.SOCK_STREAM, 8080)
        ports = [PortPublication(1, "tcp", "", 8081), PortPublication(80, "tcp", "", 8080)]
        with pytest.raises(
            InvalidParameterError, match=r"^Bind for 0\.0\.0\.0:8080 failed: port is already allocated$"
        ):
            await bridge.connect("c1", ports, None)
        with pytest.raises(NotFoundError):
            bridge.netns_path("c1")
        taken.close()
        assert (await bridge.connect("c1", ports, None)).address == "172.29.0.2"
        with pytest.raises(InvalidParameterError, match=r"Bind for 127\.0\.0\.1:8080 failed"):
            await bridge.connect("c2", [PortPublication(80, "tcp", "127.0.0.1", 8080)], None)
        with pytest.raises(ConflictError):
            await bridge.connect("c1", [], None)

    on_a_host(scenario)


def test_ephemeral_ports_come_from_the_hosts_range_and_go_back() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        wanted = [PortPublication(80, "tcp", "", 0), PortPublication(81, "tcp", "", 32768)]
        attachment = await bridge.connect("c1", wanted, None)
        assert [port.host_port for port in attachment.ports] == [32769, 32768]
        await bridge.disconnect("c1")
        await bridge.disconnect("c1")
        listen(socket.SOCK_STREAM, 32769).close()
        assert veth_name("tgtest0", "c1") not in {name for _, name in socket.if_nameindex()}

    on_a_host(scenario)


def test_of_a_range_the_first_free_port_is_taken() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        of_range = PortPublication(80, "tcp", "127.0.0.1", 8000, 8002)
        listening = listen(socket.SOCK_STREAM, 8000)
        wanted = [of_range, PortPublication(81, "tcp", "127.0.0.1", 8001)]
        attachment = await bridge.connect("c1", wanted, None)
        assert [(port.host_port, port.last_host_port) for port in attachment.ports] == [(8002, 0), (8001, 0)]
        with pytest.raises(
            InvalidParameterError, match="Bind for 127.0.0.1:8000-8002 failed: port is already allocated"
        ):
            await bridge.connect("c2", [of_range], None)
        listening.close()
        attachment = await bridge.connect("c2", [of_range], None)
        assert [port.host_port for port in attachment.ports] == [8000]

    on_a_host(scenario)


def test_a_datagram_socket_that_goes_on_sending_meets_who_has_the_port_now() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        world = outside_world()
        port = PortPublication(53, "udp", "", 5353)

        def sender() -> socket.socket:
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.settimeout(TIMEOUT_S)
            client.connect(("10.9.0.1", 5353))
            return client

        def ask(client: socket.socket, server: socket.socket, answer: bytes) -> bytes:
            deadline = time.monotonic() + TIMEOUT_S
            server.settimeout(1)
            while True:  # a datagram may be lost; sending on is what keeps a forgotten flow alive
                client.send(b"?")
                try:
                    _, peer = server.recvfrom(9)
                    break
                except TimeoutError:
                    assert time.monotonic() < deadline, "no datagram arrives"
            server.sendto(answer, peer)
            return client.recv(9)

        with within(world, sender) as client, listen(socket.SOCK_DGRAM, 5353) as of_the_host:
            assert ask(client, of_the_host, b"host") == b"host"
            of_the_host.close()
            for name in ("c1", "c2"):
                await bridge.connect(name, [port], None)
                with within(bridge.netns_path(name), lambda: listen(socket.SOCK_DGRAM, 53)) as server:
                    assert ask(client, server, name.encode()) == name.encode()
                if name == "c1":
                    await bridge.isolate("none")  # c2 must not get the address of c1 by chance
                    await bridge.connect("holder", [], None)
                await bridge.disconnect(name)

    on_a_host(scenario)


DROPPED = """
table ip filter {
  chain DOCKER-USER { counter return; }
  chain FORWARD { type filter hook forward priority filter; policy drop; counter jump DOCKER-USER; }
}
"""


def test_way_is_made_where_docker_drops_what_is_forwarded_and_nowhere_else() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        firewall = Nftables()
        firewall.run(DROPPED)
        await bridge.ensure()
        await bridge.ensure()
        assert bridge.obstacles == ()
        assert firewall.run("list chain ip filter DOCKER-USER").count('comment "tidegate-tgtest0"') == 2
        world = outside_world()
        await bridge.connect("c1", [PortPublication(80, "tcp", "", 8080)], None)
        abroad = within(world, lambda: listen(socket.SOCK_STREAM, 9002))
        assert_reaches(within(bridge.netns_path("c1"), lambda: connect("10.9.0.2", 9002)), abroad)
        server = within(bridge.netns_path("c1"), lambda: listen(socket.SOCK_STREAM, 80))
        assert_reaches(within(world, lambda: connect("10.9.0.1", 8080)), server)
        firewall.run("flush chain ip filter DOCKER-USER\ndelete chain ip filter FORWARD")
        firewall.run("delete chain ip filter DOCKER-USER")
        firewall.run("add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }")
        await bridge.ensure()
        (obstacle,) = bridge.obstacles
        assert obstacle.startswith("chain FORWARD of table ip filter drops what it does not know: accept what")
        assert firewall.query("list chain ip filter FORWARD")[0]["chain"]["policy"] == "drop"
        firewall.close()

    on_a_host(scenario)


def test_uninstalling_closes_the_way_again() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        firewall = Nftables()
        firewall.run(DROPPED)
        await bridge.ensure()
        remove_bridge(SETTINGS)
        assert "tidegate" not in firewall.run("list ruleset")
        remove_bridge(SETTINGS)
        firewall.close()

    on_a_host(scenario)


def test_disconnecting_mends_a_ruleset_that_somebody_flushed() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        await bridge.connect("c1", [PortPublication(80, "tcp", "", 8080)], None)
        await bridge.connect("c2", [PortPublication(80, "tcp", "", 8081)], None)
        firewall = Nftables()
        firewall.run("flush ruleset")
        await bridge.disconnect("c1")
        shown = firewall.run("list map ip tidegate-tgtest0 published_any")
        assert "8081" in shown and "8080" not in shown
        firewall.close()

    on_a_host(scenario)


def test_adopting_keeps_what_is_given_and_takes_down_only_its_own_strays() -> None:
    async def scenario(before: LinuxBridge) -> None:
        kept = await before.connect("kept", [PortPublication(80, "tcp", "", 8080)], None)
        await before.connect("stray", [PortPublication(81, "tcp", "", 8081)], None)
        server = within(before.netns_path("kept"), lambda: listen(socket.SOCK_STREAM, 80))
        held = [os.open(before.netns_path(container_id), os.O_RDONLY) for container_id in ("kept", "stray")]
        foreign = LinuxBridge(BridgeSettings("other0"))
        await foreign.ensure()
        await foreign.connect("theirs", [], None)
        await before.close()

        after = LinuxBridge(SETTINGS)
        await after.ensure()
        await after.adopt([kept])
        names = {name for _, name in socket.if_nameindex()}
        assert veth_name("tgtest0", "kept") in names and veth_name("tgtest0", "stray") not in names
        assert veth_name("other0", "theirs") in names
        assert_reaches(connect("127.0.0.1", 8080), server)
        listen(socket.SOCK_STREAM, 8081).close()
        with pytest.raises(InvalidParameterError, match="already allocated"):
            await after.connect("c3", [PortPublication(80, "tcp", "", 8080)], None)
        assert (await after.connect("c3", [], None)).address == "172.29.0.3"
        await after.disconnect("kept")
        with pytest.raises(ConnectionRefusedError):
            connect("127.0.0.1", 8080)
        for netns_fd in held:
            os.close(netns_fd)
        await after.close()
        await foreign.close()

    on_a_host(scenario)


def test_isolation_and_removal() -> None:
    async def scenario(bridge: LinuxBridge) -> None:
        await bridge.isolate("alone")
        server = within(bridge.netns_path("alone"), lambda: listen(socket.SOCK_STREAM, 80))
        assert_reaches(within(bridge.netns_path("alone"), lambda: connect("127.0.0.1", 80)), server)
        with pytest.raises(OSError, match="unreachable"):
            within(bridge.netns_path("alone"), lambda: connect("172.29.0.1", 80))
        bridge.close_netns("alone")
        bridge.close_netns("alone")
        await bridge.disconnect("alone")
        remove_bridge(SETTINGS)
        remove_bridge(SETTINGS)
        assert {name for _, name in socket.if_nameindex()} == {"lo"}

    on_a_host(scenario)
