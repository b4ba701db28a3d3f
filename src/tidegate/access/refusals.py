"""What a client is told when a demand was not granted: the field, the value, and the setting that would grant it.

``SETTINGS`` is also the grammar of the access file: the name of the list of patterns for each kind of demand.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.access.demands import Demand, DemandKind

SETTINGS: Mapping[DemandKind, str] = MappingProxyType(
    {
        DemandKind.BIND: "bind_sources",
        DemandKind.DEVICE: "devices",
        DemandKind.CAPABILITY: "capabilities",
        DemandKind.REGISTRY: "registries",
        DemandKind.NETWORK: "networks",
        DemandKind.PORT: "ports",
        DemandKind.SYSCTL: "sysctls",
        DemandKind.SECURITY_OPTION: "security_options",
        DemandKind.NAMESPACE: "namespaces",
        DemandKind.RUNTIME: "runtimes",
        DemandKind.LOG_DRIVER: "log_drivers",
        DemandKind.VOLUME_DRIVER: "volume_drivers",
        DemandKind.NETWORK_DRIVER: "network_drivers",
        DemandKind.SUBNET: "subnets",
        DemandKind.URL: "urls",
        DemandKind.FIELD: "fields",
    }
)


def refusal(role_name: str, demand: Demand) -> str:
    """The reason, and both ways to mend it: the client's and the administrator's."""
    what = f"{demand.field} ({demand.value})" if demand.kind is DemandKind.FIELD else f"{demand.field} {demand.value!r}"
    if demand.kind is DemandKind.BIND and not demand.read_only:
        what += " read-write"
    grant = f"an administrator grants it by {SETTINGS[demand.kind]} of the role in the access file"
    return f"role {role_name} may not ask for {what}; leave it out, or {grant}"
