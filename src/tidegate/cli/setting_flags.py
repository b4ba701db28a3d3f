"""Tidegate's settings as flags of a command line: made from the table, read back by name."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tidegate.base.errors import InvalidParameterError
from tidegate.daemon.config import DaemonConfig, parse_file
from tidegate.daemon.setting import Kind, Setting

_WITHOUT_VALUE = {"allow-plaintext": "loopback", "decoy": "0.0.0.0:2375"}


class _Once(argparse.Action):
    """A flag that may be given once."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _o: Any = None
    ) -> None:
        if getattr(namespace, self.dest, None) is not None:
            parser.error(f"--{self.dest.replace('_', '-')} is given twice")
        setattr(namespace, self.dest, values if values is not None else self.const)


def add_flags(parser: argparse.ArgumentParser, settings: Sequence[Setting]) -> None:
    """A flag for each setting that has one."""
    for setting in settings:
        if setting.flag is None:
            continue
        names = [f"--{setting.flag}", *([f"-{setting.short}"] if setting.short else [])]
        destination = setting.flag.replace("-", "_")
        if setting.kind is Kind.FLAG:
            parser.add_argument(*names, dest=destination, action=_Once, nargs="?", const="true", help=setting.help)
        elif setting.flag in _WITHOUT_VALUE:
            const = _WITHOUT_VALUE[setting.flag]
            parser.add_argument(*names, dest=destination, action=_Once, nargs="?", const=const, help=setting.help)
        elif setting.kind in (Kind.LIST, Kind.MAP):
            parser.add_argument(*names, dest=destination, action="append", help=setting.help)
        else:
            parser.add_argument(*names, dest=destination, action=_Once, help=setting.help)


def read_flags(args: argparse.Namespace, settings: Sequence[Setting]) -> dict[str, Any]:
    """What was given, by the settings' names. Raises InvalidParameterError naming the flag."""
    values: dict[str, Any] = {}
    for setting in settings:
        value = getattr(args, setting.flag.replace("-", "_"), None) if setting.flag else None
        if value is None:
            continue
        if setting.kind is Kind.FLAG:
            if value not in ("true", "false"):
                raise InvalidParameterError(f"{setting.flag}: {value!r} is neither true nor false")
            value = value == "true"
        elif setting.kind is Kind.NUMBER:
            if not value.isdecimal():
                raise InvalidParameterError(f"{setting.flag}: {value!r} is no number")
            value = int(value)
        values[setting.name] = value
    return values


def read_file(args: argparse.Namespace) -> dict[str, Any]:
    """The configuration file that was named; nothing without one. Raises InvalidParameterError, OSError."""
    if args.config_file is None:
        return {}
    return parse_file(Path(args.config_file).read_text(), args.config_file)


def say_valid(config: DaemonConfig) -> int:
    """What ``--validate`` prints of settings that can be used, in dockerd's words."""
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print("configuration OK")
    return 0
