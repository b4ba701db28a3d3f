"""Which fields of a document have a value, and the class of each.

A field is present when its value is not zero ("" , 0, false, empty) or when its zero counts ("!" in the tables). A list
or map is one field, and so are the fields of the documents in it: ``HostConfig.Mounts``, ``HostConfig.Mounts[].Type``,
``NetworkingConfig.EndpointsConfig{}.Links``. A document that is a field by itself is listed only when it is not
harmless as a whole; its fields say the rest.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from tidegate.spec.requests import tables
from tidegate.spec.requests.container_risks import CONTAINER_RISKS
from tidegate.spec.requests.object_risks import OBJECT_RISKS
from tidegate.spec.requests.operation_risks import OPERATION_RISKS
from tidegate.spec.requests.query_risks import QUERY_RISKS
from tidegate.spec.requests.reader import Tree
from tidegate.spec.requests.risks import Class, Classes, Risk
from tidegate.spec.requests.swarm_risks import SWARM_RISKS
from tidegate.spec.requests.types import Listed, Mapped, Named, Nullable, Type

# Roots that are lists of plain strings have no field to class.
_ROOT_RISKS: Mapping[str, Class] = {
    "PluginSet": Class(Risk.DANGEROUS, "settings of a plugin, which is root on the host")
}


@cache
def _by_document() -> Mapping[str, Classes]:
    return MappingProxyType({**CONTAINER_RISKS, **OBJECT_RISKS, **SWARM_RISKS})


def class_of_field(field: tables.Field) -> Class:
    """Raises KeyError for a field without a class: the tables are ours."""
    return _by_document()[field.owner][field.name]


def class_of_parameter(operation_id: str, name: str) -> Class:
    """Raises KeyError for a parameter without a class: the tables are ours."""
    return QUERY_RISKS[operation_id][name]


def class_of_operation(operation_id: str) -> Class:
    """Raises KeyError for no operation of the catalogue."""
    return OPERATION_RISKS[operation_id]


def present(operation_id: str, kind: Type, tree: Tree) -> Mapping[str, Class]:
    """The fields of ``tree`` that have a value, by path."""
    found: dict[str, Class] = {}
    if operation_id in _ROOT_RISKS and tree:
        found["[]"] = _ROOT_RISKS[operation_id]
    for path, one in _walk(kind, tree, ""):
        found[path] = one
    return MappingProxyType(found)


def _walk(kind: Type, tree: Tree, path: str) -> Iterator[tuple[str, Class]]:
    match kind:
        case Named(name) if isinstance(tree, dict):
            for field in tables.document(name).fields.values():
                if field.name in tree:
                    yield from _walk_field(field, tree[field.name], f"{path}.{field.name}".lstrip("."))
        case Listed(item) if isinstance(tree, list) and not isinstance(item, Listed):
            for each in tree:
                yield from _walk(item, each, f"{path}[]")
        case Mapped(value) if isinstance(tree, dict):
            for each in tree.values():
                yield from _walk(value, each, f"{path}{{}}")
        case Nullable(inner):
            yield from _walk(inner, tree, path)


def _walk_field(field: tables.Field, value: Tree, path: str) -> Iterator[tuple[str, Class]]:
    one = class_of_field(field)
    below = list(_walk(field.type, value, path))
    if isinstance(field.type, Named):
        if one.risk is not Risk.HARMLESS:  # even {}: what moby keeps as a pointer is set by it
            yield path, one
    elif value or field.zero_counts:
        yield path, one
    yield from below


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
