"""An OCI runtime-spec 1.0 configuration for one container, with Docker's defaults; pure.

``plan_config(request)`` answers the document crun gets. The process, and the user it runs as, are in ``oci_process``;
limits are in ``resources``.

- A user's mount replaces the default one at the same place; mounts are ordered so that a parent precedes its children.
- A privileged container gets no masks, and every device.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.devices import DeviceRequest
from tidegate.drivers.oci.process import MAX_ID, ProcessRequest, plan_process
from tidegate.drivers.resources import ResourceRequest, plan_resources
from tidegate.engine.creation.device_rules import DeviceRule
from tidegate.engine.isolation.user_namespaces import IdMapping, IdRange, highest
from tidegate.engine.mounts.tmpfs import tmpfs_options
from tidegate.kernel.seccomp.compiler import BPF_ANNOTATION, SeccompProgram, annotation

DEFAULT_MASKED_PATHS = (
    *(
        f"/proc/{name}"
        for name in ["acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi"]
    ),
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
DEFAULT_READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
INIT_PATH = "/sbin/docker-init"

_SHM = "/dev/shm"  # noqa: S108  the container's own


class MountRequest(msgspec.Struct, frozen=True):
    """``kind`` is bind (``source`` a host path) or tmpfs; ``options`` are extra mount options.

    ``recursive``: with what is mounted below the source. ``read_only_below``: that is read-only too.
    """

    kind: str
    container_path: str
    source: str = ""
    read_only: bool = False
    propagation: str = "rprivate"
    options: tuple[str, ...] = ()
    recursive: bool = True
    read_only_below: bool = False


class OCIRequest(msgspec.Struct, frozen=True):
    """A container. A namespace path joins that namespace; ``*_host`` shares the host's; neither makes a new one."""

    process: ProcessRequest
    rootfs: str
    cgroups_path: str
    netns_path: str | None
    domainname: str = ""
    resources: ResourceRequest = msgspec.field(default_factory=ResourceRequest)
    readonly_rootfs: bool = False
    mounts: tuple[MountRequest, ...] = ()
    etc_files: Mapping[str, str] = msgspec.field(
        default_factory=dict
    )  # container path -> host path (resolv.conf, hosts)
    devices: Sequence[DeviceRequest] = ()
    device_rules: tuple[DeviceRule, ...] = ()
    sysctls: Mapping[str, str] = msgspec.field(default_factory=dict)
    shm_size_bytes: int = 64 << 20
    init_host_path: str | None = None
    masked_paths: tuple[str, ...] = DEFAULT_MASKED_PATHS
    readonly_paths: tuple[str, ...] = DEFAULT_READONLY_PATHS
    seccomp: SeccompProgram | None = None
    seccomp_document: Mapping[str, Any] | None = None  # in place of a program, for a runtime that compiles it
    net_host: bool = False
    net_joined: bool = False  # the namespace is not the container's to configure
    ipc_host: bool = False
    ipc_path: str | None = None
    shm_source: str | None = None  # a directory of the host; without one a new tmpfs
    has_shm: bool = True
    pid_host: bool = False
    pid_path: str | None = None
    uts_host: bool = False
    cgroup_private: bool = False
    userns_path: str | None = None
    id_mapping: IdMapping | None = None
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


# ----------------------------------------------------------------------------- devices


_DEFAULT_DEVICE_RULES = (
    ("c", None, None, "m"),
    ("b", None, None, "m"),
    *(("c", 1, minor, "rwm") for minor in (3, 5, 7, 8, 9)),  # null zero full random urandom
    *(("c", 5, minor, "rwm") for minor in (0, 1, 2)),  # tty console ptmx
    ("c", 136, None, "rwm"),  # pseudo-terminals
)


def _device_rules(request: OCIRequest) -> list[dict[str, Any]]:
    if request.process.privileged:
        return [{"allow": True, "access": "rwm"}]
    wanted = [(device.kind, device.major, device.minor, device.access) for device in request.devices]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for kind, major, minor, access in (*_DEFAULT_DEVICE_RULES, *wanted, *request.device_rules):
        rule = {"allow": True, "type": kind, "major": major, "minor": minor, "access": access}
        rules.append({key: value for key, value in rule.items() if value is not None})
    return rules


# ----------------------------------------------------------------------------- mounts


def _mount(path: str, kind: str, source: str, options: str) -> dict[str, Any]:
    return {"destination": path, "type": kind, "source": source, "options": options.split(",")}


def _bind(path: str, source: str, options: Iterable[str] = ()) -> dict[str, Any]:
    return {"destination": path, "type": "bind", "source": source, "options": ["rbind", *options]}


