"""Compose 1.29 with docker-py 5, as Debian 12 has them: another client, in Python, that speaks TLS 1.2."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.debian_clients import unpack_compose_v1
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

DEBIAN = Path("/etc/debian_version")
pytestmark = [
    needs_cli,
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(
        not (DEBIAN.exists() and DEBIAN.read_text().startswith("12.")), reason="Debian 12's Compose needs its Python"
    ),
]
Compose = Callable[..., str]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine("--tls-profile", "intermediate") as running:
        yield running


@pytest.fixture
def compose(engine: RunningEngine) -> Iterator[Compose]:
    """Runs a command of the project ``old``; ``ends`` is its exit code."""
    try:
        root = unpack_compose_v1()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"Debian 12's Compose cannot be fetched here: {error}")
    _, environment = engine.cli()
    environment["PYTHONPATH"] = str(root / "usr/lib/python3/dist-packages")
    project = Path(__file__).parent / "projects/old.yaml"
    program = ["nsenter", f"--net={engine.root}/netns", "/usr/bin/python3", str(root / "usr/bin/docker-compose")]

    def run(*words: str, ends: int = 0) -> str:
        command = [*program, "-p", "old", "--no-ansi", "-f", str(project), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == ends, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    yield run
    run("down", "-v", "-t", "0")
    assert engine.docker("ps", "-aq").stdout == "" and engine.docker("volume", "ls", "-q").stdout == ""


def test_a_project_s_life(compose: Compose) -> None:
    compose("up", "-d")
    shown = compose("ps")
    assert "Up (healthy)" in shown and "127.0.0.1:8081->80/tcp" in shown
    assert "begun" in compose("logs", "web")
    assert compose("exec", "-T", "web", "echo", "hello") == "hello\n"
    compose("exec", "-T", "web", "sh", "-c", "exit 5", ends=5)
    assert compose("run", "--rm", "--no-deps", "-T", "web", "echo", "once") == "once\n"
    compose("restart", "-t", "0", "web")
    compose("stop", "-t", "0")
    assert compose("ps", "--services", "--filter", "status=running").strip() == ""
