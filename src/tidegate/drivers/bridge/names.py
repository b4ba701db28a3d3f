"""Names and addresses on a bridge, computed so that nothing has to be remembered: pure."""

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from tidegate.base.errors import UnavailableError

DEFAULT_SUBNETS = (
    *(IPv4Network(f"172.{second}.0.0/16") for second in range(18, 32)),
    *(IPv4Network(f"192.168.{third}.0/20") for third in range(0, 256, 16)),
)


def choose_subnet(taken: Sequence[IPv4Network], pool: Iterable[IPv4Network] = DEFAULT_SUBNETS) -> IPv4Network:
    """The first subnet of ``pool`` that overlaps no route of the host. Raises UnavailableError."""
    for subnet in pool:
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise UnavailableError("could not find an available IPv4 address pool for the bridge")


def veth_prefix(bridge: str) -> str:
    return f"tg{hashlib.sha256(bridge.encode()).hexdigest()[:4]}"


def veth_name(bridge: str, container_id: str) -> str:
    """At most 15 characters, as interface names are (IFNAMSIZ)."""
    return veth_prefix(bridge) + hashlib.sha256(container_id.encode()).hexdigest()[:9]


def mac_of(address: IPv4Address) -> str:
    """Docker's derivation: a reused address keeps its MAC, so no neighbour cache goes stale."""
    return (b"\x02\x42" + address.packed).hex(":")
