"""``tidegate uninstall``: ends the services and takes away what ``tidegate install`` has written, and nothing else.

Images, containers, volumes, certificates and audit stay, and so do containers that run; it says where they are.
"""

import argparse
from pathlib import Path

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.cli.installation import services
from tidegate.cli.installation.install_command import add_places, installation_at
from tidegate.cli.installation.plan import GROUP, SETTINGS_FILE, Fate, Record, decide_removals
from tidegate.cli.installation.record import Installed
from tidegate.daemon.config import DaemonConfig, decide_config, parse_file


def configure(parser: argparse.ArgumentParser) -> None:
    add_places(parser)


def run(args: argparse.Namespace) -> int:
    installed = installation_at(args)
    record = installed.record()
    if record is None:
        raise NotFoundError(
            f"nothing is installed here: there is no {installed.place(installed.record_path)}; "
            "say the --prefix, or the --root, that it was installed with"
        )
    there = installed.there(Path(text) for text in record.files)
    fates = decide_removals(there, record)
    left = _left(installed, record)
    before, after = services.commands_of_uninstall({path.name for path in there}) if args.root is None else ([], [])
    if args.dry_run:
        _say(installed, fates, [f"run: {' '.join(words)}" for words in (*before, *after)])
        return 0
    services.run(before)
    installed.remove(fates, record)
    services.run(after)
    _say(installed, fates, left)
    return 0


def _say(installed: Installed, fates: dict[Path, Fate], lines: list[str]) -> None:
    for path, fate in fates.items():
        print(f"{installed.place(path)}: {fate}")
    print("\n".join(lines))


def _left(installed: Installed, record: Record) -> list[str]:
    """What stays, and where; asked before the settings go that tell it."""
    group = [f"left: the group {GROUP}"] if record.docker_group else []
    text = installed.there([SETTINGS_FILE]).get(SETTINGS_FILE, b"{}").decode(errors="replace")
    try:
        config = decide_config({}, parse_file(text, str(installed.place(SETTINGS_FILE))))
    except InvalidParameterError as error:
        return [*group, f"left: the data root that the settings name, which cannot be read: {error.message}"]
    lines = [f"left: {installed.place(config.data_root)}: images, containers, volumes, certificates and audit", *group]
    running = _running(installed, config)
    if running:
        lines.append(
            f"left: {len(running)} running: {', '.join(running)}; `tidegate up` finds them again, a reboot ends them"
        )
    return lines


def _running(installed: Installed, config: DaemonConfig) -> list[str]:
    """Short ids of the containers that run, which have a bundle while they do."""
    bundles = installed.place(config.exec_root) / "bundles"
    return sorted(path.name[:12] for path in bundles.iterdir()) if bundles.is_dir() else []
