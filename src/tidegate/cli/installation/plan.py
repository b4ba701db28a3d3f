"""What an installation is made of, and what becomes of each file that is there already. Pure.

- A file that somebody else made, or changed, is never overwritten: the settings are kept, the rest is a conflict.
- A file that is as it was installed is replaced by what is wanted now, or goes when nothing is wanted any more.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.cli.completion.shells import SHELLS, script
from tidegate.cli.completion.tree import Node
from tidegate.cli.installation.units import UnitFacts, units
from tidegate.daemon.config import DEFAULT_HOSTS, DaemonConfig

SETTINGS_FILE = Path("/etc/tidegate/daemon.json")
GROUP = "docker"
DOCKER_SOCKET = Path("/run/docker.sock")
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_COMPLETIONS: Mapping[str, str] = {
    "bash": "share/bash-completion/completions/tidegate",
    "zsh": "share/zsh/site-functions/_tidegate",
    "fish": "share/fish/vendor_completions.d/tidegate.fish",
}


class Fate(StrEnum):
    """Of one path."""

    WRITTEN = "written"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    KEPT = "kept as you changed it"
    REMOVED = "removed"


class Record(msgspec.Struct, frozen=True):
    """What was installed: sha256 by path, directories made for them (outer first), and what was asked for."""

    version: str
    docker_group: bool = False
    files: Mapping[str, str] = {}
    directories: tuple[str, ...] = ()


class Wanted(msgspec.Struct, frozen=True):
    """Contents by path; ``settings`` of them are the administrator's once they are there."""

    files: Mapping[Path, bytes]
    settings: frozenset[Path] = frozenset({SETTINGS_FILE})


def digest(content: bytes) -> str:
    """As it is in a record."""
    return hashlib.sha256(content).hexdigest()


def first_settings(docker_group: bool) -> bytes:
    """The settings file of a host that has none."""
    settings: dict[str, object] = {"hosts": list(DEFAULT_HOSTS)}
    if docker_group:
        settings = {"group": GROUP, "hosts": [f"unix://{DOCKER_SOCKET}", *DEFAULT_HOSTS[1:]]}
    return json.dumps(settings, indent=2).encode() + b"\n"


def check_group_settings(config: DaemonConfig) -> None:
    """Of a file that is kept: it must say itself what ``--docker-group`` asks for. Raises InvalidParameterError."""
    if config.settings.get("group") != GROUP or DOCKER_SOCKET not in config.unix_sockets:
        raise InvalidParameterError(
            f'docker-group: {SETTINGS_FILE} is yours: say "group": "{GROUP}" there, and name '
            f'"unix://{DOCKER_SOCKET}" in its "hosts"'
        )


def unit_facts(
    program: tuple[str, ...], config: DaemonConfig, scoped_sockets: tuple[Path, ...], read: tuple[Path, ...] = ()
) -> UnitFacts:
    """``scoped_sockets`` are bound by the gate, whose file system is otherwise read-only; ``read`` is what the program
    needs beside itself."""
    roots = (config.data_root, config.exec_root)
    parents = dict.fromkeys(path.parent for path in scoped_sockets)
    return UnitFacts(
        program=program,
        config_file=SETTINGS_FILE,
        data_root=config.data_root,
        exec_root=config.exec_root,
        writable=tuple(path for path in parents if not any(path.is_relative_to(root) for root in roots)),
        needs_home=any(path.is_relative_to(home) for path in (Path(program[0]), *read) for home in _HOMES),
    )


def wanted_files(prefix: Path, facts: UnitFacts, settings: bytes, tree: Node, docker_group: bool) -> Wanted:
    """Everything."""
    files = {prefix / "lib/systemd/system" / name: text.encode() for name, text in units(facts).items()}
    files |= {prefix / _COMPLETIONS[shell]: script(shell, tree).encode() for shell in SHELLS}
    files[SETTINGS_FILE] = settings
    if docker_group:
        files[prefix / "lib/sysusers.d/tidegate.conf"] = f"# Made by `tidegate install`.\ng {GROUP} -\n".encode()
    return Wanted(files)


def decide_fates(wanted: Wanted, there: Mapping[Path, bytes], record: Record) -> dict[Path, Fate]:
    """``there`` are the contents of wanted and of recorded paths. Raises ConflictError naming the first foreign one."""
    fates = {path: _fate(path, content, there.get(path), record, wanted) for path, content in wanted.files.items()}
    for text, installed in record.files.items():
        path = Path(text)
        if path not in fates and path in there:
            fates[path] = Fate.REMOVED if digest(there[path]) == installed else Fate.KEPT
    return fates


def _fate(path: Path, content: bytes, there: bytes | None, record: Record, wanted: Wanted) -> Fate:
    if there is None:
        return Fate.WRITTEN
    if there == content:
        return Fate.UNCHANGED
    if record.files.get(str(path)) == digest(there):
        return Fate.REPLACED
    if path in wanted.settings:
        return Fate.KEPT
    raise ConflictError(f"{path} is not as tidegate installs it, and is not overwritten: move it away first")


def decide_removals(there: Mapping[Path, bytes], record: Record) -> dict[Path, Fate]:
    """What becomes of each installed file that is still there."""
    return {
        path: Fate.REMOVED if digest(there[path]) == installed else Fate.KEPT
        for path, installed in ((Path(text), installed) for text, installed in record.files.items())
        if path in there
    }


def next_record(version: str, docker_group: bool, fates: Mapping[Path, Fate], wanted: Wanted, before: Record) -> Record:
    """What is ours once the fates have come true: a file that was already there as we want it stays its maker's."""
    ours = {
        str(path): digest(wanted.files[path])
        for path, fate in fates.items()
        if fate in (Fate.WRITTEN, Fate.REPLACED) or (fate is Fate.UNCHANGED and str(path) in before.files)
    }
    kept = {
        str(path): before.files[str(path)]
        for path, fate in fates.items()
        if fate is Fate.KEPT and str(path) in before.files
    }
    return Record(version, docker_group, ours | kept, before.directories)
