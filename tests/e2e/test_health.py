"""Health checks through the docker CLI: results, events, list, restart, and an engine killed meanwhile."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]

FAST = ("--health-interval", "300ms", "--health-retries", "2", "--network", "none")


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def health(engine: RunningEngine, name: str) -> dict[str, Any]:
    found = json.loads(engine.docker("inspect", "-f", "{{json .State.Health}}", name).stdout)
    assert isinstance(found, dict)
    return found


def wait_for(engine: RunningEngine, name: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 40
    while (found := health(engine, name))["Status"] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def run(engine: RunningEngine, name: str, *options: str) -> None:
    done = engine.docker("run", "-d", "--name", name, *FAST, *options, "busybox", "sleep", "1000")
    assert done.returncode == 0, done.stderr


def names(engine: RunningEngine, *words: str) -> list[str]:
    return engine.docker("ps", "--format", "{{.Names}}", *words).stdout.split()


def test_a_container_becomes_healthy_and_unhealthy_and_says_so(engine: RunningEngine) -> None:
    since = f"{time.time():.9f}"
    run(engine, "web", "--health-cmd", "test ! -e /ill && echo fine")
    status = engine.docker("ps", "--filter", "name=web", "--format", "{{.Status}}").stdout
    assert "(health: starting)" in status or "(healthy)" in status
    found = wait_for(engine, "web", "healthy")
    assert (found["Log"][-1]["ExitCode"], found["Log"][-1]["Output"]) == (0, "fine\n")
    assert names(engine, "--filter", "health=healthy") == ["web"]
    assert names(engine, "--filter", "health=unhealthy") == []
    assert engine.docker("exec", "web", "touch", "/ill").returncode == 0
    wait_for(engine, "web", "unhealthy")
    assert engine.docker("exec", "web", "rm", "/ill").returncode == 0
    assert 1 <= len(wait_for(engine, "web", "healthy")["Log"]) <= 5
    window = ["--since", since, "--until", f"{time.time():.9f}", "--filter", "event=health_status"]
    told = engine.docker("events", *window, "--format", "{{.Action}}").stdout.splitlines()
    assert told == ["health_status: healthy", "health_status: unhealthy", "health_status: healthy"]
    assert engine.docker("rm", "-f", "web").returncode == 0


def test_failures_and_commands_that_hang_are_unhealthy(engine: RunningEngine) -> None:
    run(engine, "bad", "--health-cmd", "echo wrong; exit 3")
    run(engine, "slow", "--health-cmd", "sleep 500", "--health-timeout", "200ms")
    found = wait_for(engine, "bad", "unhealthy")
    assert (found["Log"][-1]["ExitCode"], found["Log"][-1]["Output"]) == (3, "wrong\n")
    assert found["FailingStreak"] >= 2
    found = wait_for(engine, "slow", "unhealthy")
    assert found["Log"][-1]["Output"] == "Health check exceeded timeout (0.2s)"
    assert sorted(names(engine, "--filter", "health=unhealthy")) == ["bad", "slow"]
    assert "(unhealthy)" in engine.docker("ps", "--filter", "name=bad", "--format", "{{.Status}}").stdout
    run(engine, "swift", "--health-cmd", "sleep 500", "--health-timeout", "1ms")  # over before it has begun
    wait_for(engine, "swift", "unhealthy")
    for name in ("slow", "swift"):
        # The probe under way and the question itself, for a moment with one that was just killed; none of those before.
        left = [int(engine.docker("exec", name, "sh", "-c", "ps | grep -c 'sleep 500'").stdout) for _ in range(5)]
        assert min(left) <= 3, (name, left)
    assert engine.docker("rm", "-f", "bad", "slow", "swift").returncode == 0


def test_no_healthcheck_disables_it_and_a_malformed_one_is_refused(engine: RunningEngine) -> None:
    assert engine.docker("run", "-d", "--name", "none", "--no-healthcheck", "busybox", "sleep", "1000").returncode == 0
    assert engine.docker("inspect", "-f", "{{json .State}}", "none").stdout.count("Health") == 0
    assert names(engine, "--filter", "health=none") == ["none"]
    refused = engine.docker("ps", "--filter", "health=ill")
    assert "invalid filter 'health=ill'" in refused.stderr
    assert engine.docker("rm", "-f", "none").returncode == 0


def test_an_unhealthy_container_is_run_again_if_its_label_asks(engine: RunningEngine) -> None:
    label = "io.tidegate.restart-on-unhealthy=true"
    run(engine, "again", "--label", label, "--stop-timeout", "0", "--health-cmd", "test -e /never")
    deadline = time.monotonic() + 40
    while int(engine.docker("inspect", "-f", "{{.RestartCount}}", "again").stdout) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert engine.docker("stop", "-t", "0", "again").returncode == 0
    assert engine.docker("inspect", "-f", "{{.State.Status}}", "again").stdout == "exited\n"
    assert engine.docker("rm", "again").returncode == 0


def test_health_goes_on_after_the_engine_was_killed() -> None:
    with running_engine() as engine:
        run(engine, "kept", "--health-cmd", "date +%N")
        wait_for(engine, "kept", "healthy")
        os.kill(engine.children()["engine"], signal.SIGKILL)
        engine.process.wait(30)
        engine.start()
        found = health(engine, "kept")
        assert found["Status"] == "healthy" and found["Log"]
        deadline = time.monotonic() + 20
        while health(engine, "kept")["Log"][-1] == found["Log"][-1]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert health(engine, "kept")["Status"] == "healthy"
        assert engine.docker("rm", "-f", "kept").returncode == 0
