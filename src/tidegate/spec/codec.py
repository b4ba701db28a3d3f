"""JSON as Go's ``encoding/json`` reads and writes it, for the documents of this package.

- Keys match fields without regard to case, U+017F counting as "s" and U+212A as "k".
- Of duplicate keys the last wins; documents and maps merge, as in Go. ``strict`` refuses duplicates instead: the rule
  for whoever decides on a document that another reader will act on.
- null leaves a field as it is, except that pointers, lists, maps and documents become their zero value.
- Invalid UTF-8 and lone surrogates become U+FFFD. Numbers for integers are integers, within 64 bits.
- Unknown fields are ignored by ``decode`` and listed by ``decode_reporting``.
- Unlike Go, the elements of a repeated list never show through the list that replaced it.

Errors are InvalidParameterError and name the field:
``invalid JSON: cannot unmarshal string into field HostConfig.Memory of type int64``.
"""

import json
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Generic, NoReturn, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from tidegate.base.errors import InvalidParameterError

T = TypeVar("T")

_FOLD = {ord("\u017f"): "s", ord("\u212a"): "k"} | {code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64 = range(-(2**63), 2**63)
_GO_NAMES: dict[object, str] = {int: "int64", str: "string", bool: "bool", float: "float64"}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """A document, and the paths of the fields in it that nobody knows ("HostConfig.Foo")."""

    value: T
    unknown: tuple[str, ...]


class Pairs(list[tuple[str, object]]):
    """A JSON object, with its duplicates and their order."""


@dataclass(slots=True)
class _Reading:
    strict: bool
    unknown: list[str] = field(default_factory=list)


def fold(key: str) -> str:
    """The form in which two JSON keys are the same field."""
    return key.translate(_FOLD)


def decode(kind: type[T], data: bytes, *, strict: bool = False) -> T:
    """Read ``data`` as a ``kind`` (a document, or a builtin container of them).

    Raises InvalidParameterError.
    """
    return decode_reporting(kind, data, strict=strict).value


def decode_reporting(kind: type[T], data: bytes, *, strict: bool = False) -> Decoded[T]:
    """Like ``decode``, with the unknown fields. Raises InvalidParameterError."""
    reading = _Reading(strict)
    try:
        tree = parse(data)
        value = cast(T, _convert(kind, tree, "", reading, _MISSING))
    except RecursionError as error:
        raise InvalidParameterError("invalid JSON: exceeded max depth") from error
    return Decoded(value, tuple(reading.unknown))


def parse(data: bytes) -> object:
    """JSON text to a tree in which objects are lists of pairs. Raises InvalidParameterError.

    Each byte that is not UTF-8 is a lone surrogate in the tree's texts, for ``clean`` to replace, one by one as in Go.
    """
    try:
        return json.loads(data.decode("utf-8", "surrogateescape"), object_pairs_hook=Pairs, parse_constant=_no_constant)
    except ValueError as error:
        if not data.strip(b" \t\r\n"):
            raise InvalidParameterError("invalid JSON: got EOF while reading request body") from error
        raise InvalidParameterError(f"invalid JSON: {error}") from error


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"invalid character {text[0]!r} looking for beginning of value")


def clean(text: str) -> str:
    """``text`` with lone surrogates, which JSON can escape and no encoding can hold, as U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def _refuse(value: object, path: str, kind: object) -> NoReturn:
    names: dict[type, str] = {str: "string", bool: "bool", list: "array", Pairs: "object", type(None): "null"}
    shown = f"number {value}"[:40] if type(value) in (int, float) else names[type(value)]
    place = f" field {path}" if path else ""
    raise InvalidParameterError(f"invalid JSON: cannot unmarshal {shown} into{place} of type {_go_name(kind)}")


def _go_name(kind: object) -> str:
    if isinstance(kind, str):
        return kind
    if kind in _GO_NAMES:
        return _GO_NAMES[kind]
    if get_origin(kind) is tuple:
        return "[]" + _go_name(get_args(kind)[0])
    if get_origin(kind) is dict:
        return "map[string]" + _go_name(get_args(kind)[1])
    if get_origin(kind) is Annotated:
        return _go_name(get_args(kind)[0])
    return getattr(kind, "__name__", "object")


def _convert(kind: object, value: object, path: str, reading: _Reading, earlier: object) -> object:
    """``value`` as ``kind``; ``earlier`` is what a duplicate of this key gave before, or _MISSING."""
    if kind is object:
        return _plain(value)
    if kind in (str, int, bool, float):
        return _convert_scalar(kind, value, path, earlier)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _convert_document(kind, value, path, reading, earlier)
    origin = get_origin(kind)
    if origin is Annotated:
        return _convert_annotated(kind, value, path, reading, earlier)
    if origin in (Union, types.UnionType):
        inner = next(part for part in get_args(kind) if part is not type(None))
        return None if value is None else _convert(inner, value, path, reading, earlier)
    if origin in _CONVERSIONS:
        return _CONVERSIONS[origin](kind, value, path, reading, earlier)
    raise TypeError(f"{kind!r} is not a type of documents")


def _plain(value: object) -> object:
    """A value of any type, as Go's ``any`` holds it."""
    if isinstance(value, Pairs):
        return {clean(key): _plain(item) for key, item in value}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return clean(value) if isinstance(value, str) else value


