"""Ports published on IPv6 addresses, in a fresh network namespace that plays the host; the relay is a real process."""

import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from tests.kernel.fresh_netns import in_fresh_netns

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.bridge.driver import BridgeSettings, LinuxBridge
from tidegate.engine.ports import PortPublication
from tidegate.kernel.namespaces import in_network_namespace
from tidegate.kernel.network import links
from tidegate.kernel.network.netlink import NetlinkSocket

WEB = PortPublication(80, "tcp", "::1", 8080)
NAMES = PortPublication(53, "udp", "::", 5353)
TIMEOUT_S = 10.0


def bridge_at(root: Path) -> LinuxBridge:
    return LinuxBridge(BridgeSettings("tgtest0", IPv4Network("172.29.0.0/16"), relay_root=root / "relay"))


def on_a_host(scenario: Callable[[LinuxBridge, Path], Awaitable[None]]) -> None:
    async def run() -> None:
        with NetlinkSocket() as host:
            links.set_up(host, links.LOOPBACK_INDEX)
        with tempfile.TemporaryDirectory() as directory:
            bridge = bridge_at(Path(directory))
            await bridge.ensure()
            await scenario(bridge, Path(directory))
            await bridge.close()
            assert relay_pids(Path(directory)) == []

    in_fresh_netns(lambda: asyncio.run(run()))


def relay_pids(root: Path) -> list[int]:
    """Of this root, once those that are ending have ended."""
    deadline = time.monotonic() + 2
    while True:
        found = []
        for process in Path("/proc").glob("[0-9]*"):  # not deeper: glob would look at what ends meanwhile
            try:
                if f"{root}/relay".encode() in (process / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(process.name))
            except OSError:
                continue
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def inside(bridge: LinuxBridge, name: str, port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    def listen() -> socket.socket:
        server = socket.socket(socket.AF_INET, kind)
        server.settimeout(TIMEOUT_S)
        server.bind(("0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            server.listen()
        return server

    netns_fd = os.open(bridge.netns_path(name), os.O_RDONLY)
    try:
        return in_network_namespace(netns_fd, listen)
    finally:
        os.close(netns_fd)


def connected(server: socket.socket, address: str = "::1", port: int = 8080) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection((address, port), timeout=TIMEOUT_S)
    accepted, peer = server.accept()
    accepted.settimeout(TIMEOUT_S)
    assert peer[0] == "172.29.0.1"
    return client, accepted


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(1 << 16):
        data += chunk
    return data


def test_connections_are_carried_with_each_end_by_itself() -> None:
    async def scenario(bridge: LinuxBridge, root: Path) -> None:
        attachment = await bridge.connect("c1", [WEB], None)
        assert list(attachment.ports) == [WEB]
        (pid,) = relay_pids(root)
        relay_fds = len(os.listdir(f"/proc/{pid}/fd"))
        with inside(bridge, "c1", 80) as server:
            client, accepted = connected(server)
            much = os.urandom(1 << 16) * 64
            sender = asyncio.create_task(asyncio.to_thread(client.sendall, much))
            received = b""
            while len(received) < len(much):
                received += await asyncio.to_thread(accepted.recv, 1 << 16)
            await sender
            assert received == much
            client.shutdown(socket.SHUT_WR)
            assert read_all(accepted) == b""
            accepted.sendall(b"after the end")
            accepted.close()
            assert read_all(client) == b"after the end"
            client.close()
            deadline = time.monotonic() + TIMEOUT_S
            while (before := len(os.listdir(f"/proc/{pid}/fd"))) > relay_fds and time.monotonic() < deadline:
                time.sleep(0.02)
            assert before == relay_fds
        with socket.create_connection(("::1", 8080), timeout=TIMEOUT_S) as refused:  # nobody listens there now
            assert refused.recv(1) == b""
        await bridge.disconnect("c1")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", 8080), timeout=TIMEOUT_S)

    on_a_host(scenario)


def test_datagrams_find_their_way_back_to_each_sender() -> None:
    async def scenario(bridge: LinuxBridge, root: Path) -> None:
        await bridge.connect("c1", [NAMES], None)
        with inside(bridge, "c1", 53, socket.SOCK_DGRAM) as server:
            clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(3)]
            for number, client in enumerate(clients):
                client.settimeout(TIMEOUT_S)
                client.connect(("::1", 5353))
                client.send(b"%d" % number)
            for _ in clients:
                data, peer = server.recvfrom(9)
                server.sendto(data * 3, peer)
            assert [client.recv(9) for client in clients] == [b"000", b"111", b"222"]
            for client in clients:
                client.close()
        await bridge.disconnect("c1")

    on_a_host(scenario)


def test_a_taken_port_is_told_and_families_do_not_meet() -> None:
    async def scenario(bridge: LinuxBridge, root: Path) -> None:
        await bridge.connect("c1", [WEB, PortPublication(80, "tcp", "0.0.0.0", 8080)], None)
        for taken in (WEB, PortPublication(80, "tcp", "::", 8080)):
            with pytest.raises(InvalidParameterError, match="failed: port is already allocated"):
                await bridge.connect("c2", [taken], None)
        chosen = (await bridge.connect("c3", [PortPublication(80, "tcp", "::1", 0)], None)).ports[0].host_port
        assert chosen >= 32768
        await bridge.disconnect("c1")
        await bridge.disconnect("c3")

    on_a_host(scenario)


def test_carried_connections_outlive_the_engine_and_it_takes_the_ports_up_again() -> None:
    async def scenario(bridge: LinuxBridge, root: Path) -> None:
        kept = await bridge.connect("kept", [WEB], None)
        await bridge.connect("stray", [PortPublication(80, "tcp", "::1", 8081)], None)
        with inside(bridge, "kept", 80) as server:
            client, accepted = connected(server)
            await bridge.close()
            after = bridge_at(root)
            await after.ensure()
            await after.adopt([kept])
            client.sendall(b"still there")
            assert accepted.recv(99) == b"still there"
            for each in (client, accepted, *connected(server)):
                each.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", 8081), timeout=TIMEOUT_S)
        with pytest.raises(InvalidParameterError, match=r"Bind for \[::1\]:8080 failed: port is already allocated"):
            await after.connect("c2", [WEB], None)
        await after.disconnect("kept")
        await after.close()

    on_a_host(scenario)


def test_a_killed_relay_is_replaced_with_its_ports() -> None:
    async def scenario(bridge: LinuxBridge, root: Path) -> None:
        await bridge.connect("c1", [WEB], None)
        with inside(bridge, "c1", 80) as server:
            (pid,) = relay_pids(root)
            status = Path(f"/proc/{pid}/status").read_text()
            assert "Uid:\t65534\t65534\t65534\t65534" in status and "CapEff:\t0000000000000000" in status
            os.kill(pid, signal.SIGKILL)
            client, accepted = await asyncio.to_thread(connected, server)  # it waits in the backlog meanwhile
            client.sendall(b"again")
            assert accepted.recv(9) == b"again"
            client.close()
            accepted.close()
        await bridge.disconnect("c1")

    on_a_host(scenario)
