"""Roles: values that say which operations a client reaches, whose objects, and what its documents may demand.

``viewer`` looks, with secrets left out; ``operator`` also starts and stops; ``developer`` builds, runs and debugs its
own work, confined; ``ci`` is a developer that sees nothing but its own; ``admin`` does everything, which is root on the
host.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

import msgspec

from tidegate.access.demands import DemandKind
from tidegate.access.reach import CI, DEVELOP, OPERATE, VIEW
from tidegate.access.verdict import Redaction
from tidegate.spec.catalogue import GATE_OPERATIONS


class Scope(Enum):
    """Whose objects a role has to do with."""

    ALL = "all"
    SEE_ALL_TOUCH_OWN = "see-all"
    OWN = "own"


class Quota(msgspec.Struct, frozen=True):
    """The most that one client's containers may take together; None is no limit."""

    containers: int | None = None
    memory_bytes: int | None = None
    nano_cpus: int | None = None
    published_ports: int | None = None


NO_QUOTA = Quota()


class Rate(msgspec.Struct, frozen=True):
    """Requests a second that a client may keep up, and how many at once after a pause."""

    per_second: float
    burst: int


class Role(msgspec.Struct, frozen=True):
    """``unconfined`` documents are not looked into. ``grants`` are patterns by the kind of demand they answer."""

    name: str
    operations: frozenset[str]
    unconfined: bool = False
    scope: Scope = Scope.ALL
    redact: Redaction = Redaction.NOBODYS
    grants: Mapping[DemandKind, tuple[str, ...]] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    quota: Quota = NO_QUOTA
    rate: Rate | None = None


_SYSCTLS = (
    "fs.mqueue.*",
    "kernel.msg*",
    "kernel.sem",
    "kernel.shm*",
    "net.core.somaxconn",
    "net.ipv4.conf.*",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_*",
    "net.ipv6.conf.*",
)

DEVELOPER_GRANTS: Mapping[DemandKind, tuple[str, ...]] = MappingProxyType(
    {
        DemandKind.BIND: ("/etc/localtime:ro", "/etc/timezone:ro"),
        DemandKind.REGISTRY: (
            "docker.io",
            "gcr.io",
            "ghcr.io",
            "lscr.io",
            "mcr.microsoft.com",
            "public.ecr.aws",
            "quay.io",
            "registry.gitlab.com",
            "registry.k8s.io",
        ),
        DemandKind.PORT: ("*:0", "*:1024-65535"),
        DemandKind.SYSCTL: _SYSCTLS,
        DemandKind.LOG_DRIVER: ("json-file", "local", "none"),
        DemandKind.NETWORK_DRIVER: ("bridge",),
        DemandKind.SUBNET: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"),
    }
)

CI_QUOTA = Quota(containers=50)

BUILT_IN_ROLES: Mapping[str, Role] = MappingProxyType(
    {
        role.name: role
        for role in (
            Role("viewer", VIEW, redact=Redaction.EVERYBODYS),
            Role("operator", OPERATE, redact=Redaction.EVERYBODYS),
            Role(
                "developer",
                DEVELOP,
                scope=Scope.SEE_ALL_TOUCH_OWN,
                redact=Redaction.FOREIGN,
                grants=DEVELOPER_GRANTS,
            ),
            Role("ci", CI, scope=Scope.OWN, redact=Redaction.FOREIGN, grants=DEVELOPER_GRANTS, quota=CI_QUOTA),
            Role("admin", frozenset(operation.operation_id for operation in GATE_OPERATIONS), unconfined=True),
        )
    }
)
