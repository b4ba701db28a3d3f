"""What a change of the API is, and the few ways in which documents have changed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tidegate.spec.api_version import ApiVersion

View = Mapping[str, Any]
Rewrite = Callable[[View], View]


class AnswerChange(msgspec.Struct, frozen=True):
    """``kind`` is the specification's name of what is shown; ``older`` makes what versions below ``since`` show."""

    since: ApiVersion
    kind: str
    summary: str
    older: Rewrite


def without(*names: str, at: str = "") -> Rewrite:
    """Fields that came later, of the view or of the object in its field ``at``."""

    def older(view: View) -> View:
        return {name: value for name, value in view.items() if name not in names}

    return _at(at, older)


def including(fields: View, at: str = "") -> Rewrite:
    """Fields that were dropped, or are left out when empty, where the view does not have them."""

    def older(view: View) -> View:
        return {**fields, **view}

    return _at(at, older)


def each(at: str, rewrite: Rewrite) -> Rewrite:
    """Every object of the list, or of the map, in the field ``at``."""

    def older(view: View) -> View:
        inner = view.get(at)
        if isinstance(inner, Mapping):
            return {**view, at: {name: rewrite(value) for name, value in inner.items()}}
        return {**view, at: [rewrite(value) for value in inner]} if inner is not None else view

    return older


def within(at: str, rewrite: Rewrite) -> Rewrite:
    """The object in the field ``at``, where there is one."""

    def older(view: View) -> View:
        inner = view.get(at)
        return {**view, at: rewrite(inner)} if isinstance(inner, Mapping) else view

    return older


def _at(field: str, rewrite: Rewrite) -> Rewrite:
    return within(field, rewrite) if field else rewrite
