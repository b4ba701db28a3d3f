"""Published ports with the stock docker CLI, reached from the host itself, from next door, and from containers."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

from tidegate.kernel.namespaces import in_network_namespace

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]
T = TypeVar("T")
SERVE = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@pytest.fixture
def neighbour(engine: RunningEngine) -> Iterator[int]:
    """The pid of a process in another network namespace, 10.99.7.2, joined to the engine's, 10.99.7.1."""
    process = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    near = ["nsenter", f"--net={engine.root}/netns", "ip"]
    try:
        own = os.stat("/proc/self/ns/net").st_ino
        deadline = time.monotonic() + 20
        while os.stat(f"/proc/{process.pid}/ns/net").st_ino == own and time.monotonic() < deadline:
            time.sleep(0.01)
        far = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
        create = ["link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", str(process.pid)]
        subprocess.run([*near, *create], check=True)
        for side, device, address in ((near, "out0", "10.99.7.1/24"), ([*far, "ip"], "in0", "10.99.7.2/24")):
            subprocess.run([*side, "address", "add", address, "dev", device], check=True)
            subprocess.run([*side, "link", "set", device, "up"], check=True)
        yield process.pid
    finally:
        subprocess.run([*near, "link", "delete", "out0"], check=True)  # with the namespace it would go some time later
        process.kill()
        process.wait()


