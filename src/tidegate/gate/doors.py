"""The doors of the gate: where a client comes in, and the role that some of them give.

A scoped socket is a unix socket with one role for whoever may open it: what a reverse proxy, an updater or a CI job
gets in place of the engine's own socket.
"""

import grp
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError

_DEFAULT_MODE = 0o660


class Door(msgspec.Struct, frozen=True):
    """``role`` is None where the client's own identity decides; ``secured``: it speaks TLS."""

    name: str
    role: str | None = None
    secured: bool = False


class ScopedSocket(msgspec.Struct, frozen=True):
    """A unix socket of its own; ``group_id`` None leaves it to root's group."""

    path: Path
    role: str
    mode: int = _DEFAULT_MODE
    group_id: int | None = None

    @property
    def door(self) -> Door:
        return Door(str(self.path), self.role)


def parse_scoped_socket(text: str) -> ScopedSocket:
    """``PATH,role=ROLE[,mode=0660][,group=NAME]``. Raises InvalidParameterError naming the part."""
    path, *parts = text.split(",")
    if not path.startswith("/"):
        raise InvalidParameterError(f"gate-socket: {text!r} must begin with an absolute path")
    given: dict[str, str] = {}
    for part in parts:
        key, separator, value = part.partition("=")
        if key not in ("role", "mode", "group") or not separator or not value:
            raise InvalidParameterError(f"gate-socket: {part!r} is none of role=ROLE, mode=0660, group=NAME")
        if key in given:
            raise InvalidParameterError(f"gate-socket: {key} is given twice in {text!r}")
        given[key] = value
    if "role" not in given:
        raise InvalidParameterError(f"gate-socket: {text!r} names no role: add ,role=viewer or another")
    return ScopedSocket(Path(path), given["role"], _mode(given.get("mode")), _group(given.get("group")))


def _mode(text: str | None) -> int:
    if text is None:
        return _DEFAULT_MODE
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise InvalidParameterError(f"gate-socket: mode {text!r} is no octal mode such as 0660")
    return mode


def _group(name: str | None) -> int | None:
    if name is None or name.isdecimal():
        return None if name is None else int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise InvalidParameterError(f"gate-socket: no group {name!r} on this host") from error
