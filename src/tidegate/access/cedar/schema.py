"""The schema of rules: principals in roles, operations and demands as actions, the facts of a request as context.

Actions are in groups: those of the specification in small letters (``Action::"container"``), what the built-in roles
reach (``view``, ``operate``, ``develop``), and ``demand``.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from tidegate.access.demands import DemandKind
from tidegate.access.questions import DEMAND_FACTS, OPERATION_FACTS
from tidegate.access.reach import DEVELOP, OPERATE, VIEW
from tidegate.spec.catalogue import GATE_OPERATIONS

if TYPE_CHECKING:
    import cedarpy

_REACHES = {"view": VIEW, "operate": OPERATE, "develop": DEVELOP}
_DEMAND = "demand"
_PRINCIPAL = {
    "name": "String",
    "organizations": "Set<String>",
    "organizational_units": "Set<String>",
    "uris": "Set<String>",
    "uid": "Long",
    "gid": "Long",
    "address": "String",
}


def actions() -> frozenset[str]:
    """Every name that may stand in ``Action::"..."``."""
    return frozenset({*_groups(), *(operation.operation_id for operation in GATE_OPERATIONS), *DemandKind})


def _groups() -> Sequence[str]:
    return sorted({operation.group.lower() for operation in GATE_OPERATIONS} | _REACHES.keys() | {_DEMAND})


@cache
def parsed_schema() -> "cedarpy.Schema":
    """The schema in the engine's own form; parsing it takes some milliseconds."""
    import cedarpy

    return cedarpy.Schema.from_str(schema())


@cache
def schema() -> str:
    """Cedar's own notation."""
    lines = [
        "entity Role;",
        f"entity Principal in [Role] {_record(_PRINCIPAL)};",
        "entity Thing;",
        *(f'action "{group}";' for group in _groups()),
    ]
    for operation in GATE_OPERATIONS:
        reaches = [name for name, reach in _REACHES.items() if operation.operation_id in reach]
        lines.append(_action(operation.operation_id, [operation.group.lower(), *reaches], OPERATION_FACTS))
    lines.extend(_action(kind.value, [_DEMAND], DEMAND_FACTS) for kind in DemandKind)
    return "\n".join(lines)


def _action(name: str, groups: list[str], facts: Mapping[str, str]) -> str:
    inside = ", ".join(f'"{group}"' for group in groups)
    applies = f"principal: Principal, resource: Thing, context: {_record(facts)}"
    return f'action "{name}" in [{inside}] appliesTo {{ {applies} }};'


def _record(fields: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{name}: {kind}" for name, kind in fields.items()) + " }"
