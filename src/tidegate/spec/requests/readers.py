"""Readers of JSON by the types of the tables: what results is what the engine will understand, spelled one way.

- Keys of documents match by Go's folding and come out as the tables spell them, in the tables' order.
- A key given twice, however spelled, is refused: two readers could disagree on which one counts.
- A field that is null is absent, as in Go; in lists and maps null is the zero value, but for ``?T``.
- Unknown fields stay in the tree, behind the known ones, and are listed; null ones are dropped like known ones.
- Numbers keep to the range of their type.
- A field is present when its value is not zero, or when its zero counts ("!" in the tables); a field that is a document
  only when it is not harmless as a whole: its own fields say the rest. Paths are written ``HostConfig.Mounts[].Type``,
  with ``{}`` for the values of a map.

No type of the tables holds itself, so that each operation has one reader for each of its paths, made once.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple, Protocol

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import Pairs, clean, fold, parse
from tidegate.spec.requests import tables
from tidegate.spec.requests.classification import class_of_field
from tidegate.spec.requests.reading import Reading, Tree, join, read_anything, read_real, refuse, refuse_twice
from tidegate.spec.requests.risks import Class, Risk
from tidegate.spec.requests.types import INTEGERS, Listed, Mapped, Named, Nullable, Scalar, Type, Words, go_name


class Reader(Protocol):
    """Reads one value of one path. Raises InvalidParameterError."""

    def read(self, value: object, reading: Reading) -> Tree: ...


def read(kind: Type, data: bytes) -> tuple[Tree, Reading]:
    """``data`` as a ``kind``. Raises InvalidParameterError."""
    try:
        value = parse(data)
    except RecursionError as error:
        raise InvalidParameterError("invalid JSON: exceeded max depth") from error
    reading = Reading()
    return _root(kind).read(value, reading), reading


@cache
def _root(kind: Type) -> Reader:
    return _reader(kind, "")


def _reader(kind: Type, path: str) -> Reader:
    match kind:
        case Scalar("string"):
            return _Text(path)
        case Scalar("bool"):
            return _Boolean(path)
        case Scalar("float64"):
            return _Real(path)
        case Scalar(name):
            return _Integer(path, name)
        case Words():
            return _Words(_List(_Text(f"{path}[]"), path, go_name(kind)))
        case Listed(item, length):
            listed = _List(_reader(item, f"{path}[]"), path, go_name(kind))
            return listed if length is None else _Array(listed, length)
        case Mapped(value):
            return _Map(_reader(value, f"{path}{{}}"), path, go_name(kind))
        case Nullable(inner):
            return _Nullable(_reader(inner, path))
        case Named(name):
            return _Document(tables.document(name), path)
    raise TypeError(f"{kind!r} is not in a document")


class _Text:
    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, value: object, _reading: Reading) -> Tree:
        if type(value) is str:
            return value if value.isascii() else clean(value)
        return "" if value is None else refuse(value, self._path, "string")


class _Boolean:
    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, value: object, _reading: Reading) -> Tree:
        if type(value) is bool:
            return value
        return False if value is None else refuse(value, self._path, "bool")


class _Integer:
    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._range = INTEGERS[name]

    def read(self, value: object, _reading: Reading) -> Tree:
        if type(value) is int and value in self._range:
            return value
        return 0 if value is None else refuse(value, self._path, self._name)


class _Real:
    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, value: object, _reading: Reading) -> Tree:
        return 0.0 if value is None else read_real(value, self._path)


class _List:
    def __init__(self, item: Reader, path: str, name: str) -> None:
        self._item = item
        self._path = path
        self._name = name

    def read(self, value: object, reading: Reading) -> list[Tree]:
        if type(value) is list:
            return [self._item.read(each, reading) for each in value]
        return [] if value is None else refuse(value, self._path, self._name)


class _Words:
    def __init__(self, words: _List) -> None:
        self._words = words

    def read(self, value: object, reading: Reading) -> Tree:
        return self._words.read([value] if type(value) is str else value, reading)


class _Array:
    """Missing elements are zero, further ones are skipped, whatever they are, as in Go."""

    def __init__(self, elements: _List, length: int) -> None:
        self._elements = elements
        self._length = length

    def read(self, value: object, reading: Reading) -> Tree:
        items = [] if value is None else value
        if type(items) is list:
            items = (items + [None] * self._length)[: self._length]
        return self._elements.read(items, reading)


class _Map:
    def __init__(self, item: Reader, path: str, name: str) -> None:
        self._item = item
        self._path = path
        self._name = name

    def read(self, value: object, reading: Reading) -> Tree:
        if value is None:
            return {}
        if not isinstance(value, Pairs):
            refuse(value, self._path, self._name)
        result: dict[str, Tree] = {}
        for raw_key, item in value:
            key = clean(raw_key)
            if key in result:
                refuse_twice(self._path, key)
            result[key] = self._item.read(item, reading)
        return result


class _Nullable:
    def __init__(self, inner: Reader) -> None:
        self._inner = inner

    def read(self, value: object, reading: Reading) -> Tree:
        return None if value is None else self._inner.read(value, reading)


class _Field(NamedTuple):
    """``place`` orders the fields; ``always``: present by its mere being there; ``never``: present by no value."""

    place: int
    name: str
    path: str
    one: Class
    reader: Reader
    always: bool
    never: bool


class _Document:
    def __init__(self, document: tables.Document, path: str) -> None:
        self._path = path
        self._name = document.name
        self._fields: Mapping[str, _Field] = {
            folded: _field(place, field, join(path, field.name))
            for place, (folded, field) in enumerate(document.fields.items())
        }
        self._by_name = {field.name: (folded, field) for folded, field in self._fields.items()}

    def read(self, value: object, reading: Reading) -> Tree:
        if value is None:
            return {}
        if not isinstance(value, Pairs):
            refuse(value, self._path, self._name)
        known: list[tuple[int, str, Tree]] = []
        others: dict[str, Tree] = {}
        seen: set[str] = set()
        for raw_key, item in value:
            folded, field = self._by_name.get(raw_key) or self._fold(raw_key)
            if folded in seen:
                refuse_twice(self._path, clean(raw_key))
            seen.add(folded)
            if item is None:
                continue
            if field is None:
                key = clean(raw_key)
                reading.unknown.append(join(self._path, key))
                others[key] = read_anything(item, join(self._path, key))
            else:
                known.append((field.place, field.name, _read_field(field, item, reading)))
        known.sort(key=_place)
        return {name: each for _, name, each in known} | others

    def _fold(self, raw_key: str) -> tuple[str, _Field | None]:
        folded = fold(clean(raw_key))
        return folded, self._fields.get(folded)


def _field(place: int, field: tables.Field, path: str) -> _Field:
    one = class_of_field(field)
    is_document = isinstance(field.type, Named)
    return _Field(
        place,
        field.name,
        path,
        one,
        _reader(field.type, path),
        # Even {}: what moby keeps as a pointer is set by it.
        always=field.zero_counts or (is_document and one.risk is not Risk.HARMLESS),
        never=is_document and one.risk is Risk.HARMLESS,
    )


def _read_field(field: _Field, item: object, reading: Reading) -> Tree:
    value = field.reader.read(item, reading)
    if field.always or (value and not field.never):
        reading.present[field.path] = field.one
    return value


def _place(known: tuple[int, str, Tree]) -> int:
    return known[0]
