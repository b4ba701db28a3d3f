"""Reading a JSON text as a type of the tables: what results is what the engine will understand, spelled one way.

- Keys of documents match by Go's folding and come out as the tables spell them, in the tables' order.
- A key given twice, however spelled, is refused: two readers could disagree on which one counts.
- A field that is null is absent, as in Go; in lists and maps null is the zero value, but for ``?T``.
- Unknown fields stay in the tree, behind the known ones, and are listed; null ones are dropped like known ones.
- Numbers keep to the range of their type. Nothing is nested deeper than any known document.

Errors are InvalidParameterError and name the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import NoReturn, TypeAlias

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import Pairs, clean, fold, parse
from tidegate.spec.requests import tables
from tidegate.spec.requests.types import INTEGERS, Listed, Mapped, Named, Nullable, Scalar, Type, Words, go_name

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool | None"
"""Plain JSON."""

MOST_DEPTH = 32
_UNKNOWN_INTEGERS = range(-(2**63), 2**64)
_ZEROES: Mapping[str, Tree] = {"string": "", "bool": False, "float64": 0.0}


@dataclass(frozen=True, slots=True)
class Read:
    """``unknown``: paths of the fields that no table has ("HostConfig.Foo")."""

    tree: Tree
    unknown: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    unknown: list[str] = field(default_factory=list)
    depth: int = 0


def read(kind: Type, data: bytes) -> Read:
    """``data`` as a ``kind``. Raises InvalidParameterError."""
    reading = _Reading()
    try:
        tree = parse(data)
    except RecursionError as error:
        raise InvalidParameterError("invalid JSON: exceeded max depth") from error
    return Read(_value(kind, tree, "", reading), tuple(reading.unknown))


def _value(kind: Type, value: object, path: str, reading: _Reading) -> Tree:
    match kind:
        case Scalar(name):
            return _scalar(name, value, path)
        case Words():
            return [clean(value)] if isinstance(value, str) else _list(Scalar("string"), None, value, path, reading)
        case Listed(item, length):
            return _list(item, length, value, path, reading)
        case Mapped(inner):
            return _map(inner, value, path, reading)
        case Nullable(inner):
            return None if value is None else _value(inner, value, path, reading)
        case Named(name):
            return _document(tables.document(name), value, path, reading)
    raise TypeError(f"{kind!r} is not in a document")


def _scalar(name: str, value: object, path: str) -> Tree:
    if value is None:
        return _ZEROES.get(name, 0)
    if name == "string" and isinstance(value, str):
        return clean(value)
    if name == "bool" and isinstance(value, bool):
        return value
    if name == "float64" and type(value) in (int, float):
        return _float(value, path)
    if type(value) is int and value in INTEGERS.get(name, ()):
        return value
    _refuse(value, path, name)


def _float(value: object, path: str) -> float:
    assert isinstance(value, int | float)  # noqa: S101 - the caller asked
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        _refuse(value, path, "float64")
    return number


def _list(item: Type, length: int | None, value: object, path: str, reading: _Reading) -> Tree:
    items = [] if value is None else value
    if type(items) is not list:
        _refuse(value, path, go_name(Listed(item, length)))
    _enter(reading)
    result = [_value(item, each, f"{path}[{index}]", reading) for index, each in enumerate(items)]
    reading.depth -= 1
    if length is None:
        return result
    return (result + [_value(item, None, path, reading)] * length)[:length]


def _map(inner: Type, value: object, path: str, reading: _Reading) -> Tree:
    if value is None:
        return {}
    if not isinstance(value, Pairs):
        _refuse(value, path, go_name(Mapped(inner)))
    _enter(reading)
    result: dict[str, Tree] = {}
    for raw_key, item in value:
        key = clean(raw_key)
        if key in result:
            _refuse_twice(path, key)
        result[key] = _value(inner, item, f"{path}.{key}".lstrip("."), reading)
    reading.depth -= 1
    return result


def _document(document: tables.Document, value: object, path: str, reading: _Reading) -> Tree:
    if value is None:
        return {}
    if not isinstance(value, Pairs):
        _refuse(value, path, document.name)
    _enter(reading)
    known: dict[str, Tree] = {}
    others: dict[str, Tree] = {}
    seen: set[str] = set()
    for raw_key, item in value:
        key = clean(raw_key)
        folded = fold(key)
        if folded in seen:
            _refuse_twice(path, key)
        seen.add(folded)
        found = document.fields.get(folded)
        place = f"{path}.{found.name if found else key}".lstrip(".")
        if item is None:
            continue
        if found is not None:
            known[folded] = _value(found.type, item, place, reading)
        else:
            reading.unknown.append(place)
            others[key] = _anything(item, place, reading)
    reading.depth -= 1
    return {each.name: known[folded] for folded, each in document.fields.items() if folded in known} | others


def _anything(value: object, path: str, reading: _Reading) -> Tree:
    """A value of no known type, with no key twice and no number that readers would round differently."""
    if isinstance(value, Pairs):
        return _map_of_anything(value, path, reading)
    if isinstance(value, list):
        _enter(reading)
        items: list[Tree] = [_anything(item, f"{path}[{index}]", reading) for index, item in enumerate(value)]
        reading.depth -= 1
        return items
    if isinstance(value, str):
        return clean(value)
    if type(value) is int and value in _UNKNOWN_INTEGERS:
        return value
    if isinstance(value, bool) or value is None:
        return value
    return _float(value, path)


def _map_of_anything(value: Pairs, path: str, reading: _Reading) -> Tree:
    _enter(reading)
    result: dict[str, Tree] = {}
    seen: set[str] = set()
    for raw_key, item in value:
        key = clean(raw_key)
        if fold(key) in seen:
            _refuse_twice(path, key)
        seen.add(fold(key))
        result[key] = _anything(item, f"{path}.{key}", reading)
    reading.depth -= 1
    return result


def _enter(reading: _Reading) -> None:
    reading.depth += 1
    if reading.depth > MOST_DEPTH:
        raise InvalidParameterError("invalid JSON: exceeded max depth")


def _refuse_twice(path: str, key: str) -> NoReturn:
    place = f"{path}.{key}".lstrip(".")
    raise InvalidParameterError(f"invalid JSON: duplicate field {place}: give it once")


def _refuse(value: object, path: str, wanted: str) -> NoReturn:
    names: dict[type, str] = {str: "string", bool: "bool", list: "array", Pairs: "object", type(None): "null"}
    shown = f"number {value}"[:40] if type(value) in (int, float) else names[type(value)]
    place = f" field {path}" if path else ""
    raise InvalidParameterError(f"invalid JSON: cannot unmarshal {shown} into{place} of type {wanted}")
