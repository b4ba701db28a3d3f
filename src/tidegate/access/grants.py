"""Whether a role's grants answer a demand.

Patterns are literal but for ``*``, which stands for any text. Three kinds of demand have a grammar of their own:

- binds: ``/srv/data`` is that path alone; ``/srv/data:ro`` read-only; ``/srv/trees/*`` what is below, read-only. A
  symlink cannot be seen from here, and whoever writes below a bound path can plant one: hence no writable trees.
- ports: ``address:port`` or ``address:first-last``, address ``*`` for any; port 0 is one the engine chooses.
- subnets: one network holds another.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType

from tidegate.access.demands import Demand, DemandKind

Grants = Mapping[DemandKind, tuple[str, ...]]


def granted(grants: Grants, demand: Demand) -> bool:
    """Whether any pattern of the demand's kind answers it."""
    return answering_pattern(grants, demand) is not None


def answering_pattern(grants: Grants, demand: Demand) -> str | None:
    """The first pattern of the demand's kind that answers it."""
    answers = _GRAMMARS.get(demand.kind, _text_answers)
    return next((pattern for pattern in grants.get(demand.kind, ()) if answers(pattern, demand)), None)


def text_fits(pattern: str, value: str) -> bool:
    """``*`` stands for any text, everything else for itself."""
    return fnmatchcase(value, pattern.replace("[", "[[]").replace("?", "[?]"))


def _text_answers(pattern: str, demand: Demand) -> bool:
    return text_fits(pattern, demand.value)


def _bind_answers(pattern: str, demand: Demand) -> bool:
    if pattern.endswith("/*"):
        return demand.read_only and demand.value.startswith(pattern[:-1])
    if pattern.endswith(":ro"):
        return demand.read_only and demand.value == pattern[: -len(":ro")]
    return demand.value == pattern


def _port_answers(pattern: str, demand: Demand) -> bool:
    address, _, ports = pattern.rpartition(":")
    asked_address, _, asked = demand.value.rpartition(":")
    first, _, last = ports.partition("-")
    asked_first, _, asked_last = asked.partition("/")[0].partition("-")
    if address not in ("*", asked_address):
        return False
    return int(first) <= int(asked_first) and int(asked_last or asked_first) <= int(last or first)


def _subnet_answers(pattern: str, demand: Demand) -> bool:
    inner, outer = ip_network(demand.value), ip_network(pattern)
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)


_GRAMMARS: Mapping[DemandKind, Callable[[str, Demand], bool]] = MappingProxyType(
    {DemandKind.BIND: _bind_answers, DemandKind.PORT: _port_answers, DemandKind.SUBNET: _subnet_answers}
)
