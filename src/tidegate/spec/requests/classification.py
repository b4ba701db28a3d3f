"""The class of each field, parameter and operation, looked up in the literal tables."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from tidegate.spec.requests import tables
from tidegate.spec.requests.container_risks import CONTAINER_RISKS
from tidegate.spec.requests.object_risks import OBJECT_RISKS
from tidegate.spec.requests.operation_risks import OPERATION_RISKS
from tidegate.spec.requests.query_risks import QUERY_RISKS
from tidegate.spec.requests.risks import Class, Classes
from tidegate.spec.requests.swarm_risks import SWARM_RISKS
from tidegate.spec.requests.types import Listed, Mapped, Named, Nullable, Type


@cache
def classes_by_document() -> Mapping[str, Classes]:
    """Field to class, by the document that declares the field."""
    return MappingProxyType({**CONTAINER_RISKS, **OBJECT_RISKS, **SWARM_RISKS})


def class_of_field(field: tables.Field) -> Class:
    """Raises KeyError for a field without a class: the tables are ours."""
    return classes_by_document()[field.owner][field.name]


def class_of_parameter(operation_id: str, name: str) -> Class:
    """Raises KeyError for a parameter without a class: the tables are ours."""
    return QUERY_RISKS[operation_id][name]


def class_of_operation(operation_id: str) -> Class:
    """Raises KeyError for no operation of the catalogue."""
    return OPERATION_RISKS[operation_id]


def every_path(operation_id: str) -> Mapping[str, Class]:
    """Every path that a document of the operation can have, with its class."""
    kind = tables.body_type(operation_id)
    found: dict[str, Class] = {}
    if kind is not None:
        _collect(kind, "", found)
    return MappingProxyType(found)


def _collect(kind: Type, path: str, found: dict[str, Class]) -> None:
    match kind:
        case Named(name):
            for field in tables.document(name).fields.values():
                place = f"{path}.{field.name}".lstrip(".")
                found[place] = class_of_field(field)
                _collect(field.type, place, found)
        case Listed(item):
            _collect(item, f"{path}[]", found)
        case Mapped(value):
            _collect(value, f"{path}{{}}", found)
        case Nullable(inner):
            _collect(inner, path, found)
