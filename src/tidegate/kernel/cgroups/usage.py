"""What a control group has used: the kernel's counters of v1 and v2 as one value.

``read_v1`` and ``read_v2`` take the file's text by its name, "" for what is not there, so that reading is one thing and
understanding another. What a version does not count is zero, or None where zero would say something.

Source: Documentation/admin-guide/cgroup-v1 (cpuacct, memory, blkio, pids) and cgroup-v2.rst.
"""

import os
from collections.abc import Callable, Mapping, Sequence

import msgspec

ReadFile = Callable[[str, str], str]
"""(controller, file) -> text; v2 has no controllers."""

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_UNLIMITED = 1 << 62  # v1 writes the largest multiple of a page
_V1_IO_LISTS = {
    "io_service_bytes_recursive": "blkio.throttle.io_service_bytes_recursive",
    "io_serviced_recursive": "blkio.throttle.io_serviced_recursive",
}
_V2_IO_OPERATIONS = {"io_service_bytes_recursive": ("rbytes", "wbytes"), "io_serviced_recursive": ("rios", "wios")}


class CPUUsage(msgspec.Struct, frozen=True):
    """``per_cpu_ns`` is counted by v1 only."""

    total_ns: int = 0
    user_ns: int = 0
    kernel_ns: int = 0
    per_cpu_ns: Sequence[int] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0


class MemoryUsage(msgspec.Struct, frozen=True):
    """``limit_bytes`` None is no limit; ``most_bytes`` and ``failures`` are counted by v1 only."""

    used_bytes: int = 0
    limit_bytes: int | None = None
    most_bytes: int | None = None
    failures: int | None = None
    counters: Mapping[str, int] = {}


class IOCount(msgspec.Struct, frozen=True):
    """One device and operation (``read``, ``write``)."""

    major: int
    minor: int
    operation: str
    value: int


class CgroupUsage(msgspec.Struct, frozen=True):
    """Everything; ``io`` by Docker's names of the lists."""

    cpu: CPUUsage = CPUUsage()
    memory: MemoryUsage = MemoryUsage()
    pids: int = 0
    pids_limit: int | None = None
    io: Mapping[str, Sequence[IOCount]] = {}


def read_v1(read: ReadFile) -> CgroupUsage:
    """Of the container's directories in the hierarchies of v1."""
    ticks, throttling = _pairs(read("cpuacct", "cpuacct.stat")), _pairs(read("cpu", "cpu.stat"))
    limit = _number(read("memory", "memory.limit_in_bytes"))
    return CgroupUsage(
        CPUUsage(
            _number(read("cpuacct", "cpuacct.usage")),
            ticks.get("user", 0) * TICK_NS,
            ticks.get("system", 0) * TICK_NS,
            [int(word) for word in read("cpuacct", "cpuacct.usage_percpu").split()],
            throttling.get("nr_periods", 0),
            throttling.get("nr_throttled", 0),
            throttling.get("throttled_time", 0),
        ),
        MemoryUsage(
            _number(read("memory", "memory.usage_in_bytes")),
            limit if 0 < limit < _UNLIMITED else None,
            _number(read("memory", "memory.max_usage_in_bytes")),
            _number(read("memory", "memory.failcnt")),
            _pairs(read("memory", "memory.stat")),
        ),
        _number(read("pids", "pids.current")),
        _limit(read("pids", "pids.max")),
        {name: _v1_io(read("blkio", file)) for name, file in _V1_IO_LISTS.items()},
    )


def read_v2(read: ReadFile) -> CgroupUsage:
    """Of the container's directory."""
    cpu = _pairs(read("", "cpu.stat"))
    return CgroupUsage(
        CPUUsage(
            cpu.get("usage_usec", 0) * 1000,
            cpu.get("user_usec", 0) * 1000,
            cpu.get("system_usec", 0) * 1000,
            (),
            cpu.get("nr_periods", 0),
            cpu.get("nr_throttled", 0),
            cpu.get("throttled_usec", 0) * 1000,
        ),
        MemoryUsage(
            _number(read("", "memory.current")),
            _limit(read("", "memory.max")),
            counters=_pairs(read("", "memory.stat")),
        ),
        _number(read("", "pids.current")),
        _limit(read("", "pids.max")),
        _v2_io(read("", "io.stat")),
    )


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0


def _limit(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


def _pairs(text: str) -> Mapping[str, int]:
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}


def _v1_io(text: str) -> Sequence[IOCount]:
    """``8:0 Read 4096``; the last line is a total without a device."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and ":" in words[0]:
            major, _, minor = words[0].partition(":")
            found.append(IOCount(int(major), int(minor), words[1].lower(), int(words[2])))
    return found


def _v2_io(text: str) -> Mapping[str, Sequence[IOCount]]:
    """``8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0``."""
    found: dict[str, list[IOCount]] = {name: [] for name in _V2_IO_OPERATIONS}
    for line in text.splitlines():
        device, *words = line.split()
        major, colon, minor = device.partition(":")
        counts = dict(word.split("=", 1) for word in words if "=" in word)
        if not colon:
            continue
        for name, (read_key, write_key) in _V2_IO_OPERATIONS.items():
            for operation, key in (("read", read_key), ("write", write_key)):
                found[name].append(IOCount(int(major), int(minor), operation, int(counts.get(key, 0))))
    return found