def fetched(net: str, address: str, port: int) -> str:
    """The page there, "" when it cannot be reached."""

    def get() -> str:
        connection = http.client.HTTPConnection(address, port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    return within(net, get)


def test_published_ports_from_next_door_and_from_loopback(engine: RunningEngine, neighbour: int) -> None:
    own, other = f"{engine.root}/netns", f"/proc/{neighbour}/ns/net"
    ports = ["-p", "8081:80", "-p", "127.0.0.1:8082:80", "-p", "10.99.7.1:8083:80"]
    started = engine.docker("run", "-d", "--name", "web", *ports, "busybox", "sh", "-c", SERVE)
    assert started.returncode == 0, started.stderr
    deadline = time.monotonic() + 20
    while not fetched(own, "127.0.0.1", 8081) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert fetched(own, "127.0.0.1", 8081) == "served\n"
    assert fetched(own, "127.0.0.1", 8082) == "served\n"
    assert fetched(own, "10.99.7.1", 8083) == "served\n"
    assert fetched(other, "10.99.7.1", 8081) == "served\n"
    assert fetched(other, "10.99.7.1", 8083) == "served\n"
    assert fetched(other, "10.99.7.1", 8082) == ""
    shown = engine.docker("ps", "--format", "{{.Ports}}", "--filter", "name=web").stdout
    assert sorted(shown.strip().split(", ")) == [
        "0.0.0.0:8081->80/tcp", "10.99.7.1:8083->80/tcp", "127.0.0.1:8082->80/tcp"
    ]  # fmt: skip
    hairpin = ["run", "--rm", "busybox", "wget", "-q", "-O", "-", "http://10.99.7.1:8081/"]
    assert engine.docker(*hairpin).stdout == "served\n"
    assert engine.docker("rm", "-f", "web").returncode == 0
    assert fetched(own, "127.0.0.1", 8081) == ""

    def free() -> None:
        with socket.socket() as probe:
            probe.bind(("0.0.0.0", 8081))

    engine.in_its_network(free)


def within(net: str, work: Callable[[], T]) -> T:
    fd = os.open(net, os.O_RDONLY)
    try:
        return in_network_namespace(fd, work)
    finally:
        os.close(fd)


def sender(address: str, port: int) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(10)
    client.connect((address, port))
    return client


def name_server() -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.settimeout(10)
    server.bind(("0.0.0.0", 53))
    return server


def heard(client: socket.socket, server: socket.socket) -> bytes:
    """What comes back of a datagram through the server."""
    client.send(b"there")
    data, peer = server.recvfrom(100)
    server.sendto(data + b" and back", peer)
    return client.recv(100)


def test_datagrams_too_also_from_who_goes_on_sending(engine: RunningEngine, neighbour: int) -> None:
    own, other = f"{engine.root}/netns", f"/proc/{neighbour}/ns/net"
    clients = [within(own, lambda: sender("127.0.0.1", 5302)), within(own, lambda: sender("127.0.0.1", 5301))]
    clients.append(within(other, lambda: sender("10.99.7.1", 5301)))
    ports = ["-p", "5301:53/udp", "-p", "127.0.0.1:5302:53/udp"]
    for name in ("names", "other-names"):
        started = engine.docker("run", "-d", "--name", name, *ports, "busybox", "sleep", "1000")
        assert started.returncode == 0, started.stderr
        shown = engine.docker("port", name).stdout.splitlines()
        assert shown == ["53/udp -> 0.0.0.0:5301", "53/udp -> 127.0.0.1:5302"]
        pid = engine.docker("inspect", "-f", "{{.State.Pid}}", name).stdout.strip()
        with within(f"/proc/{pid}/ns/net", name_server) as server:
            for client in clients:
                assert heard(client, server) == b"there and back"
        assert engine.docker("rm", "-f", name).returncode == 0
    for client in clients:
        client.close()


def test_ranges_and_all_exposed_ports(engine: RunningEngine) -> None:
    ranges = ["-p", "8100-8101:90-91", "-p", "127.0.0.1:8100-8110:80"]
    for name in ("first", "second"):
        started = engine.docker("run", "-d", "--name", name, *ranges[2:], "busybox", "sleep", "1000")
        assert started.returncode == 0, started.stderr
    assert engine.docker("port", "first", "80").stdout == "127.0.0.1:8100\n"
    assert engine.docker("port", "second", "80").stdout == "127.0.0.1:8101\n"
    taken = engine.docker("run", "--rm", *ranges[:2], "busybox", "true")
    assert taken.returncode == 125
    assert "Bind for 0.0.0.0:8100 failed: port is already allocated" in taken.stderr
    assert engine.docker("rm", "-f", "first", "second").returncode == 0
    both = engine.docker("run", "-d", "--name", "both", *ranges, "busybox", "sleep", "1000")
    assert both.returncode == 0, both.stderr
    assert engine.docker("port", "both").stdout.splitlines() == [
        "80/tcp -> 127.0.0.1:8102", "90/tcp -> 0.0.0.0:8100", "91/tcp -> 0.0.0.0:8101"
    ]  # fmt: skip
    assert engine.docker("rm", "-f", "both").returncode == 0
    exposed = ["-P", "--expose", "70", "--expose", "53/udp"]
    assert engine.docker("run", "-d", "--name", "all", *exposed, "busybox", "sleep", "1000").returncode == 0
    published = dict(line.split(" -> 0.0.0.0:") for line in engine.docker("port", "all").stdout.splitlines())
    assert set(published) == {"53/udp", "70/tcp"}
    assert all(32768 <= int(port) < 65536 for port in published.values())
    assert engine.docker("rm", "-f", "all").returncode == 0
    shown = ["run", "-d", "--name", "shown", "--expose", "70", "busybox", "sleep", "1000"]
    assert engine.docker(*shown).returncode == 0
    assert engine.docker("ps", "--format", "{{.Ports}}").stdout == "70/tcp\n"
    assert engine.docker("rm", "-f", "shown").returncode == 0


def test_ipv6_addresses_of_the_host(engine: RunningEngine, neighbour: int) -> None:
    own, other = f"{engine.root}/netns", f"/proc/{neighbour}/ns/net"
    for net, device, address in ((own, "out0", "fd00:7::1/64"), (other, "in0", "fd00:7::2/64")):
        subprocess.run(["nsenter", f"--net={net}", "ip", "address", "add", address, "dev", device, "nodad"], check=True)
    ports = ["-p", "[::1]:8091:80", "-p", "[::]:8092:80", "-p", "8093:80"]
    started = engine.docker("run", "-d", "--name", "six", *ports, "busybox", "sh", "-c", SERVE)
    assert started.returncode == 0, started.stderr
    assert sorted(engine.docker("port", "six", "80").stdout.splitlines()) == ["0.0.0.0:8093", "[::1]:8091", "[::]:8092"]
    deadline = time.monotonic() + 20
    while not fetched(own, "::1", 8091) and time.monotonic() < deadline:
        time.sleep(0.05)
    for net, address, port in ((own, "::1", 8091), (own, "::1", 8092), (other, "fd00:7::1", 8092)):
        assert fetched(net, address, port) == "served\n"
    assert fetched(other, "fd00:7::1", 8091) == ""
    assert fetched(own, "127.0.0.1", 8092) == ""
    os.kill(engine.children()["engine"], 9)
    assert engine.process.wait(30) == 1
    assert fetched(own, "::1", 8091) == "served\n"
    engine.start()
    assert fetched(own, "::1", 8091) == "served\n"
    assert engine.docker("rm", "-f", "six").returncode == 0
    assert fetched(own, "::1", 8091) == ""


def test_inspect_tells_network_and_endpoint(engine: RunningEngine) -> None:
    assert engine.docker("run", "-d", "--name", "on", "busybox", "sleep", "1000").returncode == 0
    network = engine.docker("network", "inspect", "-f", "{{.Id}}", "bridge").stdout.strip()
    template = (
        "{{with .NetworkSettings.Networks.bridge}}{{.NetworkID}} {{.EndpointID}} {{.Gateway}} {{.MacAddress}}{{end}}"
    )
    identity, endpoint, gateway, mac = engine.docker("inspect", "-f", template, "on").stdout.split()
    assert identity == network
    inside = engine.docker("exec", "on", "sh", "-c", "cat /sys/class/net/eth0/address; ip route").stdout
    assert inside.startswith(f"{mac}\ndefault via {gateway} ")
    members = "{{range $id, $on := .Containers}}{{$on.Name}} {{$on.EndpointID}} {{$on.MacAddress}}{{end}}"
    assert engine.docker("network", "inspect", "-f", members, "bridge").stdout.strip() == f"on {endpoint} {mac}"
    key = engine.docker("inspect", "-f", "{{.NetworkSettings.SandboxKey}}", "on").stdout.strip()
    assert mac in subprocess.run(["nsenter", f"--net={key}", "ip", "link"], capture_output=True, text=True).stdout
    assert engine.docker("rm", "-f", "on").returncode == 0


def test_a_firewall_in_the_way_is_named(engine: RunningEngine) -> None:
    chain = "table inet admin { chain forward { type filter hook forward priority filter; policy drop; }; }"
    enter = ["nsenter", f"--net={engine.root}/netns"]
    subprocess.run([*enter, "nft", chain], check=True)
    try:
        os.kill(engine.children()["engine"], 9)
        assert engine.process.wait(30) == 1
        engine.start()
        told = engine.docker("info").stderr + engine.docker("info").stdout
        assert "WARNING: chain forward of table inet admin drops what it does not know" in told
    finally:
        subprocess.run([*enter, "nft", "delete table inet admin"], check=True)
