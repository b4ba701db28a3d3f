"""What the wire shows of the engine: info and disk usage. Specification: definition SystemInfo, operation
SystemDataUsage; the legacy disk usage is of version 1.51.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tidegate import __version__
from tidegate.engine.isolation.runtimes import Runtimes
from tidegate.engine.logging.options import DRIVERS
from tidegate.engine.system import DiskUsage, EngineFacts, EngineInfo
from tidegate.kernel.host import CgroupAbilities, HostFacts, Program
from tidegate.spec.timestamps import format_time

_NO_SWARM = {
    "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": "",
    "RemoteManagers": None,
}  # fmt: skip
_HUB = "docker.io"
Rows = Sequence[Mapping[str, Any]] | None


class UsageRows(msgspec.Struct, frozen=True):
    """The objects whose sizes were taken, as their lists show them; None is a kind that was not asked for."""

    images: Rows = None
    containers: Rows = None
    volumes: Rows = None
    build_cache: Rows = None

    def by_kind(self) -> Mapping[str, Rows]:
        """By the prefix of the totals' name."""
        return {
            "Image": self.images,
            "Container": self.containers,
            "Volume": self.volumes,
            "BuildCache": self.build_cache,
        }


def info_view(info: EngineInfo) -> dict[str, Any]:
    """GET /info."""
    host, facts, cgroups = info.host, info.facts, info.host.cgroups
    runtime, init = host.installation.runtime, host.installation.init
    return {
        "ID": info.id,
        "Containers": info.running + info.paused + info.stopped,
        "ContainersRunning": info.running,
        "ContainersPaused": info.paused,
        "ContainersStopped": info.stopped,
        "Images": info.images,
        "Driver": "overlay2",
        "DriverStatus": _driver_status(host),
        "DockerRootDir": str(facts.data_root),
        "Plugins": {
            "Volume": ["local"], "Network": ["bridge", "host", "null"], "Authorization": [],
            "Log": list(DRIVERS),
        },
        "MemoryLimit": cgroups.memory,
        "SwapLimit": cgroups.swap,
        "CpuCfsPeriod": cgroups.cpu_quota,
        "CpuCfsQuota": cgroups.cpu_quota,
        "CPUShares": cgroups.cpu_shares,
        "CPUSet": cgroups.cpu_set,
        "PidsLimit": cgroups.pids,
        "OomKillDisable": cgroups.oom_kill_disable,
        "IPv4Forwarding": host.ipv4_forwarding,
        "Debug": facts.debug,
        "NFd": info.open_files,
        "NGoroutines": info.tasks,
        "NEventsListener": info.listeners,
        "SystemTime": format_time(info.at_ns),
        "LoggingDriver": facts.log_driver,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": cgroups.version,
        "KernelVersion": host.kernel_version,
        "OperatingSystem": host.operating_system,
        "OSVersion": host.os_version,
        "OSType": "linux",
        "Architecture": host.machine,
        "NCPU": host.cpus,
        "MemTotal": host.memory_bytes,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registry_view(facts),
        "GenericResources": [],
        "HttpProxy": mask_credentials(facts.proxies.get("http", "")),
        "HttpsProxy": mask_credentials(facts.proxies.get("https", "")),
        "NoProxy": facts.proxies.get("no", ""),
        "Name": host.hostname,
        "Labels": list(facts.labels),
        "ExperimentalBuild": False,
        "ServerVersion": __version__,
        "Runtimes": _runtimes_view(facts.runtimes),
        "DefaultRuntime": facts.runtimes.default,
        "Swarm": _NO_SWARM,
        "LiveRestoreEnabled": facts.live_restore,
        "Isolation": "",
        "InitBinary": init.path if init else "",
        "ContainerdCommit": _commit(None),
        "RuncCommit": _commit(runtime),
        "InitCommit": _commit(init),
        "SecurityOptions": _security_options(facts, host),
        "FirewallBackend": {"Driver": "nftables"},
        "CDISpecDirs": [str(path) for path in facts.cdi_directories],
        **({"DefaultAddressPools": _pools_view(facts)} if facts.address_pools else {}),
        "Warnings": _warnings(host),
    }  # fmt: skip


def _driver_status(host: HostFacts) -> list[list[str]]:
    """As the docker CLI prints it; what is not known is left out."""
    filesystem = host.installation.backing_filesystem
    known = [["Backing Filesystem", filesystem]] if filesystem else []
    return [*known, ["Native Overlay Diff", "true"], ["userxattr", "false"]]


def _commit(program: Program | None) -> dict[str, str]:
    return {"ID": (program.commit if program else "") or "N/A"}


def component_view(program: Program) -> dict[str, Any]:
    """A part of GET /version."""
    return {"Name": program.name, "Version": program.version, "Details": {"GitCommit": program.commit}}


