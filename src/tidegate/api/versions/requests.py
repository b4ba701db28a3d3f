"""Documents of older clients as they would be written today; those of mounts are in ``api/mount_versions.py``.

A field that a version does not know says nothing there; where it once meant something else, that is what it means.
Source: the version history of the Engine API, and moby's ``postContainersCreate``, ``postContainerUpdate`` and
``postContainerExecCreate``.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from tidegate.api.profile import ApiProfile
from tidegate.base.errors import InvalidParameterError
from tidegate.spec.api_version import ApiVersion
from tidegate.spec.container import CreateRequest, EndpointSettings, ExecCreateRequest, UpdateRequest

Request = TypeVar("Request", CreateRequest, UpdateRequest, ExecCreateRequest)


class RequestChange(msgspec.Struct, frozen=True):
    """``newer`` makes of a document of a version below ``since`` what ``since`` says."""

    since: ApiVersion
    kind: type[msgspec.Struct]
    summary: str
    newer: Callable[[Any], Any]


def _shareable_ipc(request: CreateRequest) -> CreateRequest:
    host = request.host_config
    return replace(request, host_config=replace(host, ipc_mode=host.ipc_mode or "shareable"))


def _no_console_size(request: CreateRequest) -> CreateRequest:
    return replace(request, host_config=replace(request.host_config, console_size=None))


def _no_annotations(request: CreateRequest) -> CreateRequest:
    return replace(request, host_config=replace(request.host_config, annotations={}))


def _no_start_interval(request: CreateRequest) -> CreateRequest:
    check = request.healthcheck
    return request if check is None else replace(request, healthcheck=replace(check, start_interval=0))


def _each_endpoint(request: CreateRequest, change: Callable[[EndpointSettings], EndpointSettings]) -> CreateRequest:
    network = request.networking_config
    endpoints = {name: each and change(each) for name, each in network.endpoints_config.items()}
    return replace(request, networking_config=replace(network, endpoints_config=endpoints))


def _no_address_of_endpoints(request: CreateRequest) -> CreateRequest:
    return _each_endpoint(request, lambda endpoint: replace(endpoint, mac_address=""))


def _no_priority(request: CreateRequest) -> CreateRequest:
    return _each_endpoint(request, lambda endpoint: replace(endpoint, gw_priority=0))


def _no_device_limits(request: UpdateRequest) -> UpdateRequest:
    return replace(
        request,
        blkio_weight_device=(),
        blkio_device_read_bps=(),
        blkio_device_write_bps=(),
        blkio_device_read_iops=(),
        blkio_device_write_iops=(),
    )


CHANGES: Sequence[RequestChange] = (
    RequestChange((1, 40), CreateRequest, "memory is not shared unless asked", _shareable_ipc),
    RequestChange(
        (1, 40), UpdateRequest, "a limit of processes can be changed", lambda request: replace(request, pids_limit=None)
    ),
    RequestChange((1, 42), CreateRequest, "a container has the size of its terminal from the start", _no_console_size),
    RequestChange(
        (1, 42), ExecCreateRequest, "an exec has the size of its terminal from the start",
        lambda request: replace(request, console_size=None),
    ),
    RequestChange((1, 43), CreateRequest, "containers have annotations", _no_annotations),
    RequestChange((1, 44), CreateRequest, "health checks are more frequent at first", _no_start_interval),
    RequestChange((1, 44), CreateRequest, "endpoints have hardware addresses", _no_address_of_endpoints),
    RequestChange((1, 48), CreateRequest, "endpoints have a priority as gateway", _no_priority),
    RequestChange((1, 55), UpdateRequest, "limits of devices can be changed", _no_device_limits),
)  # fmt: skip


@lru_cache(maxsize=256)
def _changes_since(profile: ApiProfile, kind: type[msgspec.Struct]) -> Sequence[RequestChange]:
    found = (change for change in CHANGES if change.kind is kind and profile.precedes(change.since))
    return tuple(sorted(found, key=attrgetter("since")))


def refuse_dropped(profile: ApiProfile, request: CreateRequest) -> None:
    """Raises InvalidParameterError for what the client's version has no longer, in moby's words."""
    if request.mac_address and not profile.container_wide_mac_address:
        raise InvalidParameterError(
            "container-wide MAC address no longer supported; use endpoint-specific MAC address instead"
        )


def as_newest(profile: ApiProfile, request: Request) -> Request:
    """What the client means, in the newest version's words."""
    for change in _changes_since(profile, type(request)):
        request = change.newer(request)
    return request
