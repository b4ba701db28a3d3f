"""``HostConfig``'s ways out of isolation: namespaces, capabilities, devices, security options, sysctls, log drivers.

``FORBIDDEN`` fields have no value but zero that a confined role may set: they speak of the host, or weaken what Docker
does by default. They are demands whatever the tables of ``spec`` say of them.
"""

from collections.abc import Iterable, Iterator

from tidegate.access.confinement.host_paths import clean_path
from tidegate.access.confinement.tree import Tree, documents, mapping, number, text, texts
from tidegate.access.demands import Demand, DemandKind
from tidegate.access.references import ObjectKind, ObjectReference

Claims = Iterator[Demand | ObjectReference]

FORBIDDEN = (
    "Annotations",
    "Capabilities",
    "Cgroup",
    "CgroupParent",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "Isolation",
    "OomKillDisable",
    "Privileged",
)
_NEVER_EMPTY = ("MaskedPaths", "ReadonlyPaths")
LOOKED_AT = frozenset(
    {
        *FORBIDDEN,
        *_NEVER_EMPTY,
        "CapAdd",
        "CgroupnsMode",
        "DeviceCgroupRules",
        "DeviceRequests",
        "DeviceRequests.Capabilities",
        "DeviceRequests.DeviceIDs",
        "DeviceRequests.Driver",
        "DeviceRequests.Options",
        "Devices",
        "Devices.CgroupPermissions",
        "Devices.PathOnHost",
        "IpcMode",
        "Links",
        "LogConfig",
        "LogConfig.Config",
        "LogConfig.Type",
        "OomScoreAdj",
        "PidMode",
        "Runtime",
        "SecurityOpt",
        "Sysctls",
        "UTSMode",
        "Ulimits",
        "Ulimits.Name",
        "UsernsMode",
    }
)

DEFAULT_CAPABILITIES = frozenset(
    {
        "CAP_AUDIT_WRITE",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SETFCAP",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SETUID",
        "CAP_SYS_CHROOT",
    }
)
_PRIVATE_MODES = {
    "PidMode": frozenset({"", "private"}),
    "IpcMode": frozenset({"", "none", "private", "shareable"}),
    "UTSMode": frozenset({"", "private"}),
    "UsernsMode": frozenset({"", "private"}),
    "CgroupnsMode": frozenset({"", "private"}),
}
_JOINABLE = frozenset({"PidMode", "IpcMode"})
_HARMLESS_SECURITY = frozenset(
    {"no-new-privileges", "no-new-privileges=true", "apparmor=docker-default", "seccomp=builtin"}
)
_GROUPS_OF_THE_ENGINE = frozenset({"keep-groups"})  # Podman: those of its own process
_STARVING_ULIMITS = frozenset({"rtprio", "nice", "rlimit_rtprio", "rlimit_nice"})
_LOG_OPTIONS = frozenset(
    {
        *("max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"),
        *("mode", "max-buffer-size"),
    }
)


def isolation_claims(host: Tree, prefix: str) -> Claims:
    """What a host configuration (or an update's resources) asks of the host."""
    yield from _forbidden(host, prefix)
    yield from _namespaces(host, prefix)
    yield from capability_claims(texts(host, "CapAdd"), f"{prefix}CapAdd")
    yield from device_claims(host, prefix)
    yield from security_claims(texts(host, "SecurityOpt"), f"{prefix}SecurityOpt")
    for name in mapping(host, "Sysctls"):
        yield _sysctl(name, f"{prefix}Sysctls")
    for group in texts(host, "GroupAdd"):
        if group in _GROUPS_OF_THE_ENGINE:
            yield Demand(DemandKind.FIELD, f"{prefix}GroupAdd", group)
    if text(host, "Runtime"):
        yield Demand(DemandKind.RUNTIME, f"{prefix}Runtime", text(host, "Runtime"))
    if number(host, "OomScoreAdj") < 0:
        yield Demand(DemandKind.FIELD, f"{prefix}OomScoreAdj", str(number(host, "OomScoreAdj")))
    yield from ulimit_claims(host, "Ulimits", f"{prefix}Ulimits")
    yield from log_claims(mapping(host, "LogConfig"), f"{prefix}LogConfig")


