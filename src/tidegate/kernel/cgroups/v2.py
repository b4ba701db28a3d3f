"""The control groups of containers on a cgroup v2 host: ``/sys/fs/cgroup/PARENT/CONTAINER_ID``.

``crun`` makes the group, writes the first limits and the device rules (an eBPF program) and moves the process in; here
it is read, frozen, changed and removed.

- Every undo is idempotent: a directory already gone is success.

Source: Documentation/admin-guide/cgroup-v2.rst of the kernel; the translation of v1 values is runc's and crun's.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.base.errors import InternalError, InvalidParameterError, NotFoundError
from tidegate.kernel.cgroups.files import (
    REMOVE_DEADLINE_S,
    Elsewhere,
    Write,
    kill_all,
    nowhere,
    pids_below,
    read_text,
    remove_tree,
)
from tidegate.kernel.cgroups.usage import CgroupUsage, read_v2
from tidegate.kernel.oom_notices import OOMNotice, OOMNoticeV2

ROOT = Path("/sys/fs/cgroup")
_FREEZE_DEADLINE_S = 10.0
_DEFAULT_PERIOD_US = 100_000
_IO_LIMITS = {
    "throttleReadBpsDevice": "rbps",
    "throttleWriteBpsDevice": "wbps",
    "throttleReadIOPSDevice": "riops",
    "throttleWriteIOPSDevice": "wiops",
}


def plan_writes(resources: Mapping[str, Any]) -> Sequence[Write]:
    """An OCI ``linux.resources`` object as writes, in order; devices are crun's, what is absent is left alone."""
    return [
        *_memory_writes(resources.get("memory") or {}),
        *_cpu_writes(resources.get("cpu") or {}),
        *_pids_writes(resources.get("pids") or {}),
        *_io_writes(resources.get("blockIO") or {}),
    ]


def _limit(value: int) -> str:
    return "max" if value < 0 else str(value)


def _memory_writes(memory: Mapping[str, Any]) -> Iterator[Write]:
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit is not None:
        yield Write("memory", "memory.max", _limit(limit))
    if swap is not None:
        # OCI's swap is memory plus swap, v2's is swap alone.
        yield Write("memory", "memory.swap.max", "max" if swap < 0 else str(max(0, swap - max(0, limit or 0))))
    if memory.get("reservation") is not None:
        yield Write("memory", "memory.low", _limit(memory["reservation"]))


def _cpu_writes(cpu: Mapping[str, Any]) -> Iterator[Write]:
    if cpu.get("shares"):
        yield Write("cpu", "cpu.weight", str(weight_of(cpu["shares"])))
    if cpu.get("quota") or cpu.get("period"):
        quota = cpu.get("quota") or -1
        yield Write("cpu", "cpu.max", f"{_limit(quota)} {cpu.get('period') or _DEFAULT_PERIOD_US}")
    if cpu.get("cpus"):
        yield Write("cpuset", "cpuset.cpus", str(cpu["cpus"]))
    if cpu.get("mems"):
        yield Write("cpuset", "cpuset.mems", str(cpu["mems"]))


def weight_of(shares: int) -> int:
    """``cpu.shares`` (2 to 262144) as ``cpu.weight`` (1 to 10000)."""
    return 1 + ((min(max(shares, 2), 262144) - 2) * 9999) // 262142


def _pids_writes(pids: Mapping[str, Any]) -> Iterator[Write]:
    if pids.get("limit"):
        yield Write("pids", "pids.max", _limit(pids["limit"]))


def _io_writes(block_io: Mapping[str, Any]) -> Iterator[Write]:
    if block_io.get("weight"):
        # 10 to 1000 as 1 to 10000, the translation of runc's and crun's
        yield Write("io", "io.weight", str(_io_weight(block_io["weight"])))
    for device in block_io.get("weightDevice") or ():
        number = f"{device['major']}:{device['minor']}"
        yield Write("io", "io.weight", f"{number} {_io_weight(device['weight'])}")
    for name, key in _IO_LIMITS.items():
        for device in block_io.get(name) or ():
            yield Write("io", "io.max", f"{device['major']}:{device['minor']} {key}={device['rate'] or 'max'}")


def _io_weight(weight: int) -> int:
    return 1 + (weight - 10) * 9999 // 990


