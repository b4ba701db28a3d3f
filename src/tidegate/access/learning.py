"""The least policy that would have allowed what an audit says was done: one role for each client.

- A role has exactly the operations that were carried out, and a grant for each demand, as narrow as the demand was.
- Every command begins with a ping: pings are always there, and whoever did nothing else has no role.
- Scope is ``own`` when every container that was touched or looked at was made by the client in the same audit,
  ``see-all`` when only looking went further, else ``all``: an object nobody saw being made may be another's.
- What no role can be granted (a bind of the host's root) stands in a comment: that client is an administrator.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.access.demands import DemandKind
from tidegate.access.files.grant_patterns import pattern_error
from tidegate.access.reach import looked_at_kind, touched_kind
from tidegate.access.references import ObjectKind
from tidegate.access.refusals import SETTINGS
from tidegate.access.roles import Scope

_ROLE_LETTERS = re.compile(r"[^a-z0-9]+")


_PINGS = frozenset({"SystemPing", "SystemPingHead"})


@dataclass(slots=True)
class _Done:
    """What one client did."""

    operations: set[str] = field(default_factory=lambda: set(_PINGS))
    demands: dict[DemandKind, set[str]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    looked_at: set[str] = field(default_factory=set)


class Learner:
    """Takes what was done, in any order, and writes the access file."""

    def __init__(self) -> None:
        self._clients: dict[str, _Done] = {}

    def add(
        self, principal: str, operation_id: str, object_id: str, made: str, facts: Mapping[str, Sequence[str]]
    ) -> None:
        """``principal`` as it is shown (``CN=alice``); ``made`` is the id of what came to be, "" for nothing."""
        if operation_id in _PINGS:
            return
        done = self._clients.setdefault(principal, _Done())
        done.operations.add(operation_id)
        if made:
            done.made.add(made)
        if touched_kind(operation_id) is ObjectKind.CONTAINER:
            done.touched.add(object_id)
        elif looked_at_kind(operation_id) is ObjectKind.CONTAINER:
            done.looked_at.add(object_id)
        for name, values in facts.items():
            if name in set(DemandKind):
                done.demands.setdefault(DemandKind(name), set()).update(values)

    def access_file(self) -> Iterator[str]:
        """Lines of an ``access.toml``."""
        yield "# Learned from an audit: what was done, and nothing else. Read it before you use it."
        taken: set[str] = set()
        for principal, done in sorted(self._clients.items()):
            name = _role_name(principal, taken)
            taken.add(name)
            yield ""
            yield from _binding(principal, name)
            yield ""
            yield from _role(name, done)


def _role_name(principal: str, taken: set[str]) -> str:
    stem = _ROLE_LETTERS.sub("-", principal.partition("=")[2].lower()).strip("-") or "client"
    base = f"learned-{stem}"[:50]
    return next(name for name in (base, *(f"{base}-{number}" for number in range(2, 1 << 16))) if name not in taken)


def _binding(principal: str, role: str) -> Iterator[str]:
    kind, _, value = principal.partition("=")
    if kind == "CN" and value:
        yield f"# A client of our own CA has the role of its record: tidegate client role {_text(value)} {role}"
    if kind not in ("CN", "uid") or not value:
        yield f"# {_text(principal)} cannot be bound to a role."
        return
    yield "[[bindings]]"
    yield f"role = {_text(role)}"
    yield f"common_name = {_text(value)}" if kind == "CN" else f"uid = {int(value)}"


def _role(name: str, done: _Done) -> Iterator[str]:
    scope, why = _scope(done)
    yield f"[roles.{name}]"
    yield 'like = "viewer"'
    if why:
        yield f"# {why}"
    yield f"scope = {_text(scope.value)}"
    yield f"redact = {_text('nobody' if scope is Scope.ALL else 'foreign')}"
    yield from _list("operations", sorted(done.operations))
    for kind, setting in SETTINGS.items():
        patterns = sorted(done.demands.get(kind, ()))
        for pattern in patterns:
            flaw = pattern_error(kind, pattern)
            if flaw is not None:
                yield f"# {setting}: {_text(pattern)} cannot be granted: {flaw.message}; {flaw.mend}"
        yield from _list(setting, [pattern for pattern in patterns if pattern_error(kind, pattern) is None])


def _scope(done: _Done) -> tuple[Scope, str]:
    foreign = sorted(name for name in done.touched if not _is_made(name, done.made))
    if foreign:
        return Scope.ALL, f"Nothing shows that {_text(foreign[0])} is the client's own; if it is, see-all is enough."
    seen = sorted(name for name in done.looked_at if not _is_made(name, done.made))
    if seen:
        return Scope.SEE_ALL_TOUCH_OWN, f"It looked at {_text(seen[0])}, which it was not seen to make."
    return Scope.OWN, ""


def _is_made(name: str, made: set[str]) -> bool:
    return any(each == name or (len(name) >= 12 and each.startswith(name)) for each in made)


def _list(name: str, values: Sequence[str]) -> Iterator[str]:
    if not values:
        return
    yield f"{name} = ["
    yield from (f"    {_text(value)}," for value in values)
    yield "]"


def _text(value: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
