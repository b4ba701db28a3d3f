"""The tables of ``tables.json``, read once: the body and the query of each operation, and the fields of each document.

- A document knows its fields by their folded names, in the order in which they are written; fields that it has from
  another document ("&") keep that document as their owner, so that what is said of a field is said once.
- An operation that is not in ``bodies`` has no body; what a client sends all the same is dropped, as moby drops it.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from tidegate.spec.codec import fold
from tidegate.spec.requests.types import Type, parse_type

STREAM = "stream"
_NOTHING: Mapping[str, "Field"] = MappingProxyType({})


class Field(msgspec.Struct, frozen=True):
    """A field of a document, or a parameter of a query; ``owner`` is the document, or the operation id."""

    name: str
    type: Type
    owner: str
    zero_counts: bool = False


class Document(msgspec.Struct, frozen=True):
    """``fields`` by folded name."""

    name: str
    fields: Mapping[str, Field]


class _Tables(msgspec.Struct, frozen=True):
    bodies: Mapping[str, str]
    documents: Mapping[str, Mapping[str, str | list[str]]]
    queries: Mapping[str, Mapping[str, str]]


@cache
def _tables() -> _Tables:
    text = Path(__file__).with_name("tables.json").read_text()
    return _Tables(**json.loads(text))


def body_type(operation_id: str) -> Type | None:
    """The type of the JSON body; None for an operation whose body is no document."""
    notation = _tables().bodies.get(operation_id, STREAM)
    return None if notation == STREAM else parse_type(notation)


def has_stream(operation_id: str) -> bool:
    """Whether the body is an archive, which is passed on unread."""
    return _tables().bodies.get(operation_id) == STREAM


@cache
def document(name: str) -> Document:
    """Raises KeyError: the names are ours."""
    fields: dict[str, Field] = {}
    for key, notation in _tables().documents[name].items():
        if isinstance(notation, list):
            for other in notation:
                fields.update(document(other).fields)
        else:
            fields[fold(key)] = _field(key, notation, name)
    return Document(name, MappingProxyType(fields))


@cache
def parameters(operation_id: str) -> Mapping[str, Field]:
    """The query parameters of an operation, by name: their case counts."""
    found = _tables().queries.get(operation_id)
    if not found:
        return _NOTHING
    return MappingProxyType({name: _field(name, notation, operation_id) for name, notation in found.items()})


def document_names() -> frozenset[str]:
    """Every document of the tables."""
    return frozenset(_tables().documents)


def body_operations() -> frozenset[str]:
    """Every operation with a JSON body."""
    return frozenset(name for name, notation in _tables().bodies.items() if notation != STREAM)


def query_operations() -> frozenset[str]:
    """Every operation with a query."""
    return frozenset(_tables().queries)


def _field(name: str, notation: str, owner: str) -> Field:
    return Field(name, parse_type(notation.removesuffix("!")), owner, notation.endswith("!"))
