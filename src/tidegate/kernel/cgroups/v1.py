"""The control groups of containers on cgroup v1 and hybrid hosts: made, limited, frozen, listed, removed.

One directory ``/sys/fs/cgroup/CONTROLLER/PARENT/CONTAINER_ID`` for each controller that is mounted. The OCI
``linux.resources`` object is translated by ``plan_writes``, which is pure. On a v2 host ``crun`` makes the group, since
device rules need an eBPF program there.

- Every undo is idempotent: a directory already gone is success.
- Memory may never exceed memory plus swap, so that which of the two is written first depends on what is there: memory
  first on a new group or where the limit falls, memory plus swap first where it rises.

Source: Documentation/admin-guide/cgroup-v1/ of the kernel, config-linux.md of the runtime specification.
"""

import os
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
    write_text,
)
from tidegate.kernel.cgroups.usage import CgroupUsage, read_v1
from tidegate.kernel.oom_notices import OOMNotice, OOMNoticeV1

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
_MEMORY, _MEMORY_AND_SWAP = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
_BLOCK_DEVICE_FILES = {
    "weightDevice": ("blkio.bfq.weight_device", "weight"),
    "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rate"),
    "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "rate"),
    "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "rate"),
    "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "rate"),
}
_FREEZE_DEADLINE_S = 10.0


def plan_writes(resources: Mapping[str, Any]) -> Sequence[Write]:
    """An OCI ``linux.resources`` object as writes, in order; what is absent is left alone."""
    return [
        *_device_writes(resources.get("devices") or ()),
        *_memory_writes(resources.get("memory") or {}),
        *_cpu_writes(resources.get("cpu") or {}),
        *_pids_writes(resources.get("pids") or {}),
        *_blkio_writes(resources.get("blockIO") or {}),
    ]


def _device_writes(rules: Sequence[Mapping[str, Any]]) -> Iterator[Write]:
    for rule in rules:
        kind = rule.get("type") or "a"
        numbers = [("*" if rule.get(name) in (None, -1) else str(rule[name])) for name in ("major", "minor")]
        value = "a" if kind == "a" else f"{kind} {numbers[0]}:{numbers[1]} {rule.get('access') or 'rwm'}"
        yield Write("devices", "devices.allow" if rule.get("allow") else "devices.deny", value)


def _memory_writes(memory: Mapping[str, Any]) -> Iterator[Write]:
    names = {
        "limit": _MEMORY,
        "swap": _MEMORY_AND_SWAP,
        "reservation": "memory.soft_limit_in_bytes",
        "swappiness": "memory.swappiness",
    }
    for key, file in names.items():
        if memory.get(key) is not None:
            yield Write("memory", file, str(memory[key]))
    if memory.get("disableOOMKiller"):
        yield Write("memory", "memory.oom_control", "1")


def _cpu_writes(cpu: Mapping[str, Any]) -> Iterator[Write]:
    names = {
        "shares": ("cpu", "cpu.shares"),
        "period": ("cpu", "cpu.cfs_period_us"),
        "quota": ("cpu", "cpu.cfs_quota_us"),
        "realtimePeriod": ("cpu", "cpu.rt_period_us"),
        "realtimeRuntime": ("cpu", "cpu.rt_runtime_us"),
        "cpus": ("cpuset", "cpuset.cpus"),
        "mems": ("cpuset", "cpuset.mems"),
    }
    for key, (controller, file) in names.items():
        if cpu.get(key):
            yield Write(controller, file, str(cpu[key]))


def _pids_writes(pids: Mapping[str, Any]) -> Iterator[Write]:
    limit = pids.get("limit")
    if limit:
        yield Write("pids", "pids.max", "max" if limit < 0 else str(limit))


def _blkio_writes(blkio: Mapping[str, Any]) -> Iterator[Write]:
    if blkio.get("weight"):
        yield Write("blkio", "blkio.bfq.weight", str(blkio["weight"]))
    for name, (file, value) in _BLOCK_DEVICE_FILES.items():
        for device in blkio.get(name) or ():
            yield Write("blkio", file, f"{device['major']}:{device['minor']} {device[value]}")


