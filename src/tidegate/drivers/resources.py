"""The limits of a HostConfig as the OCI ``linux.resources`` object.

``resource_request`` looks up the block devices that are named by path; ``plan_resources`` is pure, and serves an update
as well as a start.

Source: config-linux.md of the runtime specification.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tidegate.drivers.devices import device_number
from tidegate.engine.ports import ProcessLimits
from tidegate.spec.container import HostConfig, ThrottleDevice

_CPU_PERIOD_US = 100_000


class BlockLimit(msgspec.Struct, frozen=True):
    """``value`` is bytes or operations a second, or a weight."""

    major: int
    minor: int
    value: int


class ResourceRequest(msgspec.Struct, frozen=True):
    """Zero (or None) asks for nothing. ``memory_swap_bytes`` is memory plus swap, -1 unlimited.

    ``throttles`` are by the OCI name of their kind (``throttleReadBpsDevice``).
    """

    memory_bytes: int = 0
    memory_swap_bytes: int = 0
    memory_reservation_bytes: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    nano_cpus: int = 0
    cpu_quota_us: int = 0
    cpu_period_us: int = 0
    cpu_shares: int = 0
    cpu_realtime_period_us: int = 0
    cpu_realtime_runtime_us: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    blkio_weight: int = 0
    weight_devices: tuple[BlockLimit, ...] = ()
    throttles: dict[str, tuple[BlockLimit, ...]] = msgspec.field(default_factory=dict)


def process_limits(host: HostConfig) -> ProcessLimits:
    """See ``engine.updates.PlanResources``. Raises InvalidParameterError for a path that is no block device."""
    return ProcessLimits(plan_resources(resource_request(host)))


def resource_request(host: HostConfig) -> ResourceRequest:
    """The limits of a document. Raises InvalidParameterError for a path that is no block device."""
    throttles = {
        "throttleReadBpsDevice": _limits(host.blkio_device_read_bps),
        "throttleWriteBpsDevice": _limits(host.blkio_device_write_bps),
        "throttleReadIOPSDevice": _limits(host.blkio_device_read_iops),
        "throttleWriteIOPSDevice": _limits(host.blkio_device_write_iops),
    }
    return ResourceRequest(
        memory_bytes=host.memory,
        memory_swap_bytes=host.memory_swap,
        memory_reservation_bytes=host.memory_reservation,
        memory_swappiness=host.memory_swappiness,
        oom_kill_disable=bool(host.oom_kill_disable),
        nano_cpus=host.nano_cpus,
        cpu_quota_us=host.cpu_quota,
        cpu_period_us=host.cpu_period,
        cpu_shares=host.cpu_shares,
        cpu_realtime_period_us=host.cpu_realtime_period,
        cpu_realtime_runtime_us=host.cpu_realtime_runtime,
        cpuset_cpus=host.cpuset_cpus,
        cpuset_mems=host.cpuset_mems,
        pids_limit=host.pids_limit,
        blkio_weight=host.blkio_weight,
        weight_devices=tuple(BlockLimit(*device_number(each.path), each.weight) for each in host.blkio_weight_device),
        throttles={name: limits for name, limits in throttles.items() if limits},
    )


def _limits(devices: Iterable[ThrottleDevice]) -> tuple[BlockLimit, ...]:
    return tuple(BlockLimit(*device_number(each.path), each.rate) for each in devices)


def plan_resources(request: ResourceRequest) -> dict[str, Any]:
    """The OCI ``linux.resources`` object, without devices."""
    resources: dict[str, Any] = {
        "memory": _memory(request),
        "cpu": _cpu(request),
        "blockIO": _block_io(request),
    }
    if request.pids_limit:
        resources["pids"] = {"limit": request.pids_limit if request.pids_limit > 0 else -1}
    return {name: value for name, value in resources.items() if value}


def _memory(request: ResourceRequest) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if request.memory_bytes:
        memory["limit"] = request.memory_bytes
    if request.memory_bytes > 0 or request.memory_swap_bytes:  # Docker: as much swap as memory, unless asked
        memory["swap"] = request.memory_swap_bytes or 2 * request.memory_bytes
    if request.memory_reservation_bytes:
        memory["reservation"] = request.memory_reservation_bytes
    if request.memory_swappiness is not None and request.memory_swappiness >= 0:
        memory["swappiness"] = request.memory_swappiness
    if request.oom_kill_disable:
        memory["disableOOMKiller"] = True
    return memory


def _cpu(request: ResourceRequest) -> dict[str, Any]:
    cpu: dict[str, Any] = {}
    if request.nano_cpus:
        cpu = {"quota": request.nano_cpus * _CPU_PERIOD_US // 1_000_000_000, "period": _CPU_PERIOD_US}
    wanted = {
        "quota": request.cpu_quota_us,
        "period": request.cpu_period_us,
        "shares": request.cpu_shares,
        "realtimePeriod": request.cpu_realtime_period_us,
        "realtimeRuntime": request.cpu_realtime_runtime_us,
        "cpus": request.cpuset_cpus,
        "mems": request.cpuset_mems,
    }
    return cpu | {name: value for name, value in wanted.items() if value}


def _block_io(request: ResourceRequest) -> dict[str, Any]:
    block_io: dict[str, Any] = {"weight": request.blkio_weight} if request.blkio_weight else {}
    if request.weight_devices:
        block_io["weightDevice"] = [
            {"major": each.major, "minor": each.minor, "weight": each.value} for each in request.weight_devices
        ]
    for name, limits in request.throttles.items():
        block_io[name] = [{"major": each.major, "minor": each.minor, "rate": each.value} for each in limits]
    return block_io
