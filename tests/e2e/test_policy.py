"""Access files, rules and learning, through the stock CLI and a running gate."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [needs_cli, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces and mounts")]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def tidegate(engine: RunningEngine, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", *words], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def client(engine: RunningEngine, name: str, role: str, out: Path) -> Path:
    """A certificate for ``name``, handed out."""
    data_root = f"{engine.root}/data"
    tidegate(engine, "client", "create", name, "--data-root", data_root, "--role", role, "--out", str(out / name))
    return out / name


def write_access(engine: RunningEngine, name: str, text: str) -> None:
    """Replace a file of DATA_ROOT/access as an administrator would."""
    directory = engine.root / "data/access"
    directory.mkdir(exist_ok=True)
    (directory / f".{name}.new").write_text(text)
    (directory / f".{name}.new").rename(directory / name)


def eventually(engine: RunningEngine, certificates: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command's end once the gate has heard of the file that was just written."""
    deadline = time.monotonic() + 5
    while True:
        done = engine.docker(*words, certificates=certificates)
        if done.returncode == 0 or time.monotonic() > deadline:
            return done
        time.sleep(0.02)


def test_a_policy_learned_from_what_was_done_allows_that_and_no_more(engine: RunningEngine, tmp_path: Path) -> None:
    robot = client(engine, "robot", "admin", tmp_path)
    work = ("run", "--rm", "--cap-add", "SYS_PTRACE", "-p", "127.0.0.1:81:80", "busybox", "echo", "done")
    assert engine.docker(*work, certificates=robot).stdout == "done\n"
    audits = sorted(map(str, (engine.root / "data/audit").iterdir()))
    learned = tidegate(engine, "policy", "learn", "--principal", "robot", *audits)
    assert 'scope = "own"' in learned
    write_access(engine, "access.toml", learned)
    tidegate(engine, "policy", "check", "--data-root", f"{engine.root}/data")
    tidegate(engine, "client", "role", "robot", "learned-robot", "--data-root", f"{engine.root}/data")
    done = eventually(engine, robot, *work)
    assert done.stdout == "done\n", done.stderr
    for words in (["ps"], ["run", "--rm", "-p", "82:80", "busybox", "true"], ["run", "--cap-add", "BPF", "busybox"]):
        refused = engine.docker(*words, certificates=robot)
        assert refused.returncode != 0
        assert "role learned-robot" in refused.stderr


def test_a_file_with_an_error_changes_nothing_and_a_good_one_counts_at_once(
    engine: RunningEngine, tmp_path: Path
) -> None:
    carol = client(engine, "carol", "developer", tmp_path)
    bind = ("run", "--rm", "-v", f"{tmp_path}:/d:ro", "busybox", "ls", "/d/carol")
    assert "bind_sources" in engine.docker(*bind, certificates=carol).stderr
    write_access(engine, "access.toml", '[roles.developer]\nbind_sources = ["/"]\n')
    time.sleep(0.3)  # a wrong file shows by nothing that happens
    assert engine.docker("ps", certificates=carol).returncode == 0
    assert "bind_sources" in engine.docker(*bind, certificates=carol).stderr
    write_access(engine, "access.toml", f'[roles.developer]\nbind_sources = ["{tmp_path}:ro"]\n')
    done = eventually(engine, carol, *bind)
    assert "key.pem" in done.stdout, done.stderr
    writable = engine.docker("run", "--rm", "-v", f"{tmp_path}:/d", "busybox", "true", certificates=carol)
    assert "read-write" in writable.stderr


def test_rules_in_cedar_permit_and_forbid(engine: RunningEngine, tmp_path: Path) -> None:
    dave = client(engine, "dave", "viewer", tmp_path)
    write_access(
        engine,
        "site.cedar",
        """
        permit(principal == Principal::"dave", action == Action::"ContainerStop", resource);
        @id("no-logs-of-db")
        forbid(principal, action == Action::"ContainerLogs", resource) when { context.object like "db*" };
        """,
    )
    engine.process.send_signal(signal.SIGTERM)
    assert engine.process.wait(30) == 0
    engine.start()
    for name in ("db1", "web1"):
        assert engine.docker("run", "-d", "--name", name, "busybox", "sleep", "300").returncode == 0
    assert "no-logs-of-db" in engine.docker("logs", "db1", certificates=dave).stderr
    assert engine.docker("logs", "web1", certificates=dave).returncode == 0
    assert engine.docker("stop", "-t", "0", "web1", certificates=dave).returncode == 0
    assert "role viewer" in engine.docker("restart", "web1", certificates=dave).stderr
    found = tidegate(
        engine, "audit", "query", "--data-root", f"{engine.root}/data", "--principal", "dave", "--verdict", "refused"
    )
    assert "viewer/rule/no-logs-of-db" in found
    assert json.loads(engine.docker("inspect", "web1").stdout)[0]["Config"]["Labels"]["tidegate.owner"] == "admin:admin"
    for name in ("db1", "web1"):
        engine.docker("rm", "-f", name)
