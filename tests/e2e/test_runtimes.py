"""Another OCI runtime than the engine's own: Debian's runc, named in the configuration or found on PATH."""

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.control_groups import HAS_CONTROLLERS, UNIFIED, group, groups_in
from tests.e2e.running_engine import RunningEngine, running_engine

RUNC = shutil.which("runc")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
    pytest.mark.skipif(not HAS_CONTROLLERS, reason="no cgroup controllers on this machine"),
    pytest.mark.skipif(RUNC is None, reason="Debian's runc is not installed"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine("--add-runtime", f"other={RUNC}", "--default-runtime", "runc") as running:
        yield running


def run(engine: RunningEngine, *words: str) -> tuple[int, str, str]:
    done = engine.docker("run", "--rm", *words)
    return done.returncode, done.stdout.strip(), done.stderr


def test_a_container_lives_under_runc(engine: RunningEngine) -> None:
    options = ["--memory", "64m", "-p", "8077:80"]
    started = engine.docker("run", "-d", "--name", "box", *options, "busybox", "sh", "-c", "echo up; exec sleep 1000")
    assert started.returncode == 0, started.stderr
    identity = started.stdout.strip()
    assert engine.docker("inspect", "-f", "{{.HostConfig.Runtime}}", "box").stdout.strip() == "runc"
    assert (engine.root / "exec/shim/runtimes" / identity / "state.json").exists()
    limit = group("memory", f"{engine.name}/{identity}") / ("memory.max" if UNIFIED else "memory.limit_in_bytes")
    assert limit.read_text() == f"{64 << 20}\n"
    assert engine.docker("logs", "box").stdout == "up\n"
    shown = engine.docker("exec", "-i", "box", "sh", "-c", "cat; grep Seccomp: /proc/self/status", stdin=b"hello ")
    assert shown.stdout.split() == ["hello", "Seccomp:", "2"], shown
    assert engine.docker("update", "--memory", "96m", "--memory-swap", "-1", "box").returncode == 0
    assert engine.docker("pause", "box").returncode == engine.docker("unpause", "box").returncode == 0
    assert engine.docker("restart", "-t", "0", "box").returncode == 0
    assert engine.docker("rm", "-f", "box").returncode == 0
    assert identity not in [path.name for path in groups_in(engine.name)]


def test_exit_codes_and_filters_are_the_same(engine: RunningEngine) -> None:
    assert run(engine, "busybox", "sh", "-c", "exit 7")[0] == 7
    assert run(engine, "busybox", "nope")[0] == 127
    assert run(engine, "busybox", "/etc")[0] == 126
    assert "Operation not permitted" in run(engine, "busybox", "unshare", "-U", "true")[2]
    assert run(engine, "-t", "busybox", "tty")[1] == "/dev/pts/0"
    assert run(engine, "--runtime", "other", "busybox", "echo", "named")[1] == "named"
    assert run(engine, "--runtime", "crun", "busybox", "echo", "own")[1] == "own"
    assert run(engine, "--runtime", "runc", "--privileged", "busybox", "sh", "-c", "ls /dev/kmsg")[0] == 0


def test_an_unknown_runtime_is_refused_and_the_known_are_shown(engine: RunningEngine) -> None:
    assert "unknown or invalid runtime name: kata" in run(engine, "--runtime", "kata", "busybox", "true")[2]
    shown = engine.docker("info", "-f", "{{.DefaultRuntime}} {{range $name, $_ := .Runtimes}}{{$name}} {{end}}").stdout
    assert shown.split() == ["runc", "crun", "other", "runc"]
