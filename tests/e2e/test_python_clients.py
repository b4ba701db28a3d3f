"""Python's other clients, over mutual TLS and over the unix socket; docker-py has tests of its own."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.debian_clients import unpack_plugins
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [
    needs_cli,
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.timeout(300),
]
HERE = Path(__file__).parent
AIODOCKER = """\
Engine linux
b'carried\\n'
['create', 'attach', 'start']
0 ['die']
{1: b'out\\n', 2: b'err\\n'} 3
b'abc'
['ready\\n']
1
[True]
local
[['busybox:latest']]
"""
TESTCONTAINERS = """\
b'served\\n'
BytesExecResult(exit_code=0, output=b'b\\n')
0 (b'', b'')
[]
"""
WHALES = """\
hello
True whale b
inside
True
paused
['whale']
7
y ['whales']
overlay2 1
['shop-db-1', 'shop-job-1']
[]
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@pytest.fixture(params=[True, False], ids=["mtls", "unix"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


def told(engine: RunningEngine, session: str, tls: bool, *arguments: str) -> str:
    """What the session prints; nothing of it is left in the engine."""
    _, environment = engine.cli(tls=tls)
    command = ["nsenter", f"--net={engine.root}/netns", sys.executable, str(HERE / "clients" / session), *arguments]
    more = {"TESTCONTAINERS_RYUK_DISABLED": "true"}
    done = subprocess.run(
        command, env={**environment, **more}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert engine.docker("ps", "-aq").stdout == "" and engine.docker("volume", "ls", "-q").stdout == ""
    return done.stdout


@needs("aiodocker")
def test_aiodocker(engine: RunningEngine, tls: bool) -> None:
    assert told(engine, "aiodocker_session.py", tls) == AIODOCKER


@needs("testcontainers")
def test_testcontainers(engine: RunningEngine, tls: bool) -> None:
    assert told(engine, "testcontainers_session.py", tls) == TESTCONTAINERS


@needs("python_on_whales")
def test_python_on_whales(engine: RunningEngine, tls: bool) -> None:
    try:
        plugins = unpack_plugins()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"Debian 13's Compose cannot be fetched here: {error}")
    directory = engine.root / "config/cli-plugins"
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "docker-compose").exists():
        (directory / "docker-compose").symlink_to(plugins / "docker-compose")
    assert told(engine, "whales_session.py", tls, str(HERE / "projects/shop.yaml")) == WHALES
