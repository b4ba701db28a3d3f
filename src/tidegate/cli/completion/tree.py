"""What may be typed after ``tidegate``: commands, options and their values, read off the argument parsers.

argparse has no public way to ask a parser for its arguments; ``_actions`` is what its own help is made from.
"""

import argparse
import importlib
from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from tidegate.cli.main import COMMANDS, Command, OneLineParser

_WITH_HELP = ("-h", "--help")


class Option(msgspec.Struct, frozen=True):
    """``values`` are all that it takes; without them a value is anything, and a file's name as likely as not."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    values: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A command, with its own commands below it; ``arguments`` are words that may stand in their place."""

    name: str
    help: str
    options: tuple[Option, ...] = ()
    nodes: tuple["Node", ...] = ()
    arguments: tuple[str, ...] = ()


def command_tree() -> Node:
    """Every command. Imports them all."""
    nodes = []
    for name, (module, text) in COMMANDS.items():
        parser = OneLineParser(prog=name, allow_abbrev=False)
        cast(Command, importlib.import_module(module)).configure(parser)
        nodes.append(node_of(parser, name, text))
    version = Option(("-v", "--version"), "print the version", takes_value=False)
    return Node("tidegate", "", (Option(_WITH_HELP, "show the commands", takes_value=False), version), tuple(nodes))


def node_of(parser: argparse.ArgumentParser, name: str, text: str) -> Node:
    """One parser, and those below it."""
    options, nodes, arguments = [], list[Node](), list[str]()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            nodes += _below(action)
        elif action.option_strings:
            takes = action.nargs != 0 and action.nargs != "?"
            values = tuple(str(each) for each in action.choices or ())
            options.append(Option(tuple(action.option_strings), _line(action.help), takes or bool(values), values))
        else:
            arguments += [str(each) for each in action.choices or ()]
    return Node(name, text, tuple(options), tuple(nodes), tuple(arguments))


def _below(action: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[Node]:
    helps: Mapping[str, str] = {each.dest: _line(each.help) for each in action._choices_actions}
    for name, parser in action.choices.items():
        yield node_of(parser, name, helps.get(name, ""))


def _line(text: str | None) -> str:
    """A help text as argparse shows it, on one line."""
    return " ".join((text or "").replace("%%", "%").split()) if text != argparse.SUPPRESS else ""


def walk(node: Node, above: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with the words that lead to it, each after a space: "", " audit", " audit verify"."""
    yield above, node
    for each in node.nodes:
        yield from walk(each, f"{above} {each.name}")
