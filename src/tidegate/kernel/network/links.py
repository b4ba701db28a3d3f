"""Links, addresses and routes, each function one rtnetlink request on the namespace of the given socket.

Refusals are OSError with the kernel's errno, except where a function says what it makes of one.
"""

import errno
import socket
import struct
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import msgspec

from tidegate.kernel.network.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkSocket,
    attribute,
    nested,
    parse_attributes,
    text,
    u8,
    u32,
)

LOOPBACK_INDEX = 1

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 17, 18, 19
_RTM_NEWADDR, _RTM_GETADDR, _RTM_NEWROUTE, _RTM_GETROUTE = 20, 22, 24, 26
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_PROTINFO = 1, 3, 4, 10, 12
_IFLA_LINKINFO, _IFLA_NET_NS_FD = 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFLA_BRPORT_MODE, _IFLA_BRPORT_ISOLATED = 4, 33
_BRIDGED_FRAMES = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_GATEWAY = 1, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1
_IFF_UP = 1
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")


class Link(msgspec.Struct, frozen=True):
    """A network interface; ``master`` is the ifindex of its bridge or 0."""

    index: int
    name: str
    master: int
    is_up: bool
    mac_address: str
    kind: str


def pack_mac(mac_address: str) -> bytes:
    """Six bytes of ``02:42:ac:12:00:02``; ValueError when it is not one."""
    packed = bytes.fromhex(mac_address.replace(":", "").replace("-", ""))
    if len(packed) != 6:
        raise ValueError(f"invalid MAC address: {mac_address}")
    return packed


def _link_message(index: int = 0, flags: int = 0, change: int = 0, family: int = socket.AF_UNSPEC) -> bytes:
    return _LINK.pack(family, 0, index, flags, change)


def _parse_link(body: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = parse_attributes(body[_LINK.size :])
    info = parse_attributes(found.get(_IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=found[_IFLA_IFNAME].rstrip(b"\0").decode(),
        master=int(struct.unpack("=I", found.get(_IFLA_MASTER, bytes(4)))[0]),
        is_up=bool(flags & _IFF_UP),
        mac_address=found.get(_IFLA_ADDRESS, b"").hex(":"),
        kind=info.get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
    )


def list_links(netlink: NetlinkSocket) -> list[Link]:
    return [_parse_link(body) for body in netlink.query(_RTM_GETLINK, _link_message(), NLM_F_DUMP)]


def get_link(netlink: NetlinkSocket, name: str) -> Link | None:
    """The link of that name, None when there is none."""
    try:
        answers = netlink.query(_RTM_GETLINK, _link_message() + text(_IFLA_IFNAME, name), NLM_F_ACK)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return _parse_link(answers[0])


def add_bridge(netlink: NetlinkSocket, name: str, mac_address: str, mtu: int) -> None:
    """A bridge, down. A fixed MAC keeps it from changing as ports come and go, which would break neighbour caches."""
    body = _link_message() + text(_IFLA_IFNAME, name) + attribute(_IFLA_ADDRESS, pack_mac(mac_address))
    body += u32(_IFLA_MTU, mtu) + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge"))
    netlink.request(_RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)


class Peer(msgspec.Struct, frozen=True):
    """The far end of a veth pair: created down in the namespace ``netns_fd``."""

    name: str
    mac_address: str
    netns_fd: int


def add_veth(netlink: NetlinkSocket, name: str, mtu: int, peer: Peer, master: int = 0) -> None:
    """A veth pair: this end up, on the bridge ``master`` when given.

    The peer is created down: created up, the kernel opens it before it is paired and answers ENOTCONN.
    """
    far = _link_message() + text(_IFLA_IFNAME, peer.name) + attribute(_IFLA_ADDRESS, pack_mac(peer.mac_address))
    far += u32(_IFLA_MTU, mtu) + u32(_IFLA_NET_NS_FD, peer.netns_fd)
    body = _link_message(flags=_IFF_UP, change=_IFF_UP) + text(_IFLA_IFNAME, name) + u32(_IFLA_MTU, mtu)
    if master:
        body += u32(_IFLA_MASTER, master)
    info_data = nested(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, far))
    body += nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "veth"), info_data)
    netlink.request(_RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)


def set_up(netlink: NetlinkSocket, index: int) -> None:
    netlink.request(_RTM_NEWLINK, _link_message(index, _IFF_UP, _IFF_UP))


def set_hairpin(netlink: NetlinkSocket, index: int) -> None:
    """Let the bridge send a frame back out of the port it came in by."""
    body = _link_message(index, family=socket.AF_BRIDGE) + nested(_IFLA_PROTINFO, u8(_IFLA_BRPORT_MODE, 1))
    netlink.request(_RTM_SETLINK, body)


def frames_are_filtered() -> bool:
    """Whether frames within a bridge are shown to the rules for IPv4 (br_netfilter): these drop them by themselves, and
    lead what is published from container to container within the bridge, which isolated ports would not carry."""
    return _BRIDGED_FRAMES.exists() and _BRIDGED_FRAMES.read_text().strip() == "1"


def isolate_port(netlink: NetlinkSocket, index: int) -> None:
    """Let the bridge carry no frame between this port and others that are isolated (bridge(8))."""
    body = _link_message(index, family=socket.AF_BRIDGE) + nested(_IFLA_PROTINFO, u8(_IFLA_BRPORT_ISOLATED, 1))
    netlink.request(_RTM_SETLINK, body)


def delete_link(netlink: NetlinkSocket, name: str) -> bool:
    """Delete a link (a veth takes its peer along); False when there is none of that name."""
    try:
        netlink.request(_RTM_DELLINK, _link_message() + text(_IFLA_IFNAME, name))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return False
        raise
    return True


def add_address(netlink: NetlinkSocket, index: int, interface: IPv4Interface) -> None:
    """Give the link an address; one it has already is success."""
    body = _ADDRESS.pack(socket.AF_INET, interface.network.prefixlen, 0, 0, index)
    body += attribute(_IFA_LOCAL, interface.ip.packed) + attribute(_IFA_ADDRESS, interface.ip.packed)
    body += attribute(_IFA_BROADCAST, interface.network.broadcast_address.packed)
    netlink.request(_RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_REPLACE)


def list_addresses(netlink: NetlinkSocket) -> list[tuple[int, IPv4Interface]]:
    """(ifindex, address) of every IPv4 address."""
    found = []
    for body in netlink.query(_RTM_GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0), NLM_F_DUMP):
        _, prefix_length, _, _, index = _ADDRESS.unpack_from(body)
        local = parse_attributes(body[_ADDRESS.size :]).get(_IFA_LOCAL)
        if local is not None:
            found.append((index, IPv4Interface((local, prefix_length))))
    return found


def add_default_route(netlink: NetlinkSocket, gateway: IPv4Address) -> None:
    body = _ROUTE.pack(
        socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0
    ) + attribute(_RTA_GATEWAY, gateway.packed)
    netlink.request(_RTM_NEWROUTE, body, NLM_F_CREATE | NLM_F_EXCL)


def list_destinations(netlink: NetlinkSocket) -> list[IPv4Network]:
    """The networks that the main table has routes to, the default route left out."""
    found = []
    for body in netlink.query(_RTM_GETROUTE, _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0), NLM_F_DUMP):
        _, prefix_length, _, _, table, *_ = _ROUTE.unpack_from(body)
        destination = parse_attributes(body[_ROUTE.size :]).get(_RTA_DST)
        if destination is not None and table == _RT_TABLE_MAIN:
            found.append(IPv4Network((destination, prefix_length)))
    return found
