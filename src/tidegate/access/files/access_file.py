"""The access file, ``access.toml``: bindings, the default role, and roles of the administrator's own.

    default_role = "viewer"

    [[bindings]]
    role = "ci"
    common_name = "ci-*"

    [roles.frontend]
    like = "developer"
    registries = ["@like", "registry.acme.example"]
    quota = { containers = 10, memory = "4g" }

- A list replaces the one of the role it is like; ``@like`` in it stands for that one, ``-NAME`` takes an operation out.
- A built-in role is changed by describing it; ``admin`` cannot be. Nothing in a file makes a role unconfined.
- Every error is found, each with its line and its mend; a file with an error is not used.
"""

import tomllib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tidegate.access.files.problems import Lines, Problem, Problems
from tidegate.access.files.role_table import read_role
from tidegate.access.policy import Binding, Policy
from tidegate.access.roles import BUILT_IN_ROLES, Role

FILE_NAME = "access.toml"
_TOP = frozenset({"default_role", "bindings", "roles"})
_PATTERNS = ("common_name", "organization", "organizational_unit", "uri")
_NUMBERS = ("uid", "gid")


def read_access_file(text: str, problems: Problems) -> Policy:
    """The policy in ``text``; what is wrong with it goes to ``problems``, and then the policy is not to be used."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.add(_syntax_problem(text, str(error)))
        return Policy(BUILT_IN_ROLES)
    lines = Lines(FILE_NAME, text)
    for key in document.keys() - _TOP:
        problems.add(lines.problem((key,), f"unknown key {key!r}", f"keys are {', '.join(sorted(_TOP))}"))
    roles = _read_roles(document.get("roles", {}), lines, problems)
    default = document.get("default_role", "")
    _check_role(default, ("default_role",), roles, lines, problems)
    bindings = tuple(_read_bindings(document.get("bindings", []), roles, lines, problems))
    return Policy(roles, bindings, default if isinstance(default, str) else "")


def _syntax_problem(text: str, message: str) -> Problem:
    """``tomllib`` ends its messages with "(at line 3, column 7)" or "(at end of document)"."""
    words, _, place = message.rpartition(" (at ")
    if place.startswith("line "):
        line = int(place.removeprefix("line ").partition(",")[0])
    else:
        line = max(len(text.splitlines()), 1)
    return Problem(FILE_NAME, line, words or message, "see https://toml.io for the notation")


def _read_roles(tables: object, lines: Lines, problems: Problems) -> Mapping[str, Role]:
    if not isinstance(tables, dict):
        problems.add(lines.problem(("roles",), "roles is not a table", "write [roles.NAME]"))
        return BUILT_IN_ROLES
    roles = dict(BUILT_IN_ROLES)
    waiting = dict(tables)
    while waiting:
        ready = [name for name, table in waiting.items() if _base(name, table) not in waiting.keys() - {name}]
        if not ready:
            for name in waiting:
                mend = "let one of them be like a built-in role"
                problems.add(lines.problem(("roles", name, "like"), f"role {name} is like itself, in a circle", mend))
            break
        for name in ready:
            role = read_role(name, waiting.pop(name), roles, lines, problems)
            if role is not None:
                roles[name] = role
    return MappingProxyType(roles)


def _base(name: str, table: object) -> object:
    return table.get("like", name) if isinstance(table, dict) else name


def _read_bindings(tables: object, roles: Mapping[str, Role], lines: Lines, problems: Problems) -> Iterator[Binding]:
    if not isinstance(tables, list):
        problems.add(lines.problem(("bindings",), "bindings is not a list of tables", "write [[bindings]]"))
        return
    for number, table in enumerate(tables):
        place = ("bindings", str(number))
        if not isinstance(table, dict):
            problems.add(lines.problem(place, "a binding is not a table", "write [[bindings]]"))
            continue
        _check_role(table.get("role", ""), (*place, "role"), roles, lines, problems)
        if not table.get("role"):
            problems.add(lines.problem(place, "a binding without a role", 'add role = "NAME"'))
        yield _read_binding(table, place, lines, problems)


def _read_binding(table: Mapping[str, object], place: tuple[str, ...], lines: Lines, problems: Problems) -> Binding:
    known = {"role", *_PATTERNS, *_NUMBERS}
    for key in table.keys() - known:
        mend = f"keys are {', '.join(sorted(known))}"
        problems.add(lines.problem((*place, key), f"unknown key {key!r} of a binding", mend))
    texts = {}
    for key in ("role", *_PATTERNS):
        value = table.get(key, "")
        if not isinstance(value, str) or (key in table and not value):
            problems.add(lines.problem((*place, key), f"{key} is not a text", f'write {key} = "..."'))
            value = ""
        texts[key] = value
    numbers = {}
    for key in _NUMBERS:
        value = table.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            problems.add(lines.problem((*place, key), f"{key} is not a number from 0 on", f"write {key} = 1000"))
            value = None
        numbers[key] = value
    _check_sides(texts, numbers, place, lines, problems)
    return Binding(
        texts["role"],
        texts["common_name"],
        texts["organization"],
        texts["organizational_unit"],
        texts["uri"],
        **numbers,
    )


def _check_sides(
    texts: Mapping[str, str],
    numbers: Mapping[str, int | None],
    place: tuple[str, ...],
    lines: Lines,
    problems: Problems,
) -> None:
    subject = any(texts[key] for key in _PATTERNS)
    unix = any(value is not None for value in numbers.values())
    if subject and unix:
        mend = "make two bindings of it"
        problems.add(lines.problem(place, "a binding for a certificate and for a unix peer fits nobody", mend))
    if not subject and not unix:
        mend = f"say one of {', '.join((*_PATTERNS, *_NUMBERS))}; default_role is for everybody else"
        problems.add(lines.problem(place, "a binding that says nothing fits nobody", mend))


def _check_role(
    name: object, place: tuple[str, ...], roles: Mapping[str, Role], lines: Lines, problems: Problems
) -> None:
    if not isinstance(name, str):
        problems.add(lines.problem(place, "a role is named by a text", f'write {place[-1]} = "viewer"'))
    elif name and name not in roles:
        problems.add(lines.problem(place, f"there is no role {name!r}", f"roles are {', '.join(sorted(roles))}"))
