"""Reading values out of a canonical tree.

The types were checked when the document was read. Should one be wrong nevertheless, it is an error and not a zero: a
rule that sees nothing would let everything pass. Errors are InvalidParameterError.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tidegate.base.errors import InvalidParameterError

Tree = Mapping[str, object]

_EMPTY: Tree = MappingProxyType({})


def text(tree: Tree, name: str) -> str:
    """A string, "" when it is absent."""
    value = tree.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name, "a string")
    return value


def flag(tree: Tree, name: str) -> bool:
    """A boolean, false when it is absent."""
    value = tree.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(name, "a boolean")
    return value


def number(tree: Tree, name: str) -> int:
    """An integer, 0 when it is absent."""
    value = tree.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "an integer")
    return value


def mapping(tree: Tree, name: str) -> Tree:
    """A document or a map, empty when it is absent."""
    value = tree.get(name)
    return _EMPTY if value is None else as_mapping(value, name)


def as_mapping(value: object, name: str) -> Tree:
    """``value`` as a document; null in a map is an empty one."""
    if value is None:
        return _EMPTY
    if not isinstance(value, Mapping):
        raise _wrong(name, "an object")
    return value


def items(tree: Tree, name: str) -> Sequence[object]:
    """A list, empty when it is absent."""
    value = tree.get(name)
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise _wrong(name, "a list")
    return value


def texts(tree: Tree, name: str) -> Sequence[str]:
    """A list of strings; a bare string is a list of one."""
    value = tree.get(name)
    if isinstance(value, str):
        return (value,)
    return [as_text(item, name) for item in items(tree, name)]


def as_text(value: object, name: str) -> str:
    """``value`` as a string."""
    if not isinstance(value, str):
        raise _wrong(name, "a list of strings")
    return value


def documents(tree: Tree, name: str) -> Sequence[Tree]:
    """A list of documents."""
    return [as_mapping(item, name) for item in items(tree, name)]


def _wrong(name: str, wanted: str) -> InvalidParameterError:
    return InvalidParameterError(f"field {name} is not {wanted}")
