"""The types of fields and parameters, and the notation they have in ``tables.json``.

    string bool float64 int64 uint64 uint32 uint16    scalars
    words                                             a list of strings, or one bare string (moby's strslice)
    [T]    [2 T]    {T}                               a list; an array of two; a map from any string
    ?T                                                inside a list or map: null is a value of its own
    Name                                              a document of the tables
    filters    json T                                 query parameters whose text is JSON

A field's type may end in "!": its zero value says something else than its absence.
"""

from functools import cache

import msgspec

INTEGERS = {
    "int64": range(-(2**63), 2**63),
    "uint64": range(2**64),
    "uint32": range(2**32),
    "uint16": range(2**16),
}
_SCALARS = frozenset({"string", "bool", "float64", "filters", *INTEGERS})


class Scalar(msgspec.Struct, frozen=True):
    """``name`` is its word in the notation."""

    name: str


class Words(msgspec.Struct, frozen=True):
    """Strings; a bare string is a list of one."""


class Listed(msgspec.Struct, frozen=True):
    """A list; ``length`` is that of an array: missing elements are zero, further ones are dropped, as in Go."""

    item: "Type"
    length: int | None = None


class Mapped(msgspec.Struct, frozen=True):
    """A map from strings."""

    value: "Type"


class Nullable(msgspec.Struct, frozen=True):
    """What a Go pointer in a list or map is: null stays null."""

    inner: "Type"


class Named(msgspec.Struct, frozen=True):
    """A document of the tables."""

    name: str


class JSONText(msgspec.Struct, frozen=True):
    """A query parameter that holds JSON."""

    inner: "Type"


Type = Scalar | Words | Listed | Mapped | Nullable | Named | JSONText


@cache
def parse_type(text: str) -> Type:
    """The type that ``text`` notes, without its "!". Raises ValueError: the tables are ours."""
    if text in _SCALARS:
        return Scalar(text)
    if text == "words":
        return Words()
    if text.startswith("json "):
        return JSONText(parse_type(text.removeprefix("json ")))
    if text.startswith("?"):
        return Nullable(parse_type(text[1:]))
    if text.startswith("[") and text.endswith("]"):
        length, space, rest = text[1:-1].partition(" ")
        return Listed(parse_type(rest), int(length)) if space else Listed(parse_type(length))
    if text.startswith("{") and text.endswith("}"):
        return Mapped(parse_type(text[1:-1]))
    if text[:1].isupper():
        return Named(text)
    raise ValueError(f"{text!r} is no type")


def go_name(kind: Type) -> str:
    """The type as Go's messages call it."""
    match kind:
        case Words():
            return "[]string"
        case Listed(item, length):
            return f"[{length or ''}]{go_name(item)}"
        case Mapped(value):
            return f"map[string]{go_name(value)}"
        case Nullable(inner) | JSONText(inner):
            return go_name(inner)
        case Scalar(name) | Named(name):
            return name
