"""``tidegate COMMAND``: finds the command and runs it.

- Nothing heavy is imported before the command is known; each command's module has ``configure(parser)`` and
  ``run(args) -> exit code``.
- An expected error is one line on stderr and exit code 1; a wrong command line is one line and exit code 2.
"""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol, cast

from tidegate.base.errors import TidegateError

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

COMMANDS: dict[str, tuple[str, str]] = {
    "audit": ("tidegate.cli.audit_commands", "verify, follow or search what the gate has decided"),
    "client": ("tidegate.cli.client.commands", "invite, list and revoke clients, and say what they may do"),
    "completion": ("tidegate.cli.completion.completion_command", "print what makes a shell complete these commands"),
    "doctor": ("tidegate.cli.doctor_command", "look at this host as an attacker would"),
    "engine": ("tidegate.cli.engine_command", "start the engine without a gate, in the foreground"),
    "gate": ("tidegate.cli.gate_command", "stand before an engine that runs already, in the foreground"),
    "image": ("tidegate.cli.image_command", "make an image where no registry is at hand"),
    "install": ("tidegate.cli.installation.install_command", "install engine and gate as services of systemd"),
    "pki": ("tidegate.cli.pki_commands", "make, list and hand out certificates"),
    "policy": ("tidegate.cli.policy_commands", "check access files, explain a verdict, learn a policy from an audit"),
    "proof": ("tidegate.cli.proof_command", "run one container through 2376 and show its output"),
    "uninstall": ("tidegate.cli.installation.uninstall_command", "take the services away again, and leave the data"),
    "up": ("tidegate.cli.up_command", "start the engine and the gate, in the foreground"),
    "version": ("tidegate.cli.version_command", "print the version"),
}
"""Command -> (module, help)."""

_SERVERS = frozenset({"engine", "gate", "up"})

# Another program's name by which a link may call us -> the command that stands in for it.
_LINK_COMMANDS = {"dockerd": "up"}


class Command(Protocol):
    """What a command's module offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


class OneLineParser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line, without the usage before it. Subparsers inherit the class."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see `{self.prog} --help`)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (argparse exits by itself for --help and usage errors)."""
    words = list(sys.argv[1:] if argv is None else argv)
    called = Path(sys.argv[0]).name if argv is None else "tidegate"
    if called in _LINK_COMMANDS and words[:1] not in (["-v"], ["--version"]):
        return _run(_LINK_COMMANDS[called], words, called)
    name = words[0] if words else "--help"
    if name in ("-h", "--help", "help"):
        print(_overview())
        return 0 if words else EXIT_USAGE
    if name in ("-v", "--version"):
        name = "version"
    if name not in COMMANDS:
        return _fail("tidegate", f"unknown command {name!r} (see `tidegate --help`)", EXIT_USAGE)
    return _run(name, words[1:], f"tidegate {name}")


def _run(name: str, words: Sequence[str], prog: str) -> int:
    module, help_text = COMMANDS[name]
    if name in _SERVERS:  # read by OpenSSL when it is first loaded
        os.environ.setdefault("OPENSSL_CONF", str(Path(__file__).parents[1] / "http/openssl.cnf"))
    command = cast(Command, importlib.import_module(module))
    parser = OneLineParser(prog=prog, description=help_text.capitalize() + ".", allow_abbrev=False)
    command.configure(parser)
    args = parser.parse_args(words)
    try:
        code = command.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):  # the reader has gone: keep the exit from writing to it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except TidegateError as error:
        return _fail(prog, error.message, EXIT_ERROR)
    except OSError as error:
        return _fail(prog, _describe(error), EXIT_ERROR)
    return code


def _describe(error: OSError) -> str:
    if error.strerror is None:
        return str(error) or type(error).__name__
    place = error.filename2 or error.filename  # of a rename, the name the user knows is the second
    return f"{os.fsdecode(place)}: {error.strerror}" if isinstance(place, str | bytes) else error.strerror


def _fail(prog: str, message: str, code: int) -> int:
    print(f"{prog}: {' '.join(message.split())}", file=sys.stderr)
    return code


def _overview() -> str:
    rows = [f"  {name:<10} {help_text}" for name, (_, help_text) in COMMANDS.items()]
    return "\n".join(["usage: tidegate COMMAND [ARGS]", "", *rows, "", "`tidegate COMMAND --help` tells more."])
