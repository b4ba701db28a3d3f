"""Completion says what the parsers take, and the shells that are at hand read it."""

import argparse
import shutil
import subprocess
from pathlib import Path

import pytest

from tidegate.cli.completion.shells import SHELLS, script
from tidegate.cli.completion.tree import Node, command_tree, node_of, walk
from tidegate.cli.main import COMMANDS, main


def tree() -> Node:
    parser = argparse.ArgumentParser(prog="boat", add_help=False)
    parser.add_argument("--speed", choices=("slow", "fast"), help="how it's to go: 100%%")
    parser.add_argument("-q", "--quiet", action="store_true")
    below = parser.add_subparsers()
    sail = below.add_parser("sail", help="go", add_help=False)
    sail.add_argument("--chart", help="a file")
    sail.add_argument("where", choices=("north", "south"))
    return Node("tidegate", "", (), (node_of(parser, "boat", "a boat"),))


def test_the_tree_is_what_the_parsers_take() -> None:
    boat = tree().nodes[0]
    assert [(each.names, each.takes_value, each.values) for each in boat.options] == [
        (("--speed",), True, ("slow", "fast")),
        (("-q", "--quiet"), False, ()),
    ]
    assert boat.options[0].help == "how it's to go: 100%"
    assert [(at, node.help) for at, node in walk(tree())] == [("", ""), (" boat", "a boat"), (" boat sail", "go")]
    assert boat.nodes[0].arguments == ("north", "south")


def test_every_command_is_there() -> None:
    found = dict(walk(command_tree()))
    assert {node.name for node in found[""].nodes} == set(COMMANDS)
    assert "--docker-group" in {name for option in found[" install"].options for name in option.names}
    assert [node.name for node in found[" audit"].nodes][:1] == ["verify"]


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers for the last of ``words``."""
    (tmp_path / "script").write_text(script("bash", tree()))
    (tmp_path / "a file").touch()
    typed = " ".join(f"'{word}'" for word in words)
    ask = f"source ./script; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _tidegate 2>/dev/null"
    command = ["bash", "--norc", "-c", f'{ask}; printf "%s\\n" "${{COMPREPLY[@]}}"']
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("tidegate", "b"), ["boat"]),
        (("tidegate", "boat", ""), ["sail", "--speed", "-q", "--quiet"]),
        (("tidegate", "boat", "--speed", "f"), ["fast"]),
        (("tidegate", "boat", "--speed", "fast", "s"), ["sail"]),
        (("tidegate", "boat", "-q", "sail", "no"), ["north"]),
        (("tidegate", "boat", "sail", "--chart", "a"), ["a file"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(tmp_path, *words) == offered


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_shells_can_read_their_script(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text == script(shell, command_tree())
    assert "--tls-profile" in text or "-l tls-profile" in text
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    (tmp_path / "script").write_text(text)
    subprocess.run([shell, "-n", "script"], cwd=tmp_path, check=True)
