"""Linux capabilities by name (capabilities(7)) and the sets Docker makes of them.

Pure but for ``held_capabilities``, which reads what this process may give away.

- Names are ``CAP_`` upper case everywhere inside; what a user typed goes through ``normalize`` once.
- Order is the kernel's numbering, so that equal sets give equal documents.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tidegate.base.errors import InvalidParameterError

_BY_NUMBER = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
ALL_CAPABILITIES: tuple[str, ...] = tuple(f"CAP_{name}" for name in _BY_NUMBER)

_DOCKER_DEFAULT = frozenset(
    [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)
DEFAULT_CAPABILITIES: tuple[str, ...] = tuple(f"CAP_{name}" for name in _BY_NUMBER if name in _DOCKER_DEFAULT)


@cache
def held_capabilities() -> frozenset[str]:
    """The bounding set of this process, which it never widens: what can be given to a container."""
    return bounding_set(Path("/proc/self/status").read_text())


def bounding_set(status: str) -> frozenset[str]:
    """Of the process whose /proc/PID/status this is."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for number, name in enumerate(ALL_CAPABILITIES) if mask >> number & 1)
    return frozenset()


def normalize(names: Iterable[str]) -> frozenset[str]:
    """``net_admin``, ``CAP_NET_ADMIN`` and ``ALL`` as Docker reads them; ``ALL`` stays as it is.

    Raises InvalidParameterError on an unknown name, in Docker's wording.
    """
    result = set()
    for typed in names:
        name = typed.upper()
        if name != "ALL" and not name.startswith("CAP_"):
            name = f"CAP_{name}"
        if name != "ALL" and name not in ALL_CAPABILITIES:
            raise InvalidParameterError(f'unknown capability: "{name}"')
        result.add(name)
    return frozenset(result)


def effective_capabilities(
    add: Iterable[str], drop: Iterable[str], *, privileged: bool, available: frozenset[str]
) -> tuple[str, ...]:
    """The set of a container, as moby's ``caps.TweakCapabilities`` decides it.

    ``available`` bounds it only where everything is asked for (privileged, ALL): a name asked for explicitly that the
    host lacks is for the runtime to refuse.
    """
    added, dropped = normalize(add), normalize(drop)
    if privileged:
        chosen = set(available)
    elif "ALL" in added:
        chosen = set(available) - dropped
    elif "ALL" in dropped:
        chosen = set(added)
    else:
        chosen = (set(DEFAULT_CAPABILITIES) - dropped) | added
    return tuple(name for name in ALL_CAPABILITIES if name in chosen)
