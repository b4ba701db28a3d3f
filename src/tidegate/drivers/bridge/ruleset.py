"""The nftables ruleset of a bridge, as text: constant chains, and two maps from published ports to containers.

- One table per bridge, so that two engines on a host do not meet and one command removes all that is ours.
- A published port of an IPv6 address is not the table's (``port_relay``).
- A published port on one address is in ``published``; one on every address is in ``published_any``, looked up second.
- Containers are reached from outside by published ports only; among themselves freely, or as if from outside.
- ``route_localnet`` makes 127.0.0.0/8 routable, so what claims to go there from another host is dropped first
  (CVE-2020-8558).
"""

import itertools
from collections.abc import Iterable
from ipaddress import IPv4Network

from tidegate.drivers.bridge.ports import WILDCARD, is_ipv6
from tidegate.engine.ports import PortPublication


def table_name(bridge: str) -> str:
    return f"tidegate-{bridge}"


def _element(port: PortPublication, address: str) -> tuple[str, str, str]:
    """(map, key, value) of a publication; the address and port have been parsed, so the text needs no quoting."""
    service = f"{port.protocol} . {port.host_port}"
    value = f"{address} . {port.container_port}"
    if port.host_ip == WILDCARD:
        return "published_any", service, value
    return "published", f"{port.host_ip} . {service}", value


def render_publish(bridge: str, address: str, ports: Iterable[PortPublication]) -> str:
    """Commands that lead the ports to the container at ``address``."""
    lines = []
    for port in itertools.filterfalse(is_ipv6, ports):
        name, key, value = _element(port, address)
        lines.append(f"add element ip {table_name(bridge)} {name} {{ {key} : {value} }}")
    return "\n".join(lines)


def render_withdraw(bridge: str, ports: Iterable[PortPublication]) -> str:
    """Commands that undo ``render_publish``; they fail as a whole when one of the ports is not published."""
    lines = []
    for port in itertools.filterfalse(is_ipv6, ports):
        name, key, _ = _element(port, "")
        lines.append(f"delete element ip {table_name(bridge)} {name} {{ {key} }}")
    return "\n".join(lines)


def render_ruleset(
    bridge: str,
    subnet: IPv4Network,
    published: Iterable[tuple[str, Iterable[PortPublication]]],
    *,
    masquerade: bool = True,
    among_themselves: bool = True,
) -> str:
    """Replace the table by a fresh one that publishes what is given, as one transaction.

    - Without ``masquerade`` the world sees the containers' own addresses.
    - Without ``among_themselves`` containers reach each other by published ports only; frames within the bridge are not
      the table's (``links.isolate_port``).
    """
    table = table_name(bridge)
    hidden = f'oifname != "{bridge}" ip saddr {subnet} masquerade' if masquerade else ""
    within = f'iifname "{bridge}" accept' if among_themselves else ""
    elements = "\n".join(render_publish(bridge, address, ports) for address, ports in published)
    return f"""
table ip {table}
delete table ip {table}
table ip {table} {{
  map published {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
  map published_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  chain guard_loopback {{
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 counter drop
    iifname != "lo" ip saddr 127.0.0.0/8 counter drop
  }}
  chain lead {{
    meta l4proto {{ tcp, udp, sctp }} dnat ip to ip daddr . meta l4proto . th dport map @published
    meta l4proto {{ tcp, udp, sctp }} dnat ip to meta l4proto . th dport map @published_any
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump lead
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    fib daddr type local jump lead
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    {hidden}
    oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade
    oifname "{bridge}" ip saddr {subnet} ct status dnat masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    oifname != "{bridge}" accept
    ct state established,related accept
    {within}
    ct status dnat accept
    counter drop
  }}
}}
{elements}
"""
