"""What one reading of a document finds, and how values of no known type are read.

Errors are InvalidParameterError and name the field as the tables note it: ``HostConfig.Mounts[].Type``.
"""

from dataclasses import dataclass, field
from math import isfinite
from typing import NoReturn, TypeAlias

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import Pairs, clean, fold
from tidegate.spec.requests.risks import Class

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool | None"
"""Plain JSON."""

MOST_DEPTH = 32
_INTEGERS = range(-(2**63), 2**64)


@dataclass(slots=True)
class Reading:
    """``present``: the fields with a value. ``unknown``: the fields that no table has."""

    present: dict[str, Class] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def read_anything(value: object, path: str, depth: int = 1) -> Tree:
    """A value of no known type: no key twice, no number that readers would round differently, nothing nested deep."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool):
        return value
    if depth > MOST_DEPTH:
        raise InvalidParameterError("invalid JSON: exceeded max depth")
    if isinstance(value, Pairs):
        result: dict[str, Tree] = {}
        seen: set[str] = set()
        for raw_key, item in value:
            key = clean(raw_key)
            if fold(key) in seen:
                refuse_twice(path, key)
            seen.add(fold(key))
            result[key] = read_anything(item, join(path, key), depth + 1)
        return result
    if isinstance(value, list):
        return [read_anything(each, f"{path}[]", depth + 1) for each in value]
    return value if type(value) is int and value in _INTEGERS else read_real(value, path)


def read_real(value: object, path: str) -> float:
    """A number that is no integer of 64 bits. Raises InvalidParameterError beyond what 64 bits hold."""
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        number = None
    if number is None or not isfinite(number):
        refuse(value, path, "float64")
    return number


def join(path: str, key: str) -> str:
    """The path of a field of ``path``, which is "" for the document itself."""
    return f"{path}.{key}" if path else key


def refuse_twice(path: str, key: str) -> NoReturn:
    """Raises InvalidParameterError for a key that was there before, in this or another spelling."""
    raise InvalidParameterError(f"invalid JSON: duplicate field {join(path, key)}: give it once")


def refuse(value: object, path: str, wanted: str) -> NoReturn:
    """Raises InvalidParameterError in Go's words; ``wanted`` is the type as Go calls it."""
    names: dict[type, str] = {str: "string", bool: "bool", list: "array", Pairs: "object", type(None): "null"}
    shown = f"number {value}"[:40] if type(value) in (int, float) else names[type(value)]
    place = f" field {path}" if path else ""
    raise InvalidParameterError(f"invalid JSON: cannot unmarshal {shown} into{place} of type {wanted}")
