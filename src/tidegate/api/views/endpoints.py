"""What the wire shows of a container's place on its network: ports and NetworkSettings.

Specification: definitions PortMap, PortSummary, NetworkSettings, EndpointSettings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.engine.networks import endpoint_id
from tidegate.engine.ports import BridgeAttachment
from tidegate.model.container import JOINS, Container
from tidegate.model.phases import ALIVE, Phase
from tidegate.spec.container import CreateRequest


def ports_view(
    request: CreateRequest, attachment: BridgeAttachment | None
) -> Mapping[str, Sequence[Mapping[str, str]] | None]:
    """``NetworkSettings.Ports``: what is published, and null for what is exposed only."""
    if attachment is None:
        return {}
    ports: dict[str, list[Mapping[str, str]]] = {}
    for port in attachment.ports:
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        ports.setdefault(f"{port.container_port}/{port.protocol}", []).append(binding)
    return {**dict.fromkeys(map(_spelled, request.exposed_ports)), **ports}


def port_rows(request: CreateRequest, attachment: BridgeAttachment | None) -> Sequence[Mapping[str, Any]]:
    """``Ports`` of a row in the list: what is published, then what is exposed only."""
    if attachment is None:
        return []
    published = {f"{port.container_port}/{port.protocol}" for port in attachment.ports}
    exposed = [key.partition("/") for key in map(_spelled, request.exposed_ports) if key not in published]
    return [
        *(
            {"IP": port.host_ip, "PrivatePort": port.container_port, "PublicPort": port.host_port,
             "Type": port.protocol}
            for port in attachment.ports
        ),
        *({"PrivatePort": int(port), "Type": protocol} for port, _, protocol in exposed if port.isdecimal()),
    ]  # fmt: skip


def _spelled(key: str) -> str:
    """A key of ``ExposedPorts`` with its protocol."""
    return key if "/" in key else f"{key}/tcp"


def endpoint_view(container: Container, attachment: BridgeAttachment | None, network_id: str) -> dict[str, Any]:
    """``EndpointSettings`` on the container's one network; the endpoint exists while the container runs."""
    is_on = container.state.phase in ALIVE - {Phase.STARTING}
    return {
        "IPAMConfig": None,
        "Links": [],
        "Aliases": [],
        "DriverOpts": None,
        "GwPriority": 0,
        "MacAddress": attachment.mac_address if attachment else "",
        "NetworkID": network_id,
        "EndpointID": endpoint_id(network_id, container.id) if is_on else "",
        "Gateway": attachment.gateway if attachment else "",
        "IPAddress": attachment.address if attachment else "",
        "IPPrefixLen": attachment.prefix_length if attachment else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": [],
    }


def networks_view(container: Container, endpoint: dict[str, Any]) -> dict[str, Any]:
    """``Networks``: the endpoint by its network; none in another container's."""
    network = container.settings.network
    return {} if network.startswith(JOINS) else {network: endpoint}


def network_settings_view(
    container: Container,
    request: CreateRequest,
    attachment: BridgeAttachment | None,
    network_id: str,
) -> dict[str, Any]:
    """``NetworkSettings``. The sandbox is the network namespace of the container's own process."""
    endpoint = endpoint_view(container, attachment, network_id)
    is_on = container.state.phase in ALIVE - {Phase.STARTING}
    return {
        "SandboxID": container.id if is_on else "",
        "SandboxKey": f"/proc/{container.state.pid}/ns/net" if is_on else "",
        "Ports": ports_view(request, attachment),
        "Networks": networks_view(container, endpoint),
    }
