"""Limits a client asks for against what this host's control groups can do: pure.

A limit the host cannot set is left out with Docker's warning, so that a Compose file written for cgroup v1 runs on v2;
one whose value no host could take is an error. Texts: moby's daemon, which clients and their users search for.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.kernel.host import CgroupAbilities
from tidegate.spec.container import HostConfig

_MOST_NUMBERS = 8192
"""CONFIG_NR_CPUS cannot be more."""

_UNMOUNTED = "or the cgroup is not mounted."


_NO_LIMIT_TO_KILL_AT = (
    "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out "
    "of resources."
)


class _Limit(NamedTuple):
    """``instead`` is what the document gets when it is asked for and cannot be had."""

    is_asked: Callable[[HostConfig], bool]
    is_able: Callable[[CgroupAbilities], bool]
    instead: Mapping[str, int | str | tuple[()] | None]
    warning: str


_LIMITS = (
    _Limit(
        lambda host: host.memory > 0,
        lambda able: able.memory,
        {"memory": 0, "memory_swap": -1},
        f"Your kernel does not support memory limit capabilities {_UNMOUNTED} Limitation discarded.",
    ),
    _Limit(
        lambda host: host.memory > 0 and host.memory_swap != -1,
        lambda able: able.swap,
        {"memory_swap": -1},
        f"Your kernel does not support swap limit capabilities {_UNMOUNTED} Memory limited without swap.",
    ),
    _Limit(
        lambda host: host.memory_swappiness not in (None, -1),
        lambda able: able.swappiness,
        {"memory_swappiness": None},
        f"Your kernel does not support memory swappiness capabilities {_UNMOUNTED} Memory swappiness discarded.",
    ),
    _Limit(
        lambda host: host.memory_reservation > 0,
        lambda able: able.memory,
        {"memory_reservation": 0},
        f"Your kernel does not support memory soft limit capabilities {_UNMOUNTED} Limitation discarded.",
    ),
    _Limit(
        lambda host: bool(host.oom_kill_disable),
        lambda able: able.oom_kill_disable,
        {"oom_kill_disable": None},
        "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ),
    _Limit(
        lambda host: (host.pids_limit or 0) > 0,
        lambda able: able.pids,
        {"pids_limit": None},
        f"Your kernel does not support PIDs limit capabilities {_UNMOUNTED} PIDs limit discarded.",
    ),
    _Limit(
        lambda host: host.cpu_shares > 0,
        lambda able: able.cpu_shares,
        {"cpu_shares": 0},
        f"Your kernel does not support CPU shares {_UNMOUNTED} Shares discarded.",
    ),
    _Limit(
        lambda host: host.cpu_period > 0 or host.cpu_quota > 0,
        lambda able: able.cpu_quota,
        {"cpu_period": 0, "cpu_quota": 0},
        "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    ),
    _Limit(
        lambda host: bool(host.cpuset_cpus or host.cpuset_mems),
        lambda able: able.cpu_set,
        {"cpuset_cpus": "", "cpuset_mems": ""},
        f"Your kernel does not support cpuset {_UNMOUNTED} Cpuset discarded.",
    ),
    _Limit(
        lambda host: host.blkio_weight > 0,
        lambda able: able.block_weight,
        {"blkio_weight": 0},
        f"Your kernel does not support Block I/O weight {_UNMOUNTED} Weight discarded.",
    ),
    _Limit(
        lambda host: bool(host.blkio_weight_device),
        lambda able: able.block_weight,
        {"blkio_weight_device": ()},
        f"Your kernel does not support Block I/O weight_device {_UNMOUNTED} Weight-device discarded.",
    ),
    _Limit(
        lambda host: bool(host.blkio_device_read_bps),
        lambda able: able.block_throttle,
        {"blkio_device_read_bps": ()},
        f"Your kernel does not support BPS Block I/O read limit {_UNMOUNTED} Block I/O BPS read limit discarded.",
    ),
    _Limit(
        lambda host: bool(host.blkio_device_write_bps),
        lambda able: able.block_throttle,
        {"blkio_device_write_bps": ()},
        f"Your kernel does not support BPS Block I/O write limit {_UNMOUNTED} Block I/O BPS write limit discarded.",
    ),
    _Limit(
        lambda host: bool(host.blkio_device_read_iops),
        lambda able: able.block_throttle,
        {"blkio_device_read_iops": ()},
        f"Your kernel does not support IOPS Block read limit {_UNMOUNTED} Block I/O IOPS read limit discarded.",
    ),
    _Limit(
        lambda host: bool(host.blkio_device_write_iops),
        lambda able: able.block_throttle,
        {"blkio_device_write_iops": ()},
        f"Your kernel does not support IOPS Block write limit {_UNMOUNTED} Block I/O IOPS write limit discarded.",
    ),
    _Limit(
        lambda host: bool(host.kernel_memory or host.kernel_memory_tcp),
        lambda able: False,
        {"kernel_memory": 0, "kernel_memory_tcp": 0},
        "Kernel memory limits are gone from the kernel, and from Docker. Limitation discarded.",
    ),
)


class PossibleLimits(NamedTuple):
    """What is left of a HostConfig, and a warning for each limit that was left out."""

    host_config: HostConfig
    warnings: Sequence[str]


def plan_limits(host_config: HostConfig, able: CgroupAbilities) -> PossibleLimits:
    """Raises InvalidParameterError for processors or memory nodes that are not there, or NanoCpus without CFS."""
    warnings = []
    for limit in _LIMITS:
        if limit.is_asked(host_config) and not limit.is_able(able):
            host_config = msgspec.structs.replace(host_config, **limit.instead)
            warnings.append(limit.warning)
    if host_config.oom_kill_disable and not host_config.memory:
        warnings.append(_NO_LIMIT_TO_KILL_AT)
    if host_config.nano_cpus > 0 and not able.cpu_quota:
        raise InvalidParameterError(
            f"NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler {_UNMOUNTED.rstrip('.')}"
        )
    if (host_config.cpu_realtime_period or host_config.cpu_realtime_runtime) and not able.cpu_realtime:
        raise InvalidParameterError(
            f"Your kernel does not support CPU real-time scheduler {_UNMOUNTED} Leave CpuRealtimePeriod and "
            "CpuRealtimeRuntime out"
        )
    _check_available("CPUs", "cpus", host_config.cpuset_cpus, able.cpus)
    _check_available("memory nodes", "mems", host_config.cpuset_mems, able.memory_nodes)
    return PossibleLimits(host_config, warnings)


def parse_number_list(text: str) -> frozenset[int]:
    """``0-3,5`` as the kernel writes sets of processors (cpuset(7), "List format"). Raises ValueError."""
    numbers: set[int] = set()
    for part in text.split(",") if text.strip() else ():
        first, dash, last = part.strip().partition("-")
        start, stop = int(first), int(last if dash else first)
        if not 0 <= start <= stop < _MOST_NUMBERS:
            raise ValueError(part)
        numbers.update(range(start, stop + 1))
    return frozenset(numbers)


def _check_available(what: str, name: str, wanted: str, available: str) -> None:
    try:
        numbers = parse_number_list(wanted)
    except ValueError as error:
        raise InvalidParameterError(f"Invalid value {wanted} for cpuset {name}") from error
    if not numbers <= parse_number_list(available):
        raise InvalidParameterError(f"Requested {what} are not available - requested {wanted}, available: {available}")
