"""The query of a request as the gate reads it: by Go's and Docker's rules, from the tables of every operation.

- ``tree`` is what is decided on: booleans, numbers, texts, lists of texts, filters as lists by name, decoded JSON.
- ``pairs`` is the same in canonical text, which ``encode`` writes; the client's string goes nowhere. An empty value
  stays an empty value: some of moby's parameters tell it from an absent one, and differently.
- Names keep their case. A parameter that takes one value and is given twice is refused.
- Filters, in either of their JSON forms, are forwarded in Go's; a value that is ``false`` is refused, since moby
  counts it as asked for and others do not.
- A parameter that no table has is listed in ``unknown`` and kept: who may send it is the policy's decision.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import Pairs, clean, parse
from tidegate.spec.query_string import boolean, encode_query_string, number, parse_query_string
from tidegate.spec.requests import tables
from tidegate.spec.requests.classification import class_of_parameter
from tidegate.spec.requests.readers import read
from tidegate.spec.requests.reading import Tree
from tidegate.spec.requests.risks import Class, Risk
from tidegate.spec.requests.types import JSONText, Listed, Scalar, Type

__all__ = ["Class", "Query", "Risk", "read_query"]

MOST_REMEMBERED = 512
MOST_REMEMBERED_CHARACTERS = 512
FILTERS = "filters"


class Query(msgspec.Struct, frozen=True):
    """``fields`` are the parameters with a value other than zero, by name."""

    operation_id: str
    tree: Mapping[str, Tree] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    unknown: tuple[str, ...] = ()
    fields: Mapping[str, Class] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def confined(self) -> tuple[str, ...]:
        """The parameters whose value decides."""
        return tuple(name for name, one in self.fields.items() if one.risk is Risk.CONFINED)

    @property
    def dangerous(self) -> tuple[str, ...]:
        """The parameters that reach the host by themselves."""
        return tuple(name for name, one in self.fields.items() if one.risk is Risk.DANGEROUS)

    @property
    def filters(self) -> Mapping[str, Sequence[str]]:
        """The values of each filter."""
        tree = self.tree.get(FILTERS)
        if not isinstance(tree, dict):
            return {}
        return {name: [str(each) for each in values] for name, values in tree.items() if isinstance(values, list)}

    def encode(self) -> str:
        """The canonical query string: what is forwarded."""
        return encode_query_string(self.pairs)

    def with_filters(self, filters: Mapping[str, Sequence[str]]) -> "Query":
        """The query with these filters in place of its own."""
        return self.with_values(FILTERS, [_encode_filters(filters)], _filter_tree(filters))

    def with_values(self, name: str, texts: Sequence[str], value: Tree) -> "Query":
        """The query with other values of one parameter, in its place; no texts remove it."""
        at = next((index for index, pair in enumerate(self.pairs) if pair[0] == name), len(self.pairs))
        before, after = self.pairs[:at], [pair for pair in self.pairs[at:] if pair[0] != name]
        tree = {key: each for key, each in self.tree.items() if key != name} | ({name: value} if texts else {})
        pairs = (*before, *((name, text) for text in texts), *after)
        return replace(self, tree=MappingProxyType(tree), pairs=pairs)


def read_query(operation_id: str, raw: str) -> Query:
    """The query of a request, without its question mark. Raises InvalidParameterError."""
    if not raw:
        return Query(operation_id)
    return _remembered(operation_id, raw) if len(raw) <= MOST_REMEMBERED_CHARACTERS else _read(operation_id, raw)


@lru_cache(maxsize=MOST_REMEMBERED)
def _remembered(operation_id: str, raw: str) -> Query:
    """A client repeats its queries to the letter: reading is pure, its result immutable."""
    return _read(operation_id, raw)


def _read(operation_id: str, raw: str) -> Query:
    texts: dict[str, list[str]] = {}
    for name, text in parse_query_string(raw):
        texts.setdefault(name, []).append(text)
    known = tables.parameters(operation_id)
    tree: dict[str, Tree] = {}
    fields: dict[str, Class] = {}
    pairs: list[tuple[str, str]] = []
    for name, values in texts.items():
        found = known.get(name)
        value, canonical = _parameter(found, name, values) if found else (list[Tree](values), values)
        pairs += [(name, text) for text in canonical]
        tree[name] = value
        if found and value:
            fields[name] = class_of_parameter(operation_id, name)
    unknown = tuple(name for name in texts if name not in known)
    return Query(operation_id, MappingProxyType(tree), unknown, MappingProxyType(fields), tuple(pairs))


def _parameter(found: tables.Field, name: str, texts: list[str]) -> tuple[Tree, list[str]]:
    """What the parameter says, and its canonical texts."""
    if isinstance(found.type, Listed):
        return list[Tree](texts), texts
    if len(texts) > 1:
        raise InvalidParameterError(f"invalid query: parameter {name} is given {len(texts)} times: give it once")
    value, text = _one(found.type, name, texts[0])
    return value, [text]


def _one(kind: Type, name: str, text: str) -> tuple[Tree, str]:
    match kind:
        case Scalar("string"):
            return text, text
        case Scalar("bool"):
            return boolean(text), ("1" if boolean(text) else "0") if text else ""
        case Scalar("filters"):
            return _read_filters(text)
        case Scalar():
            return (number(name, text), str(number(name, text))) if text else (None, "")
        case JSONText(inner):
            return _read_json(inner, name, text)
    raise TypeError(f"{kind!r} is not in a query")


def _read_json(inner: Type, name: str, text: str) -> tuple[Tree, str]:
    if not text:
        return None, ""
    try:
        tree, reading = read(inner, text.encode())
    except InvalidParameterError as error:
        raise InvalidParameterError(f"invalid parameter {name}: {error.message}") from error
    if reading.unknown:
        raise InvalidParameterError(f"invalid parameter {name}: unknown field {reading.unknown[0]}")
    return tree, msgspec.json.encode(tree).decode()


def _read_filters(text: str) -> tuple[Tree, str]:
    if not text.strip():
        return {}, ""
    try:
        tree = parse(text.encode())
    except (InvalidParameterError, RecursionError) as error:
        raise InvalidParameterError(f"invalid filters: {error}") from error
    filters: dict[str, list[str]] = {}
    for raw_name, values in _filter_pairs(tree):
        name = clean(raw_name)
        if name in filters:
            raise InvalidParameterError(f"invalid filters: {name} is given twice: give it once")
        filters[name] = list(dict.fromkeys(_filter_values(name, values)))
    return _filter_tree(filters), _encode_filters(filters)


def _filter_pairs(tree: object) -> Pairs:
    if tree is None:
        return Pairs()
    if not isinstance(tree, Pairs):
        raise InvalidParameterError("invalid filters: not an object of filters by name")
    return tree


def _filter_values(name: str, values: object) -> Sequence[str]:
    if values is None:
        return ()
    if isinstance(values, Pairs) and all(wanted is True for _, wanted in values):
        return [clean(value) for value, _ in values]
    if isinstance(values, list) and not isinstance(values, Pairs) and all(isinstance(each, str) for each in values):
        return [clean(each) for each in values]
    raise InvalidParameterError(f"invalid filters: values of {name} are neither a list of strings nor a set of them")


def _filter_tree(filters: Mapping[str, Sequence[str]]) -> Tree:
    return {name: list[Tree](values) for name, values in filters.items()}


def _encode_filters(filters: Mapping[str, Sequence[str]]) -> str:
    return msgspec.json.encode({name: dict.fromkeys(values, True) for name, values in filters.items()}).decode()
