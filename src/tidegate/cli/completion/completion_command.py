"""``tidegate completion SHELL``: prints what the shell has to read, for

    source <(tidegate completion bash)

``tidegate install`` writes the same to where shells look for it.
"""

import argparse

from tidegate.cli.completion.shells import SHELLS, script
from tidegate.cli.completion.tree import command_tree


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=sorted(SHELLS), help="the shell that is to complete the words of tidegate")


def run(args: argparse.Namespace) -> int:
    print(script(args.shell, command_tree()), end="")
    return 0
