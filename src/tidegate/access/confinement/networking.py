"""Networks and published ports: of containers, of builds, and the network operations themselves.

- A network is joined by being the client's own, by one of Docker's harmless modes, or by a grant of its name.
- A mode with a colon that is not ``container:`` (Podman's ``ns:/proc/1/ns/net``) shares a namespace of the host.
- A new network may not be put on an interface of the host, nor take over addresses that are not private.
"""

import ipaddress
import re
from collections.abc import Iterator

from tidegate.access.confinement.labels import reserved_labels
from tidegate.access.confinement.tree import Tree, as_mapping, documents, flag, items, mapping, text
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectKind, ObjectReference

Claims = Iterator[Demand | ObjectReference]

HOST_FIELDS = frozenset(
    {"NetworkMode", "PortBindings", "PortBindings.HostIp", "PortBindings.HostPort", "PublishAllPorts"}
)
ENDPOINT_FIELDS = frozenset({"DriverOpts", "Links", "NetworkID"})
CREATE_FIELDS = frozenset(
    {
        "Driver",
        "Scope",
        "Options",
        "Labels",
        "IPAM",
        "IPAM.Driver",
        "IPAM.Options",
        "IPAM.Config",
        "IPAM.Config.Subnet",
        "IPAM.Config.IPRange",
        "IPAM.Config.Gateway",
        "IPAM.Config.AuxiliaryAddresses",
        "Ingress",
        "ConfigOnly",
        "ConfigFrom",
        "ConfigFrom.Network",
    }
)
_MODES = frozenset({"", "default", "bridge", "none"})
_HOST_MODES = frozenset({"host"})
_CONTAINER_PORT = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_BRIDGE = "com.docker.network.bridge."
_HARMLESS_OPTIONS = frozenset(
    {
        f"{_BRIDGE}enable_icc",
        f"{_BRIDGE}enable_ip_masquerade",
        "com.docker.network.driver.mtu",
        "com.docker.network.enable_ipv4",
        "com.docker.network.enable_ipv6",
    }
)
_HARMLESS_ENDPOINT_OPTIONS = frozenset({"com.docker.network.endpoint.ifname"})


def mode_claims(mode: str, field: str) -> Claims:
    """What ``NetworkMode``, or a build's ``networkmode``, asks for."""
    kind, colon, name = mode.partition(":")
    if mode in _MODES:
        return
    if colon and kind == "container":
        yield ObjectReference(ObjectKind.CONTAINER, name)
    elif mode in _HOST_MODES or not _NAME.fullmatch(mode):
        yield Demand(DemandKind.NAMESPACE, field, f"net={mode}")
    else:
        own = ObjectReference(ObjectKind.NETWORK, mode)
        yield Demand(DemandKind.NETWORK, field, mode, unless_own=own)


def endpoint_claims(endpoint: Tree, field: str) -> Iterator[Demand | ObjectReference]:
    """``EndpointSettings``."""
    for option in mapping(endpoint, "DriverOpts"):
        if option not in _HARMLESS_ENDPOINT_OPTIONS:
            yield Demand(DemandKind.NETWORK_DRIVER, f"{field}.DriverOpts", f"endpoint:{option}")
    yield from link_claims(endpoint, "Links")
    yield from mode_claims(text(endpoint, "NetworkID"), f"{field}.NetworkID")


def link_claims(tree: Tree, name: str) -> Claims:
    """A link shows the other container's environment."""
    for link in items(tree, name):
        yield ObjectReference(ObjectKind.CONTAINER, str(link).partition(":")[0])


def endpoints_claims(networking: Tree, field: str) -> Claims:
    """``NetworkingConfig``."""
    for name, endpoint in mapping(networking, "EndpointsConfig").items():
        yield from mode_claims(name, f"{field}.EndpointsConfig")
        yield from endpoint_claims(as_mapping(endpoint, name), f"{field}.EndpointsConfig")


def port_claims(host: Tree, prefix: str) -> Iterator[Demand]:
    """Ports of the host that a container is to be reached by."""
    if flag(host, "PublishAllPorts"):
        yield Demand(DemandKind.PORT, f"{prefix}PublishAllPorts", "*:0/all")
    for container_port, bindings in mapping(host, "PortBindings").items():
        # What follows the number ends up behind the host's port, where a colon would begin another one.
        if not _CONTAINER_PORT.fullmatch(container_port):
            yield Demand(DemandKind.FIELD, f"{prefix}PortBindings", container_port)
            continue
        for binding in documents({"PortBindings": bindings}, "PortBindings"):
            address, port = text(binding, "HostIp") or "*", text(binding, "HostPort") or "0"
            if re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?", port, re.ASCII):
                protocol = container_port.partition("/")[2] or "tcp"
                yield Demand(DemandKind.PORT, f"{prefix}PortBindings", f"{_address(address)}:{port}/{protocol}")
            else:
                yield Demand(DemandKind.FIELD, f"{prefix}PortBindings.HostPort", port)


def _address(text_: str) -> str:
    """``0.0.0.0`` and ``::`` are what no address means."""
    try:
        address = ipaddress.ip_address(text_.strip("[]"))
    except ValueError:
        return text_
    return "*" if address.is_unspecified else str(address)


def create_claims(tree: Tree) -> Claims:
    """The body of ``NetworkCreate``."""
    driver = text(tree, "Driver") or "bridge"
    yield Demand(DemandKind.NETWORK_DRIVER, "Driver", driver)
    for option in mapping(tree, "Options"):
        if option not in _HARMLESS_OPTIONS:
            yield Demand(DemandKind.NETWORK_DRIVER, "Options", f"{driver}:{option}")
    if text(tree, "Scope") not in ("", "local"):
        yield Demand(DemandKind.FIELD, "Scope", text(tree, "Scope"))
    for name in ("Ingress", "ConfigOnly"):
        if flag(tree, name):
            yield Demand(DemandKind.FIELD, name, name)
    if mapping(tree, "ConfigFrom"):
        reference = text(mapping(tree, "ConfigFrom"), "Network")
        if reference:
            yield Demand(DemandKind.FIELD, "ConfigFrom", reference)
    yield from reserved_labels(mapping(tree, "Labels"), "Labels")
    yield from _ipam_claims(mapping(tree, "IPAM"))


def _ipam_claims(ipam: Tree) -> Iterator[Demand]:
    if text(ipam, "Driver") not in ("", "default"):
        yield Demand(DemandKind.NETWORK_DRIVER, "IPAM.Driver", f"ipam:{text(ipam, 'Driver')}")
    for option in mapping(ipam, "Options"):
        yield Demand(DemandKind.NETWORK_DRIVER, "IPAM.Options", f"ipam:{option}")
    for config in documents(ipam, "Config"):
        for name in ("Subnet", "IPRange", "Gateway"):
            if text(config, name):
                yield _subnet(text(config, name), f"IPAM.Config.{name}")
        for key in mapping(config, "AuxiliaryAddresses"):
            yield _subnet(text(mapping(config, "AuxiliaryAddresses"), key), "IPAM.Config.AuxiliaryAddresses")


def _subnet(value: str, field: str) -> Demand:
    try:
        return Demand(DemandKind.SUBNET, field, str(ipaddress.ip_network(value, strict=False)))
    except ValueError:
        return Demand(DemandKind.FIELD, field, value)
