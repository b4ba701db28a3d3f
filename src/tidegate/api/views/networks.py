"""What the wire shows of a network. Specification: definitions Network, NetworkInspect, EndpointResource."""

from collections.abc import Sequence
from typing import Any

from tidegate.engine.networks import BridgeFacts, Network, endpoint_id
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import Container
from tidegate.spec.timestamps import format_time


def network_view(network: Network, bridge: BridgeFacts) -> dict[str, Any]:
    """A row of the list; ``bridge`` matters to the network of that name only."""
    is_bridge = network.name == "bridge"
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": format_time(network.created_at_ns),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": bridge.subnet, "Gateway": bridge.gateway}] if is_bridge else None,
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Options": dict(bridge.options) if is_bridge else {},
        "Labels": {},
    }


def members_view(network: Network, members: Sequence[tuple[Container, BridgeAttachment | None]]) -> dict[str, Any]:
    """``Containers`` of inspect, by container id."""
    return {
        container.id: {
            "Name": container.name,
            "EndpointID": endpoint_id(network.id, container.id),
            "MacAddress": attachment.mac_address if attachment else "",
            "IPv4Address": f"{attachment.address}/{attachment.prefix_length}" if attachment else "",
            "IPv6Address": "",
        }
        for container, attachment in members
    }
