"""Real clients before Debian's dockerd, past the gate and through it as an administrator: they see the same.

One thing differs, and is looked for here: what is created carries its owner's label.
"""

import difflib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.e2e.debian_clients import unpack_plugins
from tests.e2e.running_engine import needs_cli
from tests.e2e.running_gate import Fronted, debian_dockerd, gate_before, save_busybox

pytestmark = [
    needs_cli,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: engines, namespaces and mounts"),
    pytest.mark.timeout(400),
]
SESSIONS = Path(__file__).parent / "sessions"
OWNER = "tidegate.owner"
_UNSTABLE = (
    (re.compile(r'"(Pid|MacAddress|SandboxKey|LogPath|Created|StartedAt|FinishedAt)": ("[^"]*"|\d+)'), r'"\1": -'),
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)?"), "TIME"),
)
_LABEL = re.compile(r',?(\\n)?\s*"?tidegate\.owner"?(=|: )"?admin:admin"?|map\[tidegate\.owner:admin:admin\]')


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    archive = save_busybox(tmp_path_factory.mktemp("image"))
    with (
        debian_dockerd(archive, tmp_path_factory.mktemp("engine")) as (sock, netns),
        gate_before(sock, netns) as gate,
    ):
        yield gate


@pytest.fixture(scope="module")
def plugins(fronted: Fronted) -> Mapping[str, str]:
    """The environment in which the CLI has Compose and buildx."""
    try:
        unpacked = unpack_plugins()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"Debian 13's Compose and buildx cannot be fetched here: {error}")
    directory = fronted.root / "config/cli-plugins"
    directory.mkdir(parents=True)
    for plugin in unpacked.iterdir():
        (directory / plugin.name).symlink_to(plugin)
    return {}


def told(fronted: Fronted, script: Path, way: Mapping[str, str], directory: Path) -> str:
    """What the steps of a script say and how they end; of a failed one the errors too."""
    directory.mkdir()
    (directory / "compose.yaml").write_bytes((SESSIONS / "compose.yaml").read_bytes())
    if script.suffix == ".py":
        commands = [[sys.executable, str(script)]]
    else:
        commands = [["sh", "-c", step] for step in script.read_text().split("\n\n")]
    lines = []
    for command in commands:
        done = fronted.run(*command, way=way, cwd=directory, limit_s=120)
        lines.append(f"+ {command[-1].strip()}\n{done.stdout.decode()}")
        lines.append(f"{done.stderr.decode()}= {done.returncode}\n" if done.returncode else "")
    return "".join(lines)


def stable(text: str) -> list[str]:
    for pattern, replacement in _UNSTABLE:
        text = pattern.sub(replacement, text)
    return text.splitlines()


def same_both_ways(
    fronted: Fronted, name: str, tmp_path: Path, more: Mapping[str, str] | None = None, needed: str = ""
) -> None:
    """``needed`` is what a session says that has worked at all."""
    script = SESSIONS / name
    past = told(fronted, script, {**fronted.past(), **(more or {})}, tmp_path / "past")
    through = told(fronted, script, {**fronted.through(), **(more or {})}, tmp_path / "through")
    assert needed in past
    assert OWNER not in past
    differences = difflib.unified_diff(
        stable(past), stable(_LABEL.sub("", through)), "past", "through", lineterm="", n=1
    )
    assert not (found := "\n".join(differences)), found


def test_the_docker_cli(fronted: Fronted, tmp_path: Path) -> None:
    same_both_ways(fronted, "cli.sh", tmp_path, needed="10.77.0.9/24")


def test_compose(fronted: Fronted, plugins: Mapping[str, str], tmp_path: Path) -> None:
    same_both_ways(fronted, "compose.sh", tmp_path, plugins, needed="db running healthy")


def test_buildx(fronted: Fronted, plugins: Mapping[str, str], tmp_path: Path) -> None:
    same_both_ways(fronted, "buildx.sh", tmp_path, plugins, needed="hello\nme 6")


def test_docker_py(fronted: Fronted, tmp_path: Path) -> None:
    same_both_ways(fronted, "docker_py.py", tmp_path, needed="through the stream")


@pytest.mark.skipif(importlib.util.find_spec("testcontainers") is None, reason="Testcontainers is not installed")
def test_testcontainers(fronted: Fronted, tmp_path: Path) -> None:
    more = {"TESTCONTAINERS_RYUK_DISABLED": "true"}
    same_both_ways(fronted, "testcontainers_py.py", tmp_path, more, needed="served")
