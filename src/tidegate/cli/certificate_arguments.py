"""Arguments that the commands about certificates share, checked while the command line is read."""

import argparse
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from tidegate.base.durations import parse_duration
from tidegate.base.errors import InvalidParameterError
from tidegate.pki.names import parse_context_host

DEFAULT_DATA_ROOT = Path("/var/lib/tidegate")
DEFAULT_HOST = "tcp://127.0.0.1:2376"
MAX_DAYS = 3650
_DATA_ROOT_HELP = f"where Tidegate keeps its data ({DEFAULT_DATA_ROOT})"
_LEAST_TTL = timedelta(minutes=1)

T = TypeVar("T")
Action = Callable[[argparse.Namespace], int]


class Actions:
    """The actions of a command, each with ``--data-root``, which may stand before or after the action."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--data-root", type=Path, metavar="DIR", help=_DATA_ROOT_HELP)
        self._actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(self, name: str, help_text: str, run_action: Action) -> argparse.ArgumentParser:
        """``run_action`` and ``usage_error`` are put into the arguments."""
        action = self._actions.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        # Suppressed here, or its default would undo the one before the action.
        action.add_argument("--data-root", type=Path, default=argparse.SUPPRESS, metavar="DIR", help=_DATA_ROOT_HELP)
        action.set_defaults(run_action=run_action, usage_error=action.error)
        return action

    def add_remote(self, name: str, help_text: str, run_action: Action) -> argparse.ArgumentParser:
        """An action of another machine, which has no data root."""
        action = self._actions.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)

        def without_data_root(args: argparse.Namespace) -> int:
            if args.data_root is not None:
                action.error("--data-root is of the machine with the gate, and says nothing here")
            return run_action(args)

        action.set_defaults(run_action=without_data_root)
        return action


def data_root(args: argparse.Namespace) -> Path:
    """The absolute path of the data root that was named, or of the usual one."""
    return Path(args.data_root or DEFAULT_DATA_ROOT).absolute()


def add_lifetime(parser: argparse.ArgumentParser, what: str = "renew now,", option: str = "--ttl") -> None:
    """``--days N`` or ``option TIME``, both as ``lifetime``."""
    lifetime = parser.add_mutually_exclusive_group()
    lifetime.add_argument("--days", dest="lifetime", type=days, metavar="N", help=f"{what} for N days")
    lifetime.add_argument(
        option, dest="lifetime", type=checked(time_to_live), metavar="TIME", help=f"{what} for a time: 30m, 12h, 7d"
    )


def add_destination(parser: argparse.ArgumentParser) -> None:
    """``--out DIR`` or ``--context FILE.tar`` with ``--host``; ``check_destination`` does the rest."""
    destination = parser.add_mutually_exclusive_group()
    destination.add_argument("--out", type=Path, metavar="DIR", help="write ca.pem, cert.pem and key.pem there")
    destination.add_argument("--context", type=Path, metavar="FILE.tar", help="an archive for `docker context import`")
    parser.add_argument(
        "--host", type=checked(context_host), metavar="HOST", help=f"the context's host ({DEFAULT_HOST})"
    )


def check_destination(args: argparse.Namespace) -> None:
    """A usage error for a host without a context."""
    if args.host and not args.context:
        args.usage_error("--host is the host of a context: it needs --context FILE.tar")


def days(text: str) -> timedelta:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_DAYS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_DAYS}")
    return timedelta(days=int(text))


def time_to_live(text: str) -> timedelta:
    """Raises InvalidParameterError for less than a minute or more than MAX_DAYS."""
    found = parse_duration(text)
    if not _LEAST_TTL <= found <= timedelta(days=MAX_DAYS):
        raise InvalidParameterError(f"{text!r} is not from 1m to {MAX_DAYS}d")
    return found


def context_host(text: str) -> str:
    return parse_context_host(text)[0]


def checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """``parse`` as an argparse type: its error becomes a usage error."""

    def parse_argument(text: str) -> T:
        try:
            return parse(text)
        except InvalidParameterError as error:
            raise argparse.ArgumentTypeError(error.message) from error

    return parse_argument
