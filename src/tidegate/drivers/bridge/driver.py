"""``BridgeNetwork`` on Linux: one bridge, a veth pair per container, NAT and published ports by nftables.

The ruleset is in ``bridge_ruleset``, the reservation of host ports in ``bridge_ports``.

- Every effect runs on one worker thread, in the order it was asked for; so an undo always comes after what it undoes,
  even when the call that asked for it was cancelled.
- The host end of a container's veth pair has a name computed from the container's id, under a prefix computed from the
  bridge's name: it is found without a record, and an engine with another bridge is left alone.
- The network namespace is held by a descriptor until a process holds it; nothing is mounted.
- The kernel's refusals become InternalError.
"""

import asyncio
import hashlib
import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

from tidegate.base.errors import ConflictError, InternalError, InvalidParameterError, NotFoundError, UnavailableError
from tidegate.drivers.bridge.flows import forget_datagrams
from tidegate.drivers.bridge.foreign_firewalls import close_way, make_way
from tidegate.drivers.bridge.names import choose_subnet, mac_of, veth_name, veth_prefix
from tidegate.drivers.bridge.port_relay import PortRelay, RelayWatch
from tidegate.drivers.bridge.ports import HostPorts, is_ipv6, parse_publication
from tidegate.drivers.bridge.ruleset import render_publish, render_ruleset, render_withdraw, table_name
from tidegate.drivers.bridge.settings import BridgeSettings
from tidegate.engine.ports import BridgeAttachment, PortPublication
from tidegate.kernel.namespaces import create_network_namespace, in_network_namespace
from tidegate.kernel.network import links
from tidegate.kernel.network.netlink import NetlinkSocket
from tidegate.kernel.network.nftables import Nftables

T = TypeVar("T")
_log = logging.getLogger(__name__)

CONTAINER_INTERFACE = "eth0"
LOOK_EVERY_S = 30.0
_BRIDGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
_SYSCTL = Path("/proc/sys/net/ipv4")


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InternalError(f"failed to {doing}: {error.strerror or error}") from error


@dataclass(slots=True)
class _Endpoint:
    address: IPv4Address | None = None
    ports: list[PortPublication] = field(default_factory=list)
    netns_fd: int | None = None
    is_published: bool = False


