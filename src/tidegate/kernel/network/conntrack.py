"""Tracked connections, through ctnetlink (linux/netfilter/nfnetlink_conntrack.h): listed and forgotten.

The kernel translates the addresses of a flow as it did with the flow's first packet, for as long as packets come. For
TCP that is right. A datagram socket that goes on sending never learns that a port was published or withdrawn, so that
its flow has to be forgotten.
"""

import errno
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

import msgspec

from tidegate.kernel.network.netlink import NLA_F_NESTED, NLM_F_DUMP, NetlinkSocket, attribute, parse_attributes

NETLINK_NETFILTER = 12
_SUBSYSTEM = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _SUBSYSTEM | 1, _SUBSYSTEM | 2
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_ID = 1, 2, 12
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_IP_V4_SRC, _CTA_IP_V4_DST = 1, 2
_CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 3
_GENERIC = struct.Struct(">BBH")


class Flow(msgspec.Struct, frozen=True):
    """One tracked flow: to whom its first packet was sent, and who answers (another one after a translation)."""

    protocol: int
    sent_to: IPv4Address
    port: int
    answered_by: IPv4Address


def forget_flows(is_stale: Callable[[Flow], bool]) -> int:
    """Forget the flows of IPv4 for which ``is_stale`` is true; how many there were. Raises OSError."""
    generic = _GENERIC.pack(socket.AF_INET, 0, 0)
    with NetlinkSocket(NETLINK_NETFILTER) as netlink:
        forgotten = 0
        for body in netlink.query(_GET, generic, NLM_F_DUMP):
            attributes = parse_attributes(body[_GENERIC.size :])
            flow = parse_flow(attributes)
            if flow is None or not is_stale(flow):
                continue
            named = attribute(_CTA_TUPLE_ORIG | NLA_F_NESTED, attributes[_CTA_TUPLE_ORIG])
            if _CTA_ID in attributes:
                named += attribute(_CTA_ID, attributes[_CTA_ID])
            try:
                netlink.request(_DELETE, generic + named)
            except OSError as error:
                if error.errno != errno.ENOENT:  # it ended meanwhile
                    raise
            forgotten += 1
    return forgotten


def parse_flow(attributes: dict[int, bytes]) -> Flow | None:
    """The flow of a message; None for one without ports or addresses of IPv4."""
    sent, answered = (parse_attributes(attributes.get(kind, b"")) for kind in (_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY))
    addresses, answering = (parse_attributes(part.get(_CTA_TUPLE_IP, b"")) for part in (sent, answered))
    ports = parse_attributes(sent.get(_CTA_TUPLE_PROTO, b""))
    if _CTA_IP_V4_DST not in addresses or _CTA_IP_V4_SRC not in answering or _CTA_PROTO_DST_PORT not in ports:
        return None
    return Flow(
        ports[_CTA_PROTO_NUM][0],
        IPv4Address(addresses[_CTA_IP_V4_DST]),
        struct.unpack(">H", ports[_CTA_PROTO_DST_PORT])[0],
        IPv4Address(answering[_CTA_IP_V4_SRC]),
    )
