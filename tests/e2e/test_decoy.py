"""The decoy of ``tidegate up --decoy``: a real process that owns nothing, met by the real docker CLI."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root")


@pytest.fixture(scope="module")
def door() -> Iterator[RunningEngine]:
    with running_engine("--decoy", "127.0.0.1") as engine:
        yield engine


def at_decoy(door: RunningEngine, *words: str) -> "subprocess.CompletedProcess[str]":
    command, environment = door.cli(*words, tls=False, limit_s=30)
    environment["DOCKER_HOST"] = "tcp://127.0.0.1:2375"
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, input="id\n")


def audit(door: RunningEngine, action: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tidegate", "audit", action, "--data-root", f"{door.root}/data", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_cli
def test_the_cli_believes_it_and_nothing_runs(door: RunningEngine) -> None:
    shown = at_decoy(door, "version", "--format", "{{.Server.Version}}")
    assert shown.stdout.strip() == "24.0.7", shown.stderr
    assert at_decoy(door, "ps", "-aq").stdout == ""
    pulled = at_decoy(door, "pull", "alpine")
    assert "Status: Downloaded newer image for alpine:latest" in pulled.stdout, pulled.stderr
    ran = at_decoy(
        door, "run", "-v", "/:/host", "--privileged", "alpine", "chroot", "/host", "sh", "-c", "touch /tmp/it"
    )
    assert ran.returncode == 0, ran.stderr
    assert door.docker("ps", "-aq").stdout == ""
    path = door.root / "data/audit/decoy.000001.jsonl"
    visits = [json.loads(line) for line in path.read_text().splitlines()]
    created = next(visit for visit in visits if visit.get("operation") == "ContainerCreate")
    assert json.loads(created["document"])["HostConfig"]["Binds"] == ["/:/host"]
    verified = audit(door, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_it_owns_nothing(door: RunningEngine) -> None:
    pid = door.children()["decoy"]
    rows = (line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    status = dict(rows)
    assert set(status["Uid"].split()) == {"65534"}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    root = Path(f"/proc/{pid}/root").readlink()
    assert root == door.root / "exec/decoy"
    assert list(root.iterdir()) == []
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max address space         1073741824" in limits


def test_its_death_ends_nothing_else(door: RunningEngine) -> None:
    os.kill(door.children()["decoy"], 9)
    deadline = time.monotonic() + 10
    while "tidegate-decoy has ended; the others go on without it" not in (door.root / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert door.process.poll() is None
    assert {"engine", "gate"} <= set(door.children())
    assert audit(door, "verify").returncode == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--decoy", "127.0.0.1:2376"], "2376 is the port of the gate"),
        (["--decoy", "http://x/y"], "must be ADDRESS or ADDRESS:PORT"),
        (["--decoy", "-H", "unix:///tmp/none.sock"], "needs a gate beside it"),
    ],
)
def test_a_wrong_decoy_is_one_clear_line(words: list[str], complaint: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "up", "--data-root", str(tmp_path / "d"), *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1
