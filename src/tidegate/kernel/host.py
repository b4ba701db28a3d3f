"""What this host is and what its control groups can do: files of /proc, /etc and the cgroup mounts.

Sources: proc(5), os-release(5), Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

import os
import shlex
from pathlib import Path

import msgspec


class CgroupAbilities(msgspec.Struct, frozen=True):
    """Which limits can be set; ``version`` is "1" or "2" as Docker says it.

    ``cpus`` and ``memory_nodes`` are those a container may be pinned to, as the kernel lists them; "" without cpusets.
    """

    version: str
    memory: bool
    swap: bool
    oom_kill_disable: bool
    cpu_quota: bool
    cpu_shares: bool
    cpu_set: bool
    pids: bool
    swappiness: bool = False
    block_weight: bool = False
    block_throttle: bool = False
    cpu_realtime: bool = False
    cpus: str = ""
    memory_nodes: str = ""


class AccessControls(msgspec.Struct, frozen=True):
    """Which security modules confine processes on this host."""

    apparmor: bool = False
    selinux: bool = False


class Program(msgspec.Struct, frozen=True):
    """A program of this host that the engine runs; "" is what it does not say of itself."""

    name: str
    path: str
    version: str = ""
    commit: str = ""


class Installation(msgspec.Struct, frozen=True):
    """What the engine stands on: the runtime that starts containers unless they name another, the program that reaps
    in containers that ask for one, and the type of the filesystem that holds the data.
    """

    runtime: Program | None = None
    init: Program | None = None
    backing_filesystem: str = ""

    @property
    def programs(self) -> tuple[Program, ...]:
        """Those that there are."""
        return tuple(program for program in (self.runtime, self.init) if program is not None)


class HostFacts(msgspec.Struct, frozen=True):
    """``operating_system`` is the distribution's pretty name; ``machine`` the kernel's name of the architecture.

    ``obstacles`` are what else keeps containers from working as asked, in words; whoever finds one adds it. So does
    who knows the ``installation``.
    """

    hostname: str
    operating_system: str
    os_version: str
    kernel_version: str
    machine: str
    cpus: int
    memory_bytes: int
    ipv4_forwarding: bool
    cgroups: CgroupAbilities
    obstacles: tuple[str, ...] = ()
    controls: AccessControls = AccessControls()
    installation: Installation = Installation()


def read_host(root: Path = Path("/")) -> HostFacts:
    """Below ``root``; a file that cannot be read counts as an empty one."""
    release = _os_release(root)
    host = os.uname()
    return HostFacts(
        hostname=host.nodename,
        operating_system=release.get("PRETTY_NAME", "Linux"),
        os_version=release.get("VERSION_ID", ""),
        kernel_version=host.release,
        machine=host.machine,
        cpus=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(root),
        ipv4_forwarding=_text(root / "proc/sys/net/ipv4/ip_forward").strip() == "1",
        cgroups=read_cgroups(root / "sys/fs/cgroup"),
        controls=AccessControls(
            apparmor=_text(root / "sys/module/apparmor/parameters/enabled").strip() == "Y",
            selinux=(root / "sys/fs/selinux/enforce").exists(),
        ),
    )


def read_cgroups(root: Path) -> CgroupAbilities:
    """Of the hierarchy mounted at ``root``."""
    if (root / "cgroup.controllers").exists():
        controllers = _text(root / "cgroup.controllers").split()
        return CgroupAbilities(
            version="2",
            memory="memory" in controllers,
            swap="memory" in controllers and Path("/proc/swaps").exists(),
            oom_kill_disable=False,
            cpu_quota="cpu" in controllers,
            cpu_shares="cpu" in controllers,
            cpu_set="cpuset" in controllers,
            pids="pids" in controllers,
            block_weight="io" in controllers,
            block_throttle="io" in controllers,
            cpus=_text(root / "cpuset.cpus.effective").strip(),
            memory_nodes=_text(root / "cpuset.mems.effective").strip(),
        )
    return CgroupAbilities(
        version="1",
        memory=(root / "memory/memory.limit_in_bytes").exists(),
        swap=(root / "memory/memory.memsw.limit_in_bytes").exists(),
        oom_kill_disable=(root / "memory/memory.oom_control").exists(),
        cpu_quota=(root / "cpu/cpu.cfs_quota_us").exists(),
        cpu_shares=(root / "cpu/cpu.shares").exists(),
        cpu_set=(root / "cpuset/cpuset.cpus").exists(),
        pids=(root / "pids").is_dir(),
        swappiness=(root / "memory/memory.swappiness").exists(),
        block_weight=(root / "blkio/blkio.bfq.io_serviced").exists(),  # the root group has no weight itself
        block_throttle=(root / "blkio/blkio.throttle.read_bps_device").exists(),
        cpu_realtime=(root / "cpu/cpu.rt_runtime_us").exists(),
        cpus=_text(root / "cpuset/cpuset.cpus").strip(),
        memory_nodes=_text(root / "cpuset/cpuset.mems").strip(),
    )


def _os_release(root: Path) -> dict[str, str]:
    text = _text(root / "etc/os-release") or _text(root / "usr/lib/os-release")
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: " ".join(shlex.split(value)) for name, _, value in pairs}


def _memory_bytes(root: Path) -> int:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
