"""``tidegate install``: engine and gate as services of systemd, a settings file, shell completion.

May be run again at any time: after an upgrade of the program it restarts the services, and containers live on.
"""

import argparse
import os
import socket
import sys
from pathlib import Path

import msgspec

import tidegate
from tidegate import __version__
from tidegate.base.errors import InvalidParameterError
from tidegate.cli.completion.tree import command_tree
from tidegate.cli.installation import services
from tidegate.cli.installation.plan import (
    DOCKER_SOCKET,
    SETTINGS_FILE,
    Fate,
    Record,
    Wanted,
    check_group_settings,
    decide_fates,
    first_settings,
    next_record,
    unit_facts,
    wanted_files,
)
from tidegate.cli.installation.record import Installed
from tidegate.cli.installation.units import TARGET
from tidegate.daemon.config import DaemonConfig, decide_config, parse_file
from tidegate.gate.doors import parse_scoped_socket

DEFAULT_PREFIX = "/usr/local"


class Decided(msgspec.Struct, frozen=True):
    """What is to be done: nothing has been yet."""

    wanted: Wanted
    fates: dict[Path, Fate]
    before: Record
    after: Record
    commands: list[services.Words]


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where an installation is; shared with ``uninstall``."""
    parser.add_argument("--prefix", default=DEFAULT_PREFIX, help="below which units and completions lie (%(default)s)")
    parser.add_argument("--root", metavar="DIR", help="a directory that stands for /, to make a package of")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")


def configure(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    parser.add_argument(
        "--docker-group",
        action=argparse.BooleanOptionalAction,
        help=f"serve {DOCKER_SOCKET} to the group docker, whose members are root on this host by it",
    )
    parser.add_argument("--enable", action="store_true", help="start the services, now and at boot")
    parser.add_argument("--program", metavar="PATH", help="how the services call tidegate (default: as it was called)")


def run(args: argparse.Namespace) -> int:
    installed = installation_at(args)
    decided = _decide(args, installed)
    if args.dry_run:
        _show(decided, installed)
        return 0
    installed.apply(decided.fates, decided.wanted.files, decided.before, decided.after)
    for path, fate in decided.fates.items():
        print(f"{installed.place(path)}: {fate}")
    services.run(decided.commands)
    if args.root is None and not args.enable:
        print(f"to start engine and gate, now and at boot: systemctl enable --now {TARGET}")
    return 0


def installation_at(args: argparse.Namespace) -> Installed:
    """Raises InvalidParameterError for a host or a user that cannot install."""
    prefix, root = Path(args.prefix), Path(args.root or "/")
    if not prefix.is_absolute():
        raise InvalidParameterError(f"prefix: {args.prefix!r} is not absolute")
    if args.root is None:
        services.require_systemd()
        if os.geteuid() != 0 and not args.dry_run:
            raise InvalidParameterError("must run as root: units are the host's; --dry-run shows what would be done")
    return Installed(root, prefix)


def _decide(args: argparse.Namespace, installed: Installed) -> Decided:
    before = installed.record() or Record("")
    group = before.docker_group if args.docker_group is None else args.docker_group
    settings = first_settings(group)
    there = installed.there([SETTINGS_FILE])
    kept = decide_fates(Wanted({SETTINGS_FILE: settings}), there, before)
    said = there[SETTINGS_FILE] if kept[SETTINGS_FILE] is Fate.KEPT else settings
    config = decide_config({}, parse_file(said.decode(), str(installed.place(SETTINGS_FILE))))
    if group:
        check_group_settings(config)
    if group and not before.docker_group and args.root is None:
        services.require_free_docker_socket(_listens(DOCKER_SOCKET))
    read = (Path(tidegate.__file__), Path(sys.prefix)) if args.root is None else ()  # of a package they are elsewhere
    facts = unit_facts(_program(args), config, _scoped_sockets(config), read)
    wanted = wanted_files(Path(args.prefix), facts, settings, command_tree(), group)
    there = installed.there({*wanted.files, *(Path(text) for text in before.files)})
    fates = decide_fates(wanted, there, before)
    changed = before.version != __version__ or not {Fate.UNCHANGED, Fate.KEPT}.issuperset(fates.values())
    group_file = next((installed.place(path) for path in wanted.files if path.parent.name == "sysusers.d"), None)
    commands = services.commands_of_install(changed, args.enable, group_file) if args.root is None else []
    return Decided(wanted, fates, before, next_record(__version__, group, fates, wanted, before), commands)


def _scoped_sockets(config: DaemonConfig) -> tuple[Path, ...]:
    return tuple(parse_scoped_socket(text).path for text in config.settings.get("gate-sockets", ()))


def _program(args: argparse.Namespace) -> tuple[str, ...]:
    """Raises InvalidParameterError for a relative path."""
    if args.program is None:
        script = Path(sys.executable).parent / "tidegate"
        return (str(script),) if script.exists() else (sys.executable, "-m", "tidegate")
    if not Path(args.program).is_absolute():
        raise InvalidParameterError(f"program: {args.program!r} is not absolute")
    return (args.program,)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _show(decided: Decided, installed: Installed) -> None:
    for path, fate in decided.fates.items():
        print(f"{installed.place(path)}: {fate}")
        if fate in (Fate.WRITTEN, Fate.REPLACED):
            print("".join(f"    {line}\n" for line in decided.wanted.files[path].decode().splitlines()), end="")
    for words in decided.commands:
        print(f"run: {' '.join(words)}")
