"""``userns-remap``: whose subordinate ids containers get, from /etc/subuid and /etc/subgid (subuid(5)).

``default`` is ``dockremap``, as in Docker; where it has no range one is written down, after the highest that is there.
No account is made: nobody logs in as it, and what is on disk does not belong to it.
"""

import grp
import pwd
from collections.abc import Sequence
from pathlib import Path

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.isolation.user_namespaces import IdMapping, IdRange

DEFAULT_USER = "dockremap"
_FIRST_ID, _RANGE_SIZE = 100_000, 65_536


def resolve_id_mapping(asked: str, etc: Path = Path("/etc")) -> IdMapping | None:
    """``default``, ``user``, ``user:group``, ``uid`` or ``uid:gid``; None for "". Raises InvalidParameterError."""
    if not asked:
        return None
    user, colon, group = asked.partition(":")
    if asked == "default":
        user = group = DEFAULT_USER
        for name in ("subuid", "subgid"):
            _write_default(etc / name)
    uids = _ranges(etc / "subuid", _spellings_of_user(user, is_default=asked == "default"))
    gids = _ranges(etc / "subgid", _spellings_of_group(group) if colon else _spellings_of_user(user, is_default=True))
    for ranges, what, who in ((uids, "subuid", user), (gids, "subgid", group if colon else user)):
        if not ranges:
            raise InvalidParameterError(f"userns-remap: no {what} ranges found for {who!r}: add them to /etc/{what}")
    return IdMapping(uids, gids)


def parse_subordinate(text: str, names: Sequence[str]) -> tuple[IdRange, ...]:
    """The ranges of any of the names, one after the other from 0 on; lines that are malformed are passed over."""
    found: list[IdRange] = []
    for line in text.splitlines():
        name, _, numbers = line.strip().partition(":")
        first, _, size = numbers.partition(":")
        if name in names and first.isdecimal() and size.isdecimal() and int(size):
            inside = found[-1].inside + found[-1].size if found else 0
            found.append(IdRange(inside, int(first), int(size)))
    return tuple(found)


def _ranges(path: Path, names: Sequence[str]) -> tuple[IdRange, ...]:
    return parse_subordinate(path.read_text(), names) if path.exists() else ()


def _write_default(path: Path) -> None:
    text = path.read_text() if path.exists() else ""
    if parse_subordinate(text, [DEFAULT_USER]):
        return
    everyone = {line.partition(":")[0] for line in text.splitlines()}
    taken = [each.outside + each.size for name in everyone for each in parse_subordinate(text, [name])]
    first = max([_FIRST_ID, *taken])
    line = f"{DEFAULT_USER}:{first}:{_RANGE_SIZE}\n"
    with path.open("a") as file:
        file.write(line if not text or text.endswith("\n") else f"\n{line}")


def _spellings_of_user(user: str, *, is_default: bool) -> Sequence[str]:
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError as error:
        if is_default:
            return [user]
        raise InvalidParameterError(f"userns-remap: there is no user {user!r}") from error
    return [entry.pw_name, str(entry.pw_uid)]


def _spellings_of_group(group: str) -> Sequence[str]:
    try:
        entry = grp.getgrgid(int(group)) if group.isdecimal() else grp.getgrnam(group)
    except KeyError as error:
        raise InvalidParameterError(f"userns-remap: there is no group {group!r}") from error
    return [entry.gr_name, str(entry.gr_gid)]
