"""Namespaces of another container, joined: ``container:NAME`` of ``NetworkMode``, ``PidMode``, ``IpcMode``. Pure.

The container is resolved when the new one is created, and kept by its id: a later one of that name is another.

Texts: moby's runconfig/hostconfig_unix.go.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.model.container import JOINS, Container
from tidegate.spec.container import CreateRequest
from tidegate.spec.stored import stored_request

Find = Callable[[str], Container]
"""By what the client wrote. Raises NotFoundError, InvalidParameterError for an ambiguous prefix."""


def find_for_new(name_or_id: str, find: Find) -> Container:
    """A container that a new one refers to. Raises InvalidParameterError.

    Not NotFoundError: at create, the docker CLI takes a 404 for a missing image and pulls.
    """
    try:
        return find(name_or_id)
    except NotFoundError as error:
        raise InvalidParameterError(error.message) from error


def resolve_joined(request: CreateRequest, find: Find) -> CreateRequest:
    """The document with ids in place of names. Raises InvalidParameterError, also for what the other one decides."""
    host, changes = request.host_config, dict[str, Any]()
    for field in ("network_mode", "pid_mode", "ipc_mode"):
        mode = getattr(host, field)
        if mode.startswith(JOINS):
            changes[field] = JOINS + find_for_new(mode.removeprefix(JOINS), find).id
    request = replace(request, host_config=replace(host, **changes))
    if "network_mode" not in changes:
        return request
    _check_conflicts(request)
    other = find_for_new(changes["network_mode"].removeprefix(JOINS), find)
    document = stored_request(other.document)
    return replace(
        request, hostname=document.hostname or other.id[:12], domainname=document.domainname, exposed_ports={}
    )


def _check_conflicts(request: CreateRequest) -> None:
    host = request.host_config
    ports = "{} and the container type network mode"
    conflicts = {
        "hostname and the network mode": request.hostname,
        "dns and the network mode": host.dns or host.dns_search or host.dns_options,
        "custom host-to-IP mapping and the network mode": host.extra_hosts,
        "mac-address and the network mode": request.mac_address,
        ports.format("port publishing"): host.port_bindings or host.publish_all_ports,
        ports.format("port exposing"): request.exposed_ports,
    }
    for what, value in conflicts.items():
        if value:
            raise InvalidParameterError(f"conflicting options: {what}")