def _security_options(facts: EngineFacts, host: HostFacts) -> list[str]:
    options = {
        "name=userns": facts.user_namespaces,
        "name=cgroupns": facts.private_cgroups,
        "name=no-new-privileges": facts.no_new_privileges,
    }
    apparmor = ["name=apparmor"] if host.controls.apparmor else []
    seccomp = f"name=seccomp,profile={'custom' if facts.seccomp_profile else 'builtin'}"
    return [*apparmor, seccomp, *(name for name, is_on in options.items() if is_on)]


def _runtimes_view(runtimes: Runtimes) -> dict[str, Any]:
    return {
        name: {"path": command.path, **({"runtimeArgs": list(command.arguments)} if command.arguments else {})}
        for name, command in runtimes.known.items()
    }


def mask_credentials(url: str) -> str:
    """The URL with whatever stands before the ``@`` hidden, in moby's way."""
    scheme, separator, rest = url.rpartition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}xxxxx:xxxxx@{place}" if at and credentials else url


def _pools_view(facts: EngineFacts) -> list[dict[str, Any]]:
    return [{"Base": base, "Size": size} for base, size in facts.address_pools]


def _registry_view(facts: EngineFacts) -> Mapping[str, Any]:
    """Loopback is insecure without being listed, as in Docker."""
    listed = facts.insecure_registries
    hub = {"Name": _HUB, "Mirrors": list(facts.registry_mirrors), "Secure": True, "Official": True}
    others = {
        name: {"Name": name, "Mirrors": [], "Secure": False, "Official": False} for name in listed if "/" not in name
    }
    return {
        "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128", *(name for name in listed if "/" in name)],
        "IndexConfigs": {_HUB: hub, **others},
        "Mirrors": list(facts.registry_mirrors),
    }


def _warnings(host: HostFacts) -> list[str]:
    missing = [text for text, is_able in _abilities(host.cgroups) if not is_able]
    forwarding = [] if host.ipv4_forwarding else ["IPv4 forwarding is disabled"]
    return [f"WARNING: {text}" for text in (*missing, *forwarding, *host.obstacles)]


def _abilities(cgroups: CgroupAbilities) -> Iterator[tuple[str, bool]]:
    """What Docker warns of, in its words and its order."""
    second = cgroups.version == "2"
    yield "No memory limit support", cgroups.memory
    yield "No swap limit support", cgroups.swap
    yield "No oom kill disable support", cgroups.oom_kill_disable or second
    yield "No cpu cfs quota support", cgroups.cpu_quota
    yield "No cpu cfs period support", cgroups.cpu_quota
    yield "No cpu shares support", cgroups.cpu_shares
    yield "No cpuset support", cgroups.cpu_set
    yield "No pids limit support", cgroups.pids
    yield "No io.weight support", cgroups.block_weight or not second
    yield "No io.weight (per device) support", cgroups.block_weight or not second
    for new, old in (("rbps", "read_bps"), ("wbps", "write_bps"), ("riops", "read_iops"), ("wiops", "write_iops")):
        name = f"io.max ({new})" if second else f"blkio throttle.{old}_device"
        yield f"No {name} support", cgroups.block_throttle


def usage_view(usage: DiskUsage, rows: UsageRows, *, verbose: bool) -> dict[str, Any]:
    """GET /system/df from 1.52: totals by kind, and the rows if ``verbose``."""
    shown: dict[str, Any] = {}
    if usage.images is not None:
        shown["ImageUsage"] = _totals(
            len(usage.images),
            sum(1 for size in usage.images if size.containers),
            usage.layers_bytes,
            sum(size.unique_bytes for size in usage.images if not size.containers),
        )
    if usage.containers is not None:
        shown["ContainerUsage"] = _totals(
            len(usage.containers),
            sum(1 for size in usage.containers if size.is_active),
            sum(size.written_bytes for size in usage.containers),
            sum(size.written_bytes for size in usage.containers if not size.is_active),
        )
    if usage.volumes is not None:
        shown["VolumeUsage"] = _totals(
            len(usage.volumes),
            sum(1 for size in usage.volumes if size.containers),
            sum(size.size_bytes for size in usage.volumes),
            sum(size.size_bytes for size in usage.volumes if not size.containers),
        )
    if rows.build_cache is not None:
        shown["BuildCacheUsage"] = _totals(0, 0, 0, 0)
    for kind, items in rows.by_kind().items():
        if verbose and items is not None:
            shown[f"{kind}Usage"]["Items"] = items
    return shown


def legacy_usage_view(usage: DiskUsage, rows: UsageRows) -> dict[str, Any]:
    """GET /system/df as it was below 1.52: the rows; what was not asked for is left out."""
    shown = {
        "LayersSize": usage.layers_bytes,
        "Images": rows.images,
        "Containers": rows.containers,
        "Volumes": rows.volumes,
        "BuildCache": rows.build_cache,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _totals(total: int, active: int, size_bytes: int, reclaimable_bytes: int) -> dict[str, Any]:
    return {"TotalCount": total, "ActiveCount": active, "TotalSize": size_bytes, "Reclaimable": reclaimable_bytes}
