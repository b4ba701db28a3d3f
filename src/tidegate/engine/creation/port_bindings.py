"""Which ports a client wants published: pure. Specification: definition PortMap; moby: go-connections/nat.

``HostPort`` is a port, a range of which the first free one is taken, or empty or 0 for an ephemeral one.
"""

import ipaddress
import re
from collections.abc import Iterable

from tidegate.base.errors import InvalidParameterError, NotSupportedError
from tidegate.model.container import PublishedPort
from tidegate.spec.container import CreateRequest

DEFAULT_HOST_IP = "0.0.0.0"  # noqa: S104 - Docker's default
HIGHEST_PORT = 65535
_PORT = re.compile(r"([0-9]{1,5})(?:/(tcp|udp|sctp))?")
_HOST_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def parse_ports(request: CreateRequest, default_ip: str = "") -> Iterable[PublishedPort]:
    """The bindings, and every other exposed port with PublishAllPorts; on ``default_ip`` where no address is named.

    Raises InvalidParameterError, NotSupportedError.
    """
    host = request.host_config
    for key, bindings in host.port_bindings.items():
        port, protocol = parse_port(key)
        for binding in bindings:
            first, last = parse_host_ports(binding.host_port)
            yield PublishedPort(port, protocol, _parse_host_ip(binding.host_ip or default_ip), first, last)
    if host.publish_all_ports:
        bound = {parse_port(key) for key in host.port_bindings}
        for key in request.exposed_ports:
            if (exposed := parse_port(key)) not in bound:
                yield PublishedPort(*exposed, _parse_host_ip(default_ip), 0)


def parse_port(text: str) -> tuple[int, str]:
    """``80`` or ``53/udp`` as (port, protocol)."""
    found = _PORT.fullmatch(text)
    if found is None or not 0 < int(found[1]) <= HIGHEST_PORT:
        raise InvalidParameterError(f"invalid port specification: {text!r}")
    return int(found[1]), found[2] or "tcp"


def parse_host_ports(text: str) -> tuple[int, int]:
    """(first, last) of the host ports; last is 0 where there is only one."""
    if text in ("", "0"):
        return 0, 0
    found = _HOST_PORTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last <= HIGHEST_PORT:
        raise InvalidParameterError(f"invalid port specification: {text!r}")
    return first, last if last > first else 0


def _parse_host_ip(text: str) -> str:
    if not text:
        return DEFAULT_HOST_IP
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidParameterError(f"invalid IP address: {text}") from error
    if "%" in text:
        raise NotSupportedError(f"PortBindings: an address with a zone is not supported: {text}")
    return str(address)
