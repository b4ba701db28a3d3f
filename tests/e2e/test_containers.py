"""Containers with the stock docker CLI over both doors, and across a kill of the engine."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.control_groups import HAS_CONTROLLERS, UNIFIED
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]
both_doors = pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@both_doors
def test_run_shows_the_output_and_leaves_nothing(engine: RunningEngine, tls: bool) -> None:
    result = engine.docker("run", "--rm", "busybox", "echo", "hello", tls=tls)
    assert (result.returncode, result.stdout) == (0, "hello\n"), result.stderr
    assert engine.docker("ps", "-aq", tls=tls).stdout == ""


@both_doors
def test_stdin_reaches_the_container_and_its_end_too(engine: RunningEngine, tls: bool) -> None:
    payload = os.urandom(1 << 20).hex().encode()
    result = engine.docker("run", "-i", "--rm", "busybox", "cat", tls=tls, stdin=payload)
    assert result.returncode == 0, result.stderr
    assert result.stdout.encode() == payload


@both_doors
@pytest.mark.parametrize(
    ("words", "code"),
    [(["sh", "-c", "exit 3"], 3), (["nosuch"], 127), (["/etc"], 126)],
)
def test_exit_codes_are_the_cli_s(engine: RunningEngine, tls: bool, words: list[str], code: int) -> None:
    assert engine.docker("run", "--rm", "--network", "none", "busybox", *words, tls=tls).returncode == code


def test_a_container_s_life(engine: RunningEngine) -> None:
    assert engine.docker("run", "-d", "--name", "life", "busybox", "sh", "-c", "echo one; sleep 1000").returncode == 0
    try:
        result = engine.docker("exec", "life", "sh", "-c", "hostname; exit 4")
        assert (result.returncode, len(result.stdout.strip())) == (4, 12)
        assert engine.docker("logs", "life").stdout == "one\n"
        assert engine.docker("inspect", "-f", "{{.State.Status}}", "life").stdout == "running\n"
        assert engine.docker("pause", "life").returncode == 0
        assert engine.docker("inspect", "-f", "{{.State.Paused}}", "life").stdout == "true\n"
        assert engine.docker("unpause", "life").returncode == 0
        assert engine.docker("rename", "life", "lives").returncode == 0
        assert engine.docker("restart", "-t", "0", "lives").returncode == 0
        assert engine.docker("stop", "-t", "0", "lives").returncode == 0
        assert engine.docker("inspect", "-f", "{{.State.ExitCode}}", "lives").stdout == "137\n"
    finally:
        engine.docker("rm", "-f", "lives")


def test_what_was_asked_is_what_the_process_gets(engine: RunningEngine) -> None:
    limit = "/sys/fs/cgroup/memory.max" if UNIFIED else "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    script = f"id -u; echo $A; pwd; grep Seccomp: /proc/self/status; cat {limit}"
    options = ["-u", "nobody", "-e", "A=b", "-w", "/tmp", "-m", "64m", "-v", "vol:/data", "--tmpfs", "/scratch"]
    result = engine.docker("run", "--rm", *options, "busybox", "sh", "-c", script)
    shown = ["65534", "b", "/tmp", "Seccomp:\t2", *([str(64 << 20)] if HAS_CONTROLLERS else [])]
    assert result.stdout.splitlines() == shown, result


def test_an_init_reaps_what_the_process_leaves(engine: RunningEngine) -> None:
    script = "cat /proc/1/comm; sh -c 'sleep 0.05 &'; sleep 0.2; grep -l '^State:.Z' /proc/[0-9]*/status"
    result = engine.docker("run", "--rm", "--init", "busybox", "sh", "-c", script)
    assert result.stdout.splitlines() == ["docker-init"], result


def test_published_ports_are_reached_and_taken_ones_refused(engine: RunningEngine) -> None:
    serve = "echo -e 'HTTP/1.0 200 OK\\r\\n\\r\\nserved' > /r; while true; do nc -l -p 80 < /r; done"
    started = engine.docker("run", "-d", "--name", "web", "-p", "127.0.0.1:8080:80", "busybox", "sh", "-c", serve)
    assert started.returncode == 0, started.stderr
    try:
        assert engine.docker("port", "web").stdout.strip() == "80/tcp -> 127.0.0.1:8080"
        second = engine.docker("run", "--rm", "-p", "127.0.0.1:8080:80", "busybox", "true")
        assert second.returncode == 125
        assert "port is already allocated" in second.stderr
    finally:
        engine.docker("rm", "-f", "web")


def test_bad_input_is_named(engine: RunningEngine) -> None:
    for words, complaint in [
        (["run", "nosuchimage"], "nosuchimage"),
        (["run", "--network", "mine", "busybox", "true"], "network mine not found"),
        (["run", "-m", "1k", "busybox", "true"], "6MB"),
        (["run", "-u", "nobody-here", "busybox", "true"], "unable to find user"),
        (["stop", "nobody"], "No such container: nobody"),
        (["kill", "-s", "NOPE", "nobody"], "Invalid signal"),
    ]:
        result = engine.docker(*words)
        assert result.returncode != 0
        assert complaint in result.stderr, (words, result.stderr)
    engine.docker("container", "prune", "-f")
    for leftover in engine.docker("ps", "-aq").stdout.split():
        engine.docker("rm", "-f", leftover)


def test_containers_outlive_a_killed_engine_and_are_adopted(engine: RunningEngine) -> None:
    script = "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.05; done"
    assert engine.docker("run", "-d", "--name", "alive", "busybox", "sh", "-c", script).returncode == 0
    short = engine.docker("run", "-d", "--name", "short", "busybox", "sh", "-c", "sleep 1; exit 9")
    assert short.returncode == 0
    pid = engine.docker("inspect", "-f", "{{.State.Pid}}", "alive").stdout.strip()
    os.kill(engine.children()["engine"], 9)
    assert engine.process.wait(30) == 1
    time.sleep(1.5)
    assert Path(f"/proc/{pid}").exists()
    engine.start()
    assert engine.docker("inspect", "-f", "{{.State.Pid}} {{.State.Status}}", "alive").stdout == f"{pid} running\n"
    assert engine.docker("wait", "short").stdout == "9\n"
    assert engine.docker("exec", "alive", "echo", "in").stdout == "in\n"
    assert engine.docker("stop", "-t", "0", "alive").returncode == 0
    lines = engine.docker("logs", "alive").stdout.split("\n")[:-1]
    assert lines == [f"line {number}" for number in range(len(lines))]
    assert len(lines) > 20
    assert engine.docker("rm", "alive", "short").returncode == 0