def _zero(kind: object) -> object:
    return {str: "", int: 0, bool: False, float: 0.0}[cast(type, kind)]


def _convert_scalar(kind: object, value: object, path: str, earlier: object) -> object:
    if value is None:
        return _zero(kind) if earlier is _MISSING else earlier
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (type(value) is int and value not in _INT64):
        _refuse(value, path, kind)
    return clean(value) if isinstance(value, str) else value


def _convert_annotated(kind: object, value: object, path: str, reading: _Reading, earlier: object) -> object:
    inner, *metas = get_args(kind)
    for meta in metas:
        if isinstance(value, str) and (meta.extra or {}).get("or_string"):
            return (clean(value),)
        if type(value) is int and not (meta.ge is None or meta.ge <= value <= meta.le):
            _refuse(value, path, f"uint{meta.le.bit_length()}")
    return _convert(inner, value, path, reading, earlier)


def _convert_tuple(kind: object, value: object, path: str, reading: _Reading, _earlier: object) -> object:
    element, *rest = get_args(kind)
    items = [] if value is None else value
    if type(items) is not list:
        _refuse(value, path, kind)
    if rest != [...]:
        length = 1 + len(rest)  # Go's arrays: missing elements are zero, further ones are skipped, whatever they are
        items = (items + [None] * length)[:length]
    return tuple(_convert(element, item, f"{path}[{i}]", reading, _MISSING) for i, item in enumerate(items))


def _convert_dict(kind: object, value: object, path: str, reading: _Reading, earlier: object) -> object:
    if value is None:
        return {}
    if not isinstance(value, Pairs):
        _refuse(value, path, kind)
    _, element = get_args(kind)
    result = dict(earlier) if isinstance(earlier, dict) else {}
    seen: set[str] = set()
    for raw_key, item in value:
        key = clean(raw_key)
        _note_key(key, key, path, seen, reading)
        result[key] = _convert(element, item, f"{path}.{key}".lstrip("."), reading, _MISSING)
    return result


def _note_key(folded: str, key: str, path: str, seen: set[str], reading: _Reading) -> None:
    if reading.strict and folded in seen:
        raise InvalidParameterError(f"invalid JSON: duplicate field {f'{path}.{key}'.lstrip('.')}")
    seen.add(folded)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[FieldInfo, ...]:
    """``fields`` evaluates every annotation anew: a millisecond for a large document."""
    return fields(kind)


@cache
def _plan(kind: type[msgspec.Struct]) -> Mapping[str, FieldInfo]:
    return {fold(info.encode_name): info for info in _fields(kind)}


def _convert_document(
    kind: type[msgspec.Struct], value: object, path: str, reading: _Reading, earlier: object
) -> object:
    if value is None:
        return kind()
    if not isinstance(value, Pairs):
        _refuse(value, path, kind)
    plan = _plan(kind)
    found: dict[str, object] = {}
    if isinstance(earlier, kind):
        found = {info.name: getattr(earlier, info.name) for info in plan.values()}
    seen: set[str] = set()
    for raw_key, item in value:
        folded = fold(raw_key)
        _note_key(folded, clean(raw_key), path, seen, reading)
        info = plan.get(folded)
        if info is None:
            reading.unknown.append(f"{path}.{clean(raw_key)}".lstrip("."))
            continue
        place = f"{path}.{info.encode_name}".lstrip(".")
        if item is None and info.name not in found:
            continue
        found[info.name] = _convert(info.type, item, place, reading, found.get(info.name, _MISSING))
    return kind(**found)


_CONVERSIONS: Mapping[object, Callable[[object, object, str, _Reading, object], object]] = {
    tuple: _convert_tuple,
    dict: _convert_dict,
}


def encode(value: object) -> bytes:
    """Compact JSON of a document without its zero fields; what ``decode`` reads back as equal."""
    return msgspec.json.encode(document(value, complete=False))


def document(value: object, *, complete: bool = True) -> object:
    """Plain JSON data of a document. ``complete`` keeps zero fields, except those Docker omits (``omitempty``)."""
    if isinstance(value, msgspec.Struct):
        kind = type(value)
        omitted: frozenset[str] = getattr(kind, "omitempty", frozenset())
        shown = {}
        for info in _fields(kind):
            item = getattr(value, info.name)
            if not _is_zero(info, item) or (complete and info.encode_name not in omitted):
                shown[info.encode_name] = document(item, complete=complete)
        return shown
    if isinstance(value, list | tuple):
        return [document(item, complete=complete) for item in value]
    if isinstance(value, dict):
        return {key: document(item, complete=complete) for key, item in value.items()}
    return value


def _is_zero(info: FieldInfo, item: object) -> bool:
    if info.default is not msgspec.NODEFAULT:
        return item is info.default or (type(item) is type(info.default) and item == info.default)
    return info.default_factory is not msgspec.NODEFAULT and item == cast(Callable[[], object], info.default_factory)()