class CgroupsV2:
    """The groups of one engine's containers, under ``parent`` or wherever ``elsewhere`` says."""

    def __init__(self, parent: str, root: Path = ROOT, elsewhere: Elsewhere = nowhere) -> None:
        self._root, self._parent, self._elsewhere = root, parent.strip("/"), elsewhere

    def path(self, container_id: str) -> Path:
        """The container's directory."""
        elsewhere = self._elsewhere(container_id)
        return self._root / (self._parent if elsewhere is None else elsewhere) / container_id

    def create(self, container_id: str, resources: Mapping[str, Any]) -> Sequence[Path]:
        """Nothing to make: crun does. A group left of an earlier run is removed. Raises InternalError."""
        self.remove(container_id)
        return []

    def update(self, container_id: str, resources: Mapping[str, Any]) -> None:
        """Write limits. Raises InvalidParameterError naming the file, NotFoundError when the group is gone."""
        if not self.path(container_id).exists():
            raise NotFoundError(f"no control group of {container_id}")
        for write in plan_writes(resources):
            try:
                (self.path(container_id) / write.file).write_text(write.value)
            except FileNotFoundError as error:
                raise InvalidParameterError(
                    f"this host has no {write.controller} controller for {write.file}"
                ) from error
            except OSError as error:
                raise InvalidParameterError(
                    f"the kernel refuses {write.file}={write.value}: {error.strerror}"
                ) from error

    def pids(self, container_id: str) -> Sequence[int]:
        """Host pids of every process in the group, groups below it included; none when it is gone."""
        return pids_below(self.path(container_id))

    def oom_kills(self, container_id: str) -> int:
        """How many processes of the group the kernel killed for want of memory."""
        return self._event("memory.events", "oom_kill", container_id)

    def usage(self, container_id: str) -> CgroupUsage:
        """What the group has used; zeros when it is gone."""
        return read_v2(lambda _, file: read_text(self.path(container_id) / file))

    def watch_oom(self, container_id: str) -> OOMNotice | None:
        """Be told of it; None without a memory controller. Raises InternalError."""
        if not (self.path(container_id) / "memory.events").exists():
            return None
        try:
            return OOMNoticeV2(self.path(container_id), lambda: self.oom_kills(container_id))
        except OSError as error:
            raise InternalError(f"cannot watch the memory of {container_id}: {error.strerror}") from error

    def freeze(self, container_id: str) -> None:
        """Stop every process; returns when all have. Raises NotFoundError, InternalError."""
        self._set_frozen(container_id, 1)

    def thaw(self, container_id: str) -> None:
        """Let every process run. Raises NotFoundError, InternalError."""
        self._set_frozen(container_id, 0)

    def is_frozen(self, container_id: str) -> bool:
        """Whether ``freeze`` was asked and not undone; false when the group is gone."""
        return read_text(self.path(container_id) / "cgroup.freeze").strip() == "1"

    def remove(self, container_id: str) -> None:
        """Kill what is left and remove the group. Raises InternalError when processes cannot be killed."""
        deadline = time.monotonic() + REMOVE_DEADLINE_S
        freezer = self.path(container_id) / "cgroup.freeze"
        if read_text(freezer).strip() == "1":
            freezer.write_text("0")
        kill_all(lambda: self.pids(container_id), container_id, deadline)
        remove_tree(self.path(container_id), deadline)

    def _set_frozen(self, container_id: str, wanted: int) -> None:
        deadline = time.monotonic() + _FREEZE_DEADLINE_S
        try:
            (self.path(container_id) / "cgroup.freeze").write_text(str(wanted))
        except FileNotFoundError as error:
            raise NotFoundError(f"no control group of {container_id}") from error
        while self._event("cgroup.events", "frozen", container_id) != wanted:
            if time.monotonic() > deadline:
                (self.path(container_id) / "cgroup.freeze").write_text("0")
                raise InternalError(f"the processes of {container_id} did not freeze")
            time.sleep(0.001)

    def _event(self, file: str, name: str, container_id: str) -> int:
        lines = (line.split() for line in read_text(self.path(container_id) / file).splitlines())
        return next((int(words[1]) for words in lines if words[0] == name), 0)
