"""A demand: something a request asks for that a confined role has only if it was granted.

Confinement turns a document into demands; a role's grants, or a policy of the administrator's, answer them. A demand
nobody answers is refused. ``value`` is in one canonical form for each kind, which is what patterns are matched against.
"""

from enum import StrEnum

import msgspec

from tidegate.access.references import ObjectReference


class DemandKind(StrEnum):
    """The name is how a policy speaks of it; each has its own canonical value."""

    BIND = "BindHostPath"
    """A cleaned absolute path of the host."""
    DEVICE = "UseDevice"
    """A cleaned path under /dev, ``cdi:NAME``, ``driver:NAME`` or ``rule:RULE``."""
    CAPABILITY = "AddCapability"
    """``CAP_NET_ADMIN``, or ``ALL``."""
    REGISTRY = "UseRegistry"
    """A registry's ``host`` or ``host:port``, ``docker.io`` for Docker's."""
    NETWORK = "JoinNetwork"
    """A network's name, as written."""
    PORT = "PublishPort"
    """``address:port/protocol``; address ``*`` where none was said."""
    SYSCTL = "SetSysctl"
    """The name of a sysctl."""
    SECURITY_OPTION = "SetSecurityOption"
    """``name=value``."""
    NAMESPACE = "ShareNamespace"
    """``pid=host`` and its like."""
    RUNTIME = "UseRuntime"
    """The name of an OCI runtime."""
    LOG_DRIVER = "UseLogDriver"
    """The name of a log driver; ``name:option`` for an option that is not harmless."""
    VOLUME_DRIVER = "UseVolumeDriver"
    """The name of a volume driver; ``local:key=value,...`` for options of the local one."""
    NETWORK_DRIVER = "UseNetworkDriver"
    """The name of a network driver; ``name:option`` for an option that is not harmless."""
    SUBNET = "UseSubnet"
    """A subnet in CIDR notation."""
    URL = "FetchURL"
    """A URL the engine would fetch."""
    FIELD = "SetField"
    """What no other kind speaks of: ``ContainerExec.Privileged=true``, operation, field and value."""


class Demand(msgspec.Struct, frozen=True):
    """``field`` is the place in the request, for the client; ``read_only`` matters for binds only.

    A client that owns ``unless_own`` needs no grant.
    """

    kind: DemandKind
    field: str
    value: str
    read_only: bool = False
    unless_own: ObjectReference | None = None

    @property
    def pattern(self) -> str:
        """The narrowest pattern of a grant that answers this demand."""
        if self.kind is DemandKind.BIND and self.read_only:
            return f"{self.value}:ro"
        if self.kind is DemandKind.PORT:
            return self.value.partition("/")[0]
        return self.value
