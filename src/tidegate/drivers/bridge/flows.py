"""Flows of datagrams that a published port has to get, or to lose: those the kernel tracks from before the change.

Without that a client that goes on sending from one socket, as DNS resolvers, VPNs and syslog senders do, would for ever
be led to where the port belonged when it began.
"""

import logging
from collections.abc import Iterable
from ipaddress import IPv4Address

from tidegate.drivers.bridge.ports import PROTOCOLS, WILDCARD
from tidegate.engine.ports import PortPublication
from tidegate.kernel.network.conntrack import Flow, forget_flows

_log = logging.getLogger(__name__)


def forget_datagrams(address: IPv4Address | None, ports: Iterable[PortPublication]) -> None:
    """After a change of who answers on the ports. A kernel that cannot do it is reported and changes nothing else."""
    numbers = {(PROTOCOLS[port.protocol], port.host_port): port for port in ports if port.protocol != "tcp"}
    if not numbers:
        return

    def is_stale(flow: Flow) -> bool:
        port = numbers.get((flow.protocol, flow.port))
        at_port = port is not None and port.host_ip in (WILDCARD, str(flow.sent_to))
        return at_port or (flow.answered_by == address and flow.protocol != PROTOCOLS["tcp"])

    try:
        forget_flows(is_stale)
    except OSError as error:
        _log.warning("flows of datagrams go on to where their ports belonged before: %s", error)
