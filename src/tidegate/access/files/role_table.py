"""One ``[roles.NAME]`` table of the access file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from tidegate.access.demands import DemandKind
from tidegate.access.files.grant_patterns import pattern_error, pattern_warning
from tidegate.access.files.problems import Lines, Problems, closest
from tidegate.access.files.role_limits import read_quota, read_rate
from tidegate.access.reach import VIEW, touched_kind
from tidegate.access.refusals import SETTINGS
from tidegate.access.roles import BUILT_IN_ROLES, Role, Scope
from tidegate.access.verdict import Redaction
from tidegate.spec.catalogue import GATE_OPERATIONS, GRPC

T = TypeVar("T")

LIKE = "@like"
_REDACTIONS = {
    "nobody": Redaction.NOBODYS,
    "foreign": Redaction.FOREIGN,
    "everybody": Redaction.EVERYBODYS,
}
_SCOPES = {scope.value: scope for scope in Scope}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_EVERY_OPERATION = frozenset(operation.operation_id for operation in GATE_OPERATIONS)
_GROUPS_OF_ADMINISTRATORS = frozenset({"Plugin", "Swarm"})
_DANGEROUS_OPERATIONS = frozenset(
    operation.operation_id
    for operation in GATE_OPERATIONS
    if operation is GRPC or (operation.group in _GROUPS_OF_ADMINISTRATORS and operation.operation_id not in VIEW)
)
_KEYS = frozenset({"like", "operations", "scope", "redact", "quota", "rate", *SETTINGS.values()})


def read_role(name: str, table: object, roles: Mapping[str, Role], lines: Lines, problems: Problems) -> Role | None:
    """The role, or None when what it is like is not known; every problem is told."""
    return _Reader(name, lines, problems).read(table, roles)


class _Reader:
    def __init__(self, name: str, lines: Lines, problems: Problems) -> None:
        self._name = name
        self._lines = lines
        self._problems = problems

    def _tell(self, keys: Sequence[str], message: str, mend: str, *, warning: bool = False) -> None:
        self._problems.add(self._lines.problem(("roles", self._name, *keys), message, mend, warning=warning))

    def read(self, table: object, roles: Mapping[str, Role]) -> Role | None:
        if not isinstance(table, dict):
            self._tell((), f"role {self._name} is not a table", f"write [roles.{self._name}]")
            return None
        if not _NAME.fullmatch(self._name):
            self._tell((), f"{self._name!r} is no name for a role", "use small letters, digits, - and _")
        for key in sorted(table.keys() - _KEYS):
            self._tell((key,), f"unknown key {key!r} of a role", f"keys are {', '.join(sorted(_KEYS))}")
        base = self._base(table, roles)
        if base is None:
            return None
        role = Role(
            self._name,
            self._operations(table, base),
            scope=self._choice(table, "scope", _SCOPES, base.scope),
            redact=self._choice(table, "redact", _REDACTIONS, base.redact),
            grants=MappingProxyType(dict(self._grants(table, base))),
            quota=read_quota(table.get("quota"), base.quota, self._tell),
            rate=read_rate(table.get("rate"), base.rate, self._tell),
        )
        self._warn(role)
        return role

    def _base(self, table: Mapping[str, object], roles: Mapping[str, Role]) -> Role | None:
        like = table.get("like", self._name if self._name in BUILT_IN_ROLES else None)
        mend = f"say like = one of {', '.join(sorted(set(roles) - {'admin'}))}"
        if like is None:
            self._tell((), f"role {self._name} does not say what it is like", mend)
        elif like == "admin" or self._name == "admin":
            self._tell(("like",), "admin cannot be changed, and nothing can be like it", mend)
        elif not isinstance(like, str) or like not in roles:
            self._tell(("like",), f"there is no role {like!r} to be like", mend)
        else:
            return roles[like]
        return None

    def _choice(self, table: Mapping[str, object], key: str, choices: Mapping[str, T], base: T) -> T:
        value = table.get(key)
        if value is None:
            return base
        if not isinstance(value, str) or value not in choices:
            self._tell((key,), f"{key} {value!r} is not known", f"choose one of {', '.join(choices)}")
            return base
        return choices[value]

    def _texts(self, table: Mapping[str, object], key: str) -> Sequence[str]:
        value = table[key]
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self._tell((key,), f"{key} is not a list of texts", f'write {key} = ["..."]')
            return []
        return value

    def _operations(self, table: Mapping[str, object], base: Role) -> frozenset[str]:
        if "operations" not in table:
            return base.operations
        chosen: set[str] = set()
        for text in self._texts(table, "operations"):
            name = text.removeprefix("-")
            if text == LIKE:
                chosen |= base.operations
            elif name not in _EVERY_OPERATION:
                mend = f"did you mean {closest(name, _EVERY_OPERATION)}? docs/api-coverage.md has them all"
                self._tell(("operations",), f"{name!r} is no operation", mend)
            elif text.startswith("-"):
                chosen.discard(name)
            else:
                chosen.add(name)
        return frozenset(chosen)

    def _grants(self, table: Mapping[str, object], base: Role) -> Iterator[tuple[DemandKind, tuple[str, ...]]]:
        for kind, key in SETTINGS.items():
            inherited = base.grants.get(kind, ())
            if key not in table:
                yield kind, inherited
                continue
            patterns: list[str] = []
            for text in self._texts(table, key):
                patterns.extend(inherited if text == LIKE else [text])
                if text != LIKE:
                    self._check_pattern(kind, key, text)
            yield kind, tuple(dict.fromkeys(patterns))

    def _check_pattern(self, kind: DemandKind, key: str, text: str) -> None:
        error = pattern_error(kind, text)
        if error:
            self._tell((key,), f"{text!r}: {error.message}", error.mend)
            return
        warning = pattern_warning(kind, text)
        if warning:
            self._tell((key,), f"{text!r}: {warning.message}", warning.mend, warning=True)

    def _warn(self, role: Role) -> None:
        base = BUILT_IN_ROLES["operator"].operations
        touching = sorted(name for name in role.operations - base if touched_kind(name))
        if role.scope is Scope.ALL and touching:
            message = f"scope all lets a client use {touching[0]} on everybody's containers, privileged ones too"
            self._tell(("scope",), message, 'write scope = "see-all" or "own"', warning=True)
        for name in sorted(role.operations & _DANGEROUS_OPERATIONS):
            message = f"{name} reaches the host or the cluster, and no document of it confines that"
            self._tell(("operations",), message, "leave it to role admin", warning=True)