def _sysctl(name: str, field: str) -> Demand:
    """A name is a path below /proc/sys in two spellings: it does not climb."""
    dotted = name.replace("/", ".")
    return Demand(DemandKind.FIELD if ".." in dotted else DemandKind.SYSCTL, field, dotted)


def _forbidden(host: Tree, prefix: str) -> Iterator[Demand]:
    for name in FORBIDDEN:
        if host.get(name):
            yield Demand(DemandKind.FIELD, f"{prefix}{name}", _shown(host[name]))
    for name in _NEVER_EMPTY:
        if host.get(name) is not None:
            yield Demand(DemandKind.FIELD, f"{prefix}{name}", _shown(host[name]))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:200]


def _namespaces(host: Tree, prefix: str) -> Claims:
    for name, private in _PRIVATE_MODES.items():
        mode = text(host, name)
        kind, colon, container = mode.partition(":")
        if name in _JOINABLE and colon and kind == "container":
            yield ObjectReference(ObjectKind.CONTAINER, container)
        elif mode not in private:
            yield Demand(DemandKind.NAMESPACE, f"{prefix}{name}", f"{name.removesuffix('Mode').lower()}={mode}")


def capability_claims(names: Iterable[str], field: str) -> Iterator[Demand]:
    """Capabilities beyond those every container has, as Docker reads their names."""
    for typed in names:
        name = typed.upper()
        name = name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"
        if name not in DEFAULT_CAPABILITIES:
            yield Demand(DemandKind.CAPABILITY, field, name)


def device_claims(host: Tree, prefix: str) -> Iterator[Demand]:
    """``Devices``, ``DeviceRequests``, ``DeviceCgroupRules``."""
    for device in documents(host, "Devices"):
        path = text(device, "PathOnHost")
        known = path.startswith("/") and "\0" not in path
        yield Demand(DemandKind.DEVICE, f"{prefix}Devices", clean_path(path) if known else f"name:{path}")
    for request in documents(host, "DeviceRequests"):
        yield from _device_request(request, f"{prefix}DeviceRequests")
    for rule in texts(host, "DeviceCgroupRules"):
        yield Demand(DemandKind.DEVICE, f"{prefix}DeviceCgroupRules", f"rule:{rule}")


def _device_request(request: Tree, field: str) -> Iterator[Demand]:
    driver = text(request, "Driver")
    if driver == "cdi":
        for name in texts(request, "DeviceIDs"):
            yield Demand(DemandKind.DEVICE, field, f"cdi:{name}")
    else:
        yield Demand(DemandKind.DEVICE, field, f"driver:{driver}")
    if mapping(request, "Options"):
        yield Demand(DemandKind.FIELD, f"{field}.Options", ",".join(sorted(mapping(request, "Options"))))


def ulimit_claims(tree: Tree, name: str, field: str) -> Iterator[Demand]:
    """Limits that let a process have the CPU before all others."""
    for limit in documents(tree, name):
        if text(limit, "Name").lower() in _STARVING_ULIMITS:
            yield Demand(DemandKind.FIELD, field, text(limit, "Name"))


def security_claims(options: Iterable[str], field: str) -> Iterator[Demand]:
    """Security options; Docker reads ``name:value`` too where there is no equals sign."""
    for option in options:
        separator = "=" if "=" in option else ":"
        name, found, value = option.partition(separator)
        if name == "no-new-privileges" and found and value.lower() in ("1", "t", "true"):
            value = "true"
        shown = f"{name}={value}" if found else name
        if shown not in _HARMLESS_SECURITY:
            yield Demand(DemandKind.SECURITY_OPTION, field, shown[:200])


def log_claims(config: Tree, field: str) -> Iterator[Demand]:
    """A log driver, and options of it that do more than shape and rotate."""
    driver = text(config, "Type")
    if driver:
        yield Demand(DemandKind.LOG_DRIVER, f"{field}.Type", driver)
    for option in mapping(config, "Config"):
        if option not in _LOG_OPTIONS:
            yield Demand(DemandKind.LOG_DRIVER, f"{field}.Config", f"{driver or 'default'}:{option}")