class CgroupsV1:
    """The groups of one engine's containers, under ``parent`` in every controller or wherever ``elsewhere`` says."""

    def __init__(self, parent: str, root: Path = ROOT, elsewhere: Elsewhere = nowhere) -> None:
        self._root = str(root)
        self._parent, self._elsewhere = parent.strip("/"), elsewhere
        self._controllers = tuple(name for name in CONTROLLERS if (root / name / "cgroup.procs").exists())
        self._has_parent = False

    def path(self, controller: str, container_id: str) -> Path:
        """The container's directory in a controller's hierarchy."""
        return Path(self._directory(controller, container_id))

    def _directory(self, controller: str, container_id: str) -> str:
        elsewhere = self._elsewhere(container_id)
        return f"{self._root}/{controller}/{self._parent if elsewhere is None else elsewhere}/{container_id}"

    def create(self, container_id: str, resources: Mapping[str, Any]) -> Sequence[Path]:
        """Make the groups and write the limits; returns the directories that the first process joins.

        Raises InvalidParameterError for a limit the kernel refuses, InternalError otherwise; nothing is left then.
        """
        directories = [self._directory(controller, container_id) for controller in self._controllers]
        try:
            if not self._has_parent:
                self._make_parent()
            for directory in directories:
                self._make(directory, container_id)
            self.update(container_id, resources)
        except BaseException as error:
            self.remove(container_id)
            if isinstance(error, OSError):
                raise InternalError(f"cannot make the control groups of {container_id}: {error}") from error
            raise
        return [Path(directory) for directory in directories]

    def _make(self, directory: str, container_id: str) -> None:
        elsewhere = self._elsewhere(container_id)
        if elsewhere is not None:
            controller = directory[len(self._root) + 1 :].partition("/")[0]
            self._make_path(controller, f"{elsewhere}/{container_id}")
            return
        try:
            os.mkdir(directory)  # noqa: PTH102
        except FileExistsError:
            return
        except FileNotFoundError:  # somebody tidied up an empty parent
            self._make_parent()
            os.mkdir(directory)  # noqa: PTH102

    def _make_parent(self) -> None:
        """Once for an engine. Its containers' cpusets clone this one, so that each start has two files less to write;
        a group of somebody else's is not changed so."""
        for controller in self._controllers:
            self._make_path(controller, self._parent)
        if "cpuset" in self._controllers:
            write_text(f"{self._root}/cpuset/{self._parent}/cgroup.clone_children", "1")
        self._has_parent = True

    def _make_path(self, controller: str, path: str) -> None:
        """A new cpuset is empty and admits no process: it gets what its parent has."""
        directory = Path(self._root) / controller
        for name in path.split("/"):
            directory = directory / name
            directory.mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems") if controller == "cpuset" else ():
                if not read_text(directory / file).strip():
                    write_text(directory / file, read_text(directory.parent / file))

    def update(self, container_id: str, resources: Mapping[str, Any]) -> None:
        """Write limits. Raises InvalidParameterError naming the file, NotFoundError when the groups are gone."""
        for write in self._in_order(container_id, plan_writes(resources)):
            if write.controller not in self._controllers:
                raise InvalidParameterError(f"this host has no {write.controller} controller for {write.file}")
            try:
                write_text(f"{self._directory(write.controller, container_id)}/{write.file}", write.value)
            except FileNotFoundError as error:
                raise NotFoundError(f"no control group file {write.file} for {container_id}") from error
            except OSError as error:
                raise InvalidParameterError(
                    f"the kernel refuses {write.file}={write.value}: {error.strerror}"
                ) from error

    def _in_order(self, container_id: str, writes: Sequence[Write]) -> Sequence[Write]:
        """Memory plus swap before memory where memory rises above the present sum."""
        by_file = {write.file: write for write in writes}
        memory, total = by_file.get(_MEMORY), by_file.get(_MEMORY_AND_SWAP)
        if memory is None or total is None:
            return writes
        present = read_text(f"{self._directory('memory', container_id)}/{_MEMORY_AND_SWAP}").strip()
        if not present or 0 <= int(memory.value) <= int(present):
            return writes
        return [total, *(write for write in writes if write is not total)]

    def pids(self, container_id: str) -> Sequence[int]:
        """Host pids of every process in the group, groups below it included; none when it is gone."""
        return pids_below(self._directory(self._main, container_id))

    def oom_kills(self, container_id: str) -> int:
        """How many processes of the group the kernel killed for want of memory."""
        lines = read_text(f"{self._directory('memory', container_id)}/memory.oom_control").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    def usage(self, container_id: str) -> CgroupUsage:
        """What the group has used; zeros when it is gone."""
        return read_v1(lambda controller, file: read_text(f"{self._directory(controller, container_id)}/{file}"))

    def watch_oom(self, container_id: str) -> OOMNotice | None:
        """Be told of it; None without a memory controller. Raises InternalError, also when the group is gone."""
        if "memory" not in self._controllers:
            return None
        try:
            return OOMNoticeV1(self.path("memory", container_id))
        except OSError as error:
            raise InternalError(f"cannot watch the memory of {container_id}: {error.strerror}") from error

    def freeze(self, container_id: str) -> None:
        """Stop every process; returns when all have. Raises NotFoundError, InternalError."""
        self._set_freezer(container_id, "FROZEN")

    def thaw(self, container_id: str) -> None:
        """Let every process run. Raises NotFoundError, InternalError."""
        self._set_freezer(container_id, "THAWED")

    def is_frozen(self, container_id: str) -> bool:
        """Whether ``freeze`` was asked and not undone; false when the group is gone."""
        return read_text(self._freezer(container_id)).strip() in ("FROZEN", "FREEZING")

    def remove(self, container_id: str) -> None:
        """Kill what is left and remove the directories. Raises InternalError when processes cannot be killed."""
        freezer = self._freezer(container_id)
        if read_text(freezer).strip() not in ("", "THAWED"):
            write_text(freezer, "THAWED")
        deadline = time.monotonic() + REMOVE_DEADLINE_S
        kill_all(lambda: self.pids(container_id), container_id, deadline)
        for controller in self._controllers:
            remove_tree(self._directory(controller, container_id), deadline)

    def _set_freezer(self, container_id: str, state: str) -> None:
        file = self._freezer(container_id)
        deadline = time.monotonic() + _FREEZE_DEADLINE_S
        try:
            while (present := read_text(file).strip()) != state:
                if not present:
                    raise NotFoundError(f"no control group of {container_id}")
                if time.monotonic() > deadline:
                    write_text(file, "THAWED")
                    raise InternalError(f"the processes of {container_id} did not freeze")
                write_text(file, state)  # FREEZING may need to be asked again for processes just forked
        except FileNotFoundError as error:
            raise NotFoundError(f"no control group of {container_id}") from error

    def _freezer(self, container_id: str) -> str:
        return f"{self._directory('freezer', container_id)}/freezer.state"

    @property
    def _main(self) -> str:
        return "pids" if "pids" in self._controllers else self._controllers[0]
