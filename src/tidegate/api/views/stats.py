"""GET /containers/{id}/stats: a reading as Docker shows it. Source: the specification's ContainerStatsResponse."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.engine.stats import Reading, Sample
from tidegate.kernel.cgroups.usage import IOCount
from tidegate.spec.timestamps import format_time

ZERO_TIME = "0001-01-01T00:00:00Z"
_IO_LISTS = (
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
)
_MOST_UINT64 = (1 << 64) - 1


def stats_view(reading: Reading, host_memory_bytes: int, cpus: int) -> Mapping[str, Any]:
    """``host_memory_bytes`` stands for a limit where there is none, as in Docker."""
    now, before = reading.now, reading.before
    return {
        "id": reading.container.id,
        "name": f"/{reading.container.name}",
        "os_type": "linux",
        "read": format_time(now.at_ns) if now else ZERO_TIME,
        "preread": format_time(before.at_ns) if before else ZERO_TIME,
        "cpu_stats": _cpu(now, cpus),
        "precpu_stats": _cpu(before, cpus),
        "memory_stats": _memory(now, host_memory_bytes),
        "pids_stats": _pids(now),
        "blkio_stats": _block_io(now),
        "num_procs": 0,
        "storage_stats": {},
        **({"networks": msgspec.to_builtins(now.interfaces)} if now and now.interfaces else {}),
    }


def _cpu(sample: Sample | None, cpus: int) -> Mapping[str, Any]:
    if sample is None:
        usage: dict[str, Any] = {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}
        return {"cpu_usage": usage, "throttling_data": _throttling(0, 0, 0)}
    cpu = sample.usage.cpu
    return {
        "cpu_usage": {
            "total_usage": cpu.total_ns,
            "usage_in_kernelmode": cpu.kernel_ns,
            "usage_in_usermode": cpu.user_ns,
            **({"percpu_usage": list(cpu.per_cpu_ns)} if cpu.per_cpu_ns else {}),
        },
        "system_cpu_usage": sample.host_cpu_ns,
        "online_cpus": cpus,
        "throttling_data": _throttling(cpu.periods, cpu.throttled_periods, cpu.throttled_ns),
    }


def _throttling(periods: int, throttled: int, time_ns: int) -> Mapping[str, int]:
    return {"periods": periods, "throttled_periods": throttled, "throttled_time": time_ns}


def _memory(sample: Sample | None, host_memory_bytes: int) -> Mapping[str, Any]:
    if sample is None:
        return {}
    memory = sample.usage.memory
    of_v1 = {"max_usage": memory.most_bytes, "failcnt": memory.failures}
    return {
        "usage": memory.used_bytes,
        "limit": min(memory.limit_bytes or host_memory_bytes, host_memory_bytes),
        "stats": dict(memory.counters),
        **{name: value for name, value in of_v1.items() if value is not None},
    }


def _pids(sample: Sample | None) -> Mapping[str, int]:
    if sample is None:
        return {}
    limit = sample.usage.pids_limit
    return {"current": sample.usage.pids, "limit": _MOST_UINT64 if limit is None else limit}


def _block_io(sample: Sample | None) -> Mapping[str, Any]:
    """Null is what the kernel does not count; the first list there is always."""
    counted = sample.usage.io if sample else {}
    lists = {name: _io(counted.get(name, ())) for name in _IO_LISTS}
    return {**lists, _IO_LISTS[0]: lists[_IO_LISTS[0]] or []}


def _io(counts: Sequence[IOCount]) -> Sequence[Mapping[str, Any]] | None:
    rows = [{"major": each.major, "minor": each.minor, "op": each.operation, "value": each.value} for each in counts]
    return rows or None