def _default_mounts(request: OCIRequest) -> list[dict[str, Any]]:
    access = "rw" if request.process.privileged else "ro"
    mounts = [
        _mount("/proc", "proc", "proc", "nosuid,noexec,nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
        _mount("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
        _mount("/sys", "sysfs", "sysfs", f"nosuid,noexec,nodev,{access}"),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", f"{access},nosuid,noexec,nodev"),
        _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
        _mount(_SHM, "tmpfs", "shm", f"nosuid,noexec,nodev,mode=1777,size={request.shm_size_bytes}"),
    ]
    if request.ipc_host:
        mounts[-1] = _bind(_SHM, _SHM)  # message queues are those of the namespace wherever they are mounted
        if request.id_mapping:  # and only in the user namespace that the namespace belongs to
            mounts[-2] = _bind("/dev/mqueue", "/dev/mqueue")
    elif not request.has_shm:
        mounts.pop()
    elif request.shm_source is not None:
        mounts[-1] = _bind(_SHM, request.shm_source, ["rprivate"])
    return mounts


def _user_mount(mount: MountRequest) -> dict[str, Any]:
    access = [] if not mount.read_only else ["rro" if mount.read_only_below else "ro"]
    if mount.kind == "tmpfs":
        return _mount(mount.container_path, "tmpfs", "tmpfs", ",".join([*tmpfs_options(mount.options), *access]))
    if mount.kind != "bind":
        raise InvalidParameterError(f"mount type unknown: {mount.kind!r}")
    options = ["rbind" if mount.recursive else "bind", *mount.options, *access, mount.propagation]
    return {"destination": mount.container_path, "type": "bind", "source": mount.source, "options": options}


def plan_mounts(request: OCIRequest) -> list[dict[str, Any]]:
    """Every mount, parents first. Raises InvalidParameterError on an unknown kind or tmpfs option."""
    wanted = [_user_mount(mount) for mount in request.mounts]
    taken = {mount["destination"].rstrip("/") for mount in wanted}
    etc = [
        _bind(path, source, (["ro"] if request.readonly_rootfs else []) + ["rprivate"])
        for path, source in request.etc_files.items()
        if path not in taken
    ]
    if request.init_host_path:
        etc.append(_bind(INIT_PATH, request.init_host_path, ["ro", "rprivate"]))
    defaults = [
        mount
        for mount in _default_mounts(request)
        if mount["destination"] not in taken and not ("/dev" in taken and mount["destination"].startswith("/dev/"))
    ]
    # /sys/fs/cgroup after /sys: the sort is stable and by depth, defaults before the user's
    return defaults + sorted([*etc, *wanted], key=lambda mount: mount["destination"].rstrip("/").count("/"))


# ----------------------------------------------------------------------------- the whole


def _namespaces(request: OCIRequest) -> list[dict[str, str]]:
    modes = (
        ("mount", False, None),
        ("network", request.net_host, request.netns_path),
        ("uts", request.uts_host, None),
        ("pid", request.pid_host, request.pid_path),
        ("ipc", request.ipc_host, request.ipc_path),
        ("cgroup", not request.cgroup_private, None),
        ("user", request.userns_path is None, request.userns_path),
    )
    return [{"type": kind} | ({"path": path} if path else {}) for kind, shares_host, path in modes if not shares_host]


def _sysctls(request: OCIRequest) -> dict[str, str]:
    own = {}
    last = highest(request.id_mapping.gids) if request.id_mapping else MAX_ID
    if not (request.net_host or request.net_joined):
        own = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": f"0 {last}"}
    if request.domainname and not request.uts_host and not request.id_mapping:
        own["kernel.domainname"] = request.domainname
    return own | dict(request.sysctls)


def _mappings(ranges: Sequence[IdRange]) -> list[dict[str, int]]:
    return [{"containerID": each.inside, "hostID": each.outside, "size": each.size} for each in ranges]


def _linux(request: OCIRequest) -> dict[str, Any]:
    privileged = request.process.privileged
    linux: dict[str, Any] = {
        "namespaces": _namespaces(request),
        "cgroupsPath": request.cgroups_path,
        "resources": {"devices": _device_rules(request)} | plan_resources(request.resources),
        "maskedPaths": [] if privileged else list(request.masked_paths),
        "readonlyPaths": [] if privileged else list(request.readonly_paths),
        "sysctl": _sysctls(request),
        "devices": [
            {
                "path": device.container_path,
                "type": device.kind,
                "major": device.major,
                "minor": device.minor,
                "fileMode": device.file_mode,
                "uid": device.uid,
                "gid": device.gid,
            }
            for device in request.devices
        ],
    }
    if request.id_mapping:  # beside the path: crun gives its standard streams to the container's root by them
        linux["uidMappings"] = _mappings(request.id_mapping.uids)
        linux["gidMappings"] = _mappings(request.id_mapping.gids)
    propagations = {mount.propagation for mount in request.mounts if mount.kind == "bind"}
    if propagations & {"shared", "rshared"}:
        linux["rootfsPropagation"] = "shared"
    elif propagations & {"slave", "rslave"}:
        linux["rootfsPropagation"] = "rslave"
    return linux


def plan_config(request: OCIRequest) -> dict[str, Any]:
    """The whole ``config.json``. Raises InvalidParameterError: user, capability, mount, tmpfs option, directory."""
    process = plan_process(request.process)
    if request.init_host_path:
        process["args"] = [INIT_PATH, "--", *process["args"]]
    config: dict[str, Any] = {
        "ociVersion": "1.0.0",
        "process": process,
        "root": {"path": request.rootfs, "readonly": request.readonly_rootfs},
        "mounts": plan_mounts(request),
        "linux": _linux(request),
        "annotations": dict(request.annotations),
    }
    if not request.uts_host:
        config["hostname"] = request.process.hostname
        if request.domainname and request.id_mapping:  # the sysctl is the host's root's alone
            config["domainname"] = request.domainname
    if request.seccomp_document is not None:
        config["linux"]["seccomp"] = dict(request.seccomp_document)
    if request.seccomp is not None:
        # crun reads the annotation only where a (here empty) profile stands beside it
        flags = {"flags": list(request.seccomp.flags)} if request.seccomp.flags else {}
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **flags}
        config["annotations"][BPF_ANNOTATION] = annotation(request.seccomp.bpf)
    return config
