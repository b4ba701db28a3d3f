"""Patterns of the access file, kind by kind: which cannot be meant, and which give away more than a role should.

A bind source that would hand over the host is an error and not a warning: that is what role ``admin`` is for.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from tidegate.access.confinement.host_paths import clean_path
from tidegate.access.demands import DemandKind

_HOST_ROOTS = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys", "/usr"),
    *("/var/run", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/tidegate", "/var/spool"),
)
_ENGINE_SOCKET = re.compile(r"/(?:docker|podman|containerd|crio|tidegate|engine|buildkitd)[a-z-]*\.sock$")
_PORTS = re.compile(r"(?:\*|[0-9a-fA-F.:]+):([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_REGISTRY = re.compile(r"[a-z0-9.*-]+(?::[0-9*]+)?|\[[0-9a-f:]+\](?::[0-9]+)?", re.ASCII)
_CAPABILITY = re.compile(r"ALL|CAP_[A-Z_*]+")
_HOST_CAPABILITIES = frozenset(
    {
        *("ALL", "CAP_BPF", "CAP_DAC_READ_SEARCH", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_PERFMON"),
        *("CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO"),
        "CAP_SYS_TIME",
    }
)


class Flaw(msgspec.Struct, frozen=True):
    """What is wrong with a pattern, and what to write instead."""

    message: str
    mend: str


def pattern_error(kind: DemandKind, text: str) -> Flaw | None:
    """Why the pattern cannot be used, None when it can."""
    check = _ERRORS.get(kind)
    return check(text) if check else None


def pattern_warning(kind: DemandKind, text: str) -> Flaw | None:
    """What the pattern gives away, None when it is harmless enough."""
    if kind in _ALWAYS_THE_HOST or (kind is DemandKind.CAPABILITY and (text in _HOST_CAPABILITIES or "*" in text)):
        return Flaw("this is a way to root on the host", "keep it only for clients that could as well be admin")
    if kind is DemandKind.DEVICE and not text.startswith(("cdi:", "driver:")):
        return Flaw("a device of the host may be a way to root on it", "grant it by name, never by *")
    return None


def _bind_error(text: str) -> Flaw | None:
    path = text.removesuffix(":ro").removesuffix("/*") or "/"
    if text.endswith("/*:ro"):
        return Flaw("what is below a path is granted read-only as it is", f"write {path}/*")
    if not path.startswith("/") or path != clean_path(path) or "*" in path or ":" in path:
        return Flaw("a bind source is a clean absolute path", "write /srv/data, /srv/data:ro or /srv/trees/*")
    tree, read_only = text.endswith("/*"), text.endswith(":ro")
    if any(_above(path, root) for root in _HOST_ROOTS):
        return Flaw("this path is the host", "use role admin for clients that need it")
    if _ENGINE_SOCKET.search(path):
        return Flaw("an engine's socket is root on the host", "give the container a scoped socket")
    if any(_above(root, path) for root in _HOST_ROOTS) and (tree or not read_only):
        return Flaw("below a path of the host's own, a file is granted alone and read-only", f"write {path}:ro")
    return None


def _above(path: str, other: str) -> bool:
    return other == path or other.startswith(path.rstrip("/") + "/")


def _port_error(text: str) -> Flaw | None:
    found = _PORTS.fullmatch(text)
    if found and int(found[1]) <= int(found[2] or found[1]) <= 65535:
        return None
    return Flaw("a port is address:port or address:first-last", 'write "*:8080" or "127.0.0.1:8000-8099"')


def _subnet_error(text: str) -> Flaw | None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return Flaw(str(error), 'write "10.20.0.0/16"')
    return None


def _registry_error(text: str) -> Flaw | None:
    if _REGISTRY.fullmatch(text):
        return None
    return Flaw("a registry is a host, or host:port, in small letters", 'write "registry.acme.example:5000"')


def _capability_error(text: str) -> Flaw | None:
    if _CAPABILITY.fullmatch(text):
        return None
    return Flaw("a capability is CAP_ and its name in capitals", 'write "CAP_NET_ADMIN"')


def _device_error(text: str) -> Flaw | None:
    if text.startswith(("/dev/", "cdi:", "driver:", "rule:")) and text != "/dev/*":
        return None
    return Flaw("a device is a path below /dev, cdi:NAME, driver:NAME or rule:RULE", 'write "/dev/fuse"')


def _field_error(text: str) -> Flaw | None:
    if re.fullmatch(r"[A-Za-z]+\.[^=*]+=.+", text):
        return None
    return Flaw("a field is OPERATION.FIELD=VALUE", 'write "ContainerCreate.HostConfig.OomKillDisable=true"')


_ALWAYS_THE_HOST = frozenset({DemandKind.NAMESPACE, DemandKind.FIELD, DemandKind.VOLUME_DRIVER})
_ERRORS: Mapping[DemandKind, Callable[[str], Flaw | None]] = MappingProxyType(
    {
        DemandKind.BIND: _bind_error,
        DemandKind.PORT: _port_error,
        DemandKind.SUBNET: _subnet_error,
        DemandKind.REGISTRY: _registry_error,
        DemandKind.CAPABILITY: _capability_error,
        DemandKind.DEVICE: _device_error,
        DemandKind.FIELD: _field_error,
    }
)