class LinuxBridge:
    """Fits ``BridgeNetwork``. ``ensure`` comes first; ``close`` gives back sockets and thread, nothing else.

    ``obstacles`` are firewalls of others that keep containers from the world, in words for the administrator.
    """

    def __init__(self, settings: BridgeSettings, network_of: Callable[[str], int | None] = lambda _: None) -> None:
        """``network_of`` gives away the network namespace that was made for a container already."""
        if not _BRIDGE_NAME.fullmatch(settings.name):
            raise InvalidParameterError(f"invalid bridge name: {settings.name}")
        self._settings, self._network_of = settings, network_of
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bridge")
        self._ports = HostPorts()
        self._relay = PortRelay(settings.relay_root, self._ports)
        self._watch = RelayWatch(settings.relay_root, self._revive_relay)
        self._endpoints: dict[str, _Endpoint] = {}
        self._gateway: IPv4Interface | None = None
        self._bridge_index = 0
        self._closed = False
        self._nftables: Nftables | None = None
        self._looked_s = 0.0
        self.obstacles: tuple[str, ...] = ()

    @property
    def subnet(self) -> IPv4Network:
        return self._interface().network

    @property
    def gateway(self) -> IPv4Address:
        return self._interface().ip

    @property
    def mtu(self) -> int:
        return self._settings.mtu

    async def ensure(self) -> None:
        """Raises InternalError, NotSupportedError (no libnftables), UnavailableError (no free subnet)."""
        await self._do(self._ensure)

    async def connect(
        self, container_id: str, ports: Sequence[PortPublication], mac_address: str | None
    ) -> BridgeAttachment:
        """Raises ConflictError when connected already, UnavailableError when the subnet is full, others as the port."""
        attachment = await self._do(lambda: self._connect(container_id, ports, mac_address))
        self._watch.begin(self._relay.is_needed)
        return attachment

    async def isolate(self, container_id: str) -> None:
        await self._do(lambda: self._isolate(container_id))

    def netns_path(self, container_id: str) -> str:
        """Raises NotFoundError when the engine holds no namespace of the container."""
        endpoint = self._endpoints.get(container_id)
        if endpoint is None or endpoint.netns_fd is None:
            raise NotFoundError(f"no network namespace is held for container {container_id}")
        return f"/proc/{os.getpid()}/fd/{endpoint.netns_fd}"

    def close_netns(self, container_id: str) -> None:
        endpoint = self._endpoints.get(container_id)
        if endpoint is not None and endpoint.netns_fd is not None:
            netns_fd, endpoint.netns_fd = endpoint.netns_fd, None
            os.close(netns_fd)

    async def disconnect(self, container_id: str) -> None:
        endpoint = self._endpoints.get(container_id)
        if endpoint is not None and endpoint.address is None:  # it was isolated
            await self._do(lambda: self._forget(container_id))
            return
        # Deleting a link takes the kernel tens of milliseconds, mostly outside any lock: only that runs in parallel.
        # The address goes back last, lest another container gets it while the link still answers to it.
        await self._do(lambda: self._withdraw(container_id))
        await asyncio.to_thread(self._unplug, container_id)
        await self._do(lambda: self._forget(container_id))

    async def adopt(self, attachments: Sequence[BridgeAttachment]) -> None:
        await self._do(lambda: self._adopt({item.container_id: item for item in attachments}))
        self._watch.begin(self._relay.is_needed)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._watch.close()
            await self._do(self._close)
            self._worker.shutdown()

    async def _revive_relay(self) -> None:
        try:
            await self._do(self._relay.revive)
        except InternalError as error:
            _log.error("ports on IPv6 addresses are closed: %s", error.message)
        self._watch.begin(self._relay.is_needed)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    # ------------------------------------------------------------------ on the worker thread

    def _interface(self) -> IPv4Interface:
        if self._gateway is None:
            raise InternalError(f"the bridge {self._settings.name} has not been set up")
        return self._gateway

    def _firewall(self) -> Nftables:
        if self._nftables is None:
            self._nftables = Nftables()
        return self._nftables

    def _ensure(self) -> None:
        name = self._settings.name
        with _translated(f"set up the bridge {name}"), NetlinkSocket() as netlink:
            bridge = links.get_link(netlink, name)
            if bridge is None:
                mac = b"\x02\x42" + hashlib.sha256(name.encode()).digest()[:4]
                links.add_bridge(netlink, name, mac.hex(":"), self._settings.mtu)
                bridge = links.get_link(netlink, name)
            if bridge is None or bridge.kind != "bridge":
                raise InternalError(f"the interface {name} is not a bridge")
            self._bridge_index = bridge.index
            self._gateway = self._choose_gateway(netlink, bridge.index)
            links.add_address(netlink, bridge.index, self._gateway)
            if self._settings.fixed is not None and not self._settings.fixed.subnet_of(self._gateway.network):
                raise InvalidParameterError(f"fixed-cidr: {self._settings.fixed} is no part of {self._gateway.network}")
            links.set_up(netlink, bridge.index)
            if self._settings.forward:
                (_SYSCTL / "ip_forward").write_text("1")
            (_SYSCTL / "conf" / name / "route_localnet").write_text("1")
        self._make_way()
        # At boot the former table is left alone: published ports work on until ``adopt`` replaces it.
        if self._endpoints or not self._has_table():
            self._rebuild_ruleset()

    def _make_way(self) -> None:
        """Whoever else rules the firewall may have come, or begun anew, since the last look."""
        self._looked_s = time.monotonic()
        try:
            left = tuple(make_way(self._firewall(), self._settings.name))
        except InternalError as error:  # of chains of others that changed meanwhile: the next look finds them settled
            _log.warning("the firewalls of others could not be read: %s", error)
            return
        for obstacle in left:
            if obstacle not in self.obstacles:
                _log.warning("%s", obstacle)
        self.obstacles = left

    def _has_table(self) -> bool:
        tables = [entry["table"] for entry in self._firewall().query("list tables ip")]
        return any(table["name"] == table_name(self._settings.name) for table in tables)

    def _choose_gateway(self, netlink: NetlinkSocket, index: int) -> IPv4Interface:
        present = [interface for owner, interface in links.list_addresses(netlink) if owner == index]
        subnet = self._settings.subnet
        if subnet is None and present:
            return present[0]
        if subnet is None:
            subnet = choose_subnet(links.list_destinations(netlink), self._settings.pool)
        return IPv4Interface((subnet.network_address + 1, subnet.prefixlen))

    def _rebuild_ruleset(self, without: str | None = None) -> None:
        published = [
            (str(endpoint.address), endpoint.ports)
            for container_id, endpoint in self._endpoints.items()
            if endpoint.is_published and container_id != without
        ]
        ruleset = render_ruleset(
            self._settings.name,
            self.subnet,
            published,
            masquerade=self._settings.masquerade,
            among_themselves=self._settings.among_themselves,
        )
        self._firewall().run(ruleset)

    def _apply(self, commands: str, without: str | None = None) -> None:
        """Change the table; where that fails someone has touched it (``nft flush ruleset``): it is made anew."""
        try:
            self._firewall().run(commands)
        except InternalError as error:
            _log.warning("the table %s is made anew: %s", table_name(self._settings.name), error)
            self._rebuild_ruleset(without)

    def _allocate(self) -> IPv4Address:
        used = {item.address for item in self._endpoints.values()} | {self.gateway}
        for address in (self._settings.fixed or self.subnet).hosts():
            if address not in used:
                return address
        raise UnavailableError(f"no available IPv4 addresses on this network's address pools: {self._settings.name}")

    def _new_endpoint(self, container_id: str) -> _Endpoint:
        if container_id in self._endpoints:
            raise ConflictError(f"container {container_id} is already connected")
        endpoint = self._endpoints[container_id] = _Endpoint()
        return endpoint

    def _isolate(self, container_id: str) -> None:
        endpoint = self._new_endpoint(container_id)
        try:
            self._make_netns(container_id, endpoint).close()
        except BaseException:
            self._disconnect(container_id)
            raise

    def _connect(
        self, container_id: str, ports: Sequence[PortPublication], mac_address: str | None
    ) -> BridgeAttachment:
        if time.monotonic() - self._looked_s > LOOK_EVERY_S:
            self._make_way()
        wanted = [parse_publication(port) for port in ports]
        address = self._allocate()
        mac_address = mac_address or mac_of(address)
        try:
            links.pack_mac(mac_address)
        except ValueError as error:
            raise InvalidParameterError(f"invalid MAC address: {mac_address}") from error
        endpoint = self._new_endpoint(container_id)
        endpoint.address = address
        try:
            # Explicit ports first, lest a range or an ephemeral one takes what another publication asks for by number.
            freedom = {i: (not port.host_port, bool(port.last_host_port)) for i, port in enumerate(wanted)}
            reserved = {i: self._reserve(endpoint, wanted[i]) for i in sorted(freedom, key=lambda i: freedom[i])}
            endpoint.ports = [reserved[i] for i in range(len(wanted))]
            self._plug(container_id, endpoint, address, mac_address)
            if endpoint.ports:
                endpoint.is_published = True
                self._apply(render_publish(self._settings.name, str(address), endpoint.ports))
                forget_datagrams(address, endpoint.ports)
                self._relay.publish(str(address), endpoint.ports)
        except BaseException:
            self._disconnect(container_id)
            raise
        return BridgeAttachment(
            container_id, str(address), self.subnet.prefixlen, str(self.gateway), mac_address, tuple(endpoint.ports)
        )

    def _reserve(self, endpoint: _Endpoint, port: PortPublication) -> PortPublication:
        reserved = self._ports.reserve(port)
        endpoint.ports.append(reserved)
        return reserved

    def _make_netns(self, container_id: str, endpoint: _Endpoint) -> NetlinkSocket:
        """A new namespace with its loopback up, and a socket that speaks to it."""
        with _translated("make a network namespace"):
            if (made := self._network_of(container_id)) is None:
                endpoint.netns_fd, inside = create_network_namespace(NetlinkSocket)
            else:
                endpoint.netns_fd, inside = made, in_network_namespace(made, NetlinkSocket)
            links.set_up(inside, links.LOOPBACK_INDEX)
            return inside

    def _plug(self, container_id: str, endpoint: _Endpoint, address: IPv4Address, mac_address: str) -> None:
        name = veth_name(self._settings.name, container_id)
        with (
            self._make_netns(container_id, endpoint) as inside,
            _translated(f"connect container {container_id} to {self._settings.name}"),
            NetlinkSocket() as host,
        ):
            if endpoint.netns_fd is None:
                raise InternalError(f"the network namespace of container {container_id} is gone")
            peer = links.Peer(CONTAINER_INTERFACE, mac_address, endpoint.netns_fd)
            links.add_veth(host, name, self._settings.mtu, peer, master=self._bridge_index)
            near, far = links.get_link(host, name), links.get_link(inside, CONTAINER_INTERFACE)
            if near is None or far is None:
                raise InternalError(f"the interface of container {container_id} vanished")
            links.set_hairpin(host, near.index)
            if not self._settings.among_themselves and not links.frames_are_filtered():
                links.isolate_port(host, near.index)
            links.add_address(inside, far.index, IPv4Interface((address, self.subnet.prefixlen)))
            links.set_up(inside, far.index)
            links.add_default_route(inside, self.gateway)

    def _disconnect(self, container_id: str) -> None:
        self._withdraw(container_id)
        self._unplug(container_id)
        self._forget(container_id)

    def _withdraw(self, container_id: str) -> None:
        endpoint = self._endpoints.get(container_id)
        if endpoint is not None and endpoint.is_published:
            self._apply(render_withdraw(self._settings.name, endpoint.ports), without=container_id)
            endpoint.is_published = False
            forget_datagrams(endpoint.address, endpoint.ports)
            self._relay.withdraw(endpoint.ports)

    def _unplug(self, container_id: str) -> None:
        with _translated(f"disconnect container {container_id}"), NetlinkSocket() as netlink:
            links.delete_link(netlink, veth_name(self._settings.name, container_id))

    def _forget(self, container_id: str) -> None:
        self.close_netns(container_id)
        endpoint = self._endpoints.pop(container_id, None)
        for port in endpoint.ports if endpoint is not None else ():
            self._ports.release(port)

    def _adopt(self, attachments: Mapping[str, BridgeAttachment]) -> None:
        for container_id in list(self._endpoints.keys() - attachments.keys()):
            self._disconnect(container_id)
        for container_id, attachment in attachments.items():
            endpoint = self._endpoints.setdefault(container_id, _Endpoint())
            endpoint.address = IPv4Address(attachment.address)
            endpoint.ports = [parse_publication(port) for port in attachment.ports]
            endpoint.is_published = bool(endpoint.ports)
            for port in itertools.filterfalse(is_ipv6, endpoint.ports):
                self._ports.adopt(port)
        kept = {veth_name(self._settings.name, container_id) for container_id in attachments}
        with _translated("take down stray interfaces"), NetlinkSocket() as netlink:
            for link in links.list_links(netlink):
                if (
                    link.kind == "veth"
                    and link.name.startswith(veth_prefix(self._settings.name))
                    and link.name not in kept
                ):
                    links.delete_link(netlink, link.name)
        self._rebuild_ruleset()
        self._relay.adopt({port: at.address for at in attachments.values() for port in at.ports if is_ipv6(port)})

    def _close(self) -> None:
        for container_id in list(self._endpoints):
            self.close_netns(container_id)
        self._relay.close()
        self._ports.release_all()
        if self._nftables is not None:
            self._nftables.close()


def remove_bridge(settings: BridgeSettings) -> None:
    """Take bridge and table off the host, for an uninstall; what is gone already is success."""
    firewall = Nftables()
    try:
        table = table_name(settings.name)
        close_way(firewall, settings.name)
        firewall.run(f"table ip {table}\ndelete table ip {table}")
    finally:
        firewall.close()
    with _translated(f"remove the bridge {settings.name}"), NetlinkSocket() as netlink:
        links.delete_link(netlink, settings.name)
