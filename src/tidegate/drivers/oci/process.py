"""The OCI ``process`` object of a container's init or of an exec, and the user it runs as; pure.

Users are resolved in the image's passwd and group files, whose text is part of the request, as moby/sys/user does and
with its error texts. Effective and permitted capabilities are given to root only, as execve(2) would leave them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.kernel.capabilities import ALL_CAPABILITIES, effective_capabilities

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_ID = (1 << 31) - 1


class ResolvedUser(msgspec.Struct, frozen=True):
    uid: int
    gid: int
    additional_gids: tuple[int, ...]
    home: str


class ProcessRequest(msgspec.Struct, frozen=True):
    """What is run, as whom. ``available_capabilities`` is what the host can give to a privileged container."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    linked_env: tuple[str, ...] = ()  # what the client sets wins over it
    cwd: str = ""
    user: str = ""
    group_add: tuple[str, ...] = ()
    passwd: str = ""
    group: str = ""
    hostname: str = ""
    tty: bool = False
    console_size: tuple[int, int] | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    available_capabilities: frozenset[str] = frozenset(ALL_CAPABILITIES)
    no_new_privileges: bool = False
    ulimits: tuple[tuple[str, int, int], ...] = ()  # (name, soft, hard)
    oom_score_adj: int | None = None
    apparmor_profile: str = ""


# ----------------------------------------------------------------------------- users


def resolve_user(user: str, passwd: str, group: str, group_add: Sequence[str] = ()) -> ResolvedUser:
    """``user`` is ``[name|uid][:name|gid]``, empty for root. Raises InvalidParameterError in Docker's wording."""
    user_part, _, group_part = user.partition(":")
    wanted_uid = _number(user_part) if user_part else 0
    entry = _find(_entries(passwd, 7), user_part, wanted_uid)
    uid, gid, home, name = wanted_uid, 0, "/", ""
    if entry:
        name, uid, gid, home = entry[0], _number(entry[2]), _number(entry[3]) or 0, entry[5] or "/"
    if uid is None:
        raise InvalidParameterError(f"unable to find user {user_part}: no matching entries in passwd file")
    groups = _entries(group, 4)
    if group_part:
        gid, additional = _group_id(group_part, groups), []
    else:
        additional = [_number(row[2]) or 0 for row in groups if name and name in row[3].split(",")]
    additional += [_group_id(typed, groups) for typed in group_add]
    _check_range(uid, gid, *additional)
    return ResolvedUser(uid, gid, tuple(dict.fromkeys([gid, *additional])), home)


def _entries(text: str, fields: int) -> list[list[str]]:
    rows = [line.strip().split(":") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [row + [""] * (fields - len(row)) for row in rows]


def _find(rows: Iterable[list[str]], typed: str, number: int | None) -> list[str] | None:
    for row in rows:
        if _number(row[2]) is not None and (row[0] == typed if number is None else _number(row[2]) == number):
            return row
    return None


def _group_id(typed: str, groups: list[list[str]]) -> int:
    number = _number(typed)
    row = _find(groups, typed, number)
    found = _number(row[2]) if row else number
    if found is None:
        raise InvalidParameterError(f"unable to find group {typed}: no matching entries in group file")
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() else None


def _check_range(*ids: int) -> None:
    if any(not 0 <= number <= MAX_ID for number in ids):
        raise InvalidParameterError(f"uids and gids must be in range 0-{MAX_ID}")


# ----------------------------------------------------------------------------- process


def plan_process(request: ProcessRequest) -> dict[str, Any]:
    """The OCI ``process`` object. Raises InvalidParameterError: user, capability or working directory."""
    user = resolve_user(request.user, request.passwd, request.group, request.group_add)
    if request.cwd and not request.cwd.startswith("/"):
        raise InvalidParameterError(
            f"the working directory '{request.cwd}' is invalid, it needs to be an absolute path"
        )
    capabilities = list(
        effective_capabilities(
            request.cap_add,
            request.cap_drop,
            privileged=request.privileged,
            available=request.available_capabilities,
        )
    )
    held = capabilities if user.uid == 0 else []
    process: dict[str, Any] = {
        "terminal": request.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.additional_gids)},
        "args": list(request.args),
        "env": _environment(request, user.home),
        "cwd": request.cwd or "/",
        "capabilities": {
            "bounding": capabilities,
            "effective": held,
            "permitted": held,
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": [
            {"type": f"RLIMIT_{name.upper()}", "soft": _rlimit(soft), "hard": _rlimit(hard)}
            for name, soft, hard in request.ulimits
        ],
        "noNewPrivileges": request.no_new_privileges,
    }
    if request.apparmor_profile:
        process["apparmorProfile"] = request.apparmor_profile
    if request.oom_score_adj is not None:
        process["oomScoreAdj"] = request.oom_score_adj
    if request.console_size and request.tty:
        process["consoleSize"] = {"height": request.console_size[0], "width": request.console_size[1]}
    return process


def _rlimit(value: int) -> int:
    return value if value >= 0 else (1 << 64) - 1


def _environment(request: ProcessRequest, home: str) -> list[str]:
    """Docker's own variables first; what the user set wins; a bare name (``FOO``) removes the variable."""
    own = [DEFAULT_PATH]
    own += [f"HOSTNAME={request.hostname}"] if request.hostname else []
    own += ["TERM=xterm"] if request.tty else []
    merged: dict[str, str] = {}
    for entry in (*own, *request.linked_env, *request.env):
        name, equals, _ = entry.partition("=")
        if equals:
            merged[name] = entry
        else:
            merged.pop(name, None)
    merged.setdefault("HOME", f"HOME={home}")
    return list(merged.values())
