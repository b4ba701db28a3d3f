"""The ``filters`` parameter of lists, prunes and events.

Two shapes: ``{"label": {"a=b": true}}`` from Go clients, ``{"label": ["a=b"]}`` from docker-py. Absent, empty, ``null``
and ``{}`` are no filters. In the first shape a value that is false is not asked for. Keys are exact.

Messages: moby ``api/types/filters`` and ``internal/filters``.
"""

from collections.abc import Collection, Mapping, Sequence

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import Pairs, parse

Filters = Mapping[str, Sequence[str]]
"""Values by filter name, without repetitions."""

_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false"})


def parse_filters(text: str, accepted: Collection[str]) -> Filters:
    """The filters in a decoded query value; values of one name are alternatives or demands, as the operation says.

    Raises InvalidParameterError: text that is neither shape, or "invalid filter 'x'" for a name not ``accepted``.
    """
    if not text.strip():
        return {}
    try:
        tree = parse(text.encode("utf-8", "replace"))
    except (InvalidParameterError, RecursionError) as error:
        raise InvalidParameterError(f"invalid filters: {error}") from error
    found: dict[str, Sequence[str]] = {}
    for name, values in _pairs(tree, text):
        if name not in accepted:
            raise InvalidParameterError(f"invalid filter '{name}'")
        found[name] = tuple(dict.fromkeys(_values(name, values)))
    return found


def parse_boolean_filter(filters: Filters, name: str, default: bool) -> bool:
    """A filter that says true or false. Raises InvalidParameterError ("invalid filter 'dangling=[x]'")."""
    values = frozenset(filters.get(name, ()))
    if not values:
        return default
    if len(values) == 1 and values <= _TRUE | _FALSE:
        return values <= _TRUE
    raise InvalidParameterError(f"invalid filter '{name}=[{' '.join(sorted(values))}]'")


def labels_match(demands: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Whether every demand, ``key`` or ``key=value``, is met."""
    for demand in demands:
        key, equals, value = demand.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _pairs(tree: object, text: str) -> Sequence[tuple[str, object]]:
    if tree is None:
        return ()
    if not isinstance(tree, Pairs):
        raise InvalidParameterError(f"invalid filters: not an object: {text[:100]}")
    return tree


def _values(name: str, values: object) -> Sequence[str]:
    if values is None:
        return ()
    if isinstance(values, Pairs):
        if all(isinstance(wanted, bool) for _, wanted in values):
            return [value for value, wanted in values if wanted]
    elif isinstance(values, list) and all(isinstance(value, str) for value in values):
        return values
    raise InvalidParameterError(f"invalid filters: values of '{name}' are neither a list of strings nor a set")
