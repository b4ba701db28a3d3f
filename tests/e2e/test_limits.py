"""Limits of containers, read back where the kernel keeps them, and what happens beyond them."""

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest
from tests.control_groups import HAS_CONTROLLERS, UNIFIED, group, groups_in, parents
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
    pytest.mark.skipif(not HAS_CONTROLLERS, reason="no cgroup controllers on this machine"),
]

LIMITS = (
    {
        "memory.max": str(64 << 20),
        "memory.swap.max": str(64 << 20),
        "memory.low": str(32 << 20),
        "cpu.max": "50000 100000",
        "cpu.weight": "20",
        "pids.max": "50",
        "cpuset.cpus": "0",
    }
    if UNIFIED
    else {
        "memory.limit_in_bytes": str(64 << 20),
        "memory.soft_limit_in_bytes": str(32 << 20),
        "cpu.cfs_quota_us": "50000",
        "cpu.cfs_period_us": "100000",
        "cpu.shares": "512",
        "pids.max": "50",
        "cpuset.cpus": "0",
    }
)
"""The files that hold the limits asked for below."""


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def test_limits_are_in_the_control_groups(engine: RunningEngine) -> None:
    options = ["-m", "64m", "--memory-reservation", "32m", "--cpus", "0.5", "--cpu-shares", "512", "--pids-limit", "50"]
    started = engine.docker("run", "-d", "--name", "held", *options, "--cpuset-cpus", "0", "busybox", "sleep", "1000")
    assert started.returncode == 0, started.stderr
    identity = started.stdout.strip()

    def value(file: str) -> str:
        controller = "pids" if file.startswith("cgroup.") else file.partition(".")[0]
        return (group(controller, f"{engine.name}/{identity}") / file).read_text().strip()

    assert {file: value(file) for file in LIMITS} == LIMITS
    pid = engine.docker("inspect", "-f", "{{.State.Pid}}", "held").stdout.strip()
    assert pid in value("cgroup.procs").split()
    assert engine.docker("rm", "-f", "held").returncode == 0
    assert identity not in [each.name for each in groups_in(engine.name)]


def test_too_many_processes_are_refused(engine: RunningEngine) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; wait"
    result = engine.docker("run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", script)
    assert result.returncode != 0
    assert "can't fork" in result.stderr


def test_out_of_memory_is_told(engine: RunningEngine) -> None:
    since = time.time()
    hungry = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]
    result = engine.docker("run", "--name", "hungry", "-m", "16m", "--memory-swap", "16m", "busybox", *hungry)
    state = engine.docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}", "hungry")
    assert engine.docker("rm", "hungry").returncode == 0
    window = ["--since", f"{since:.9f}", "--until", f"{time.time():.9f}", "--filter", "container=hungry"]
    told = engine.docker("events", *window, "--format", "{{.Action}}").stdout.split()
    assert [action for action in told if action != "attach"] == ["create", "start", "oom", "die", "destroy"]
    assert (result.returncode, state.stdout) == (137, "true 137 exited\n"), result.stderr


def test_an_end_for_another_reason_is_not_for_want_of_memory(engine: RunningEngine) -> None:
    assert engine.docker("run", "-d", "--name", "calm", "-m", "16m", "busybox", "sleep", "1000").returncode == 0
    assert engine.docker("kill", "calm").returncode == 0
    state = engine.docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "calm")
    assert state.stdout == "false 137\n"
    assert engine.docker("rm", "calm").returncode == 0


def test_a_read_only_container_writes_in_its_tmpfs_only(engine: RunningEngine) -> None:
    script = "touch /root/x && echo bad; touch /scratch/x && echo good; df -k /scratch | tail -1 | awk '{print $2}'"
    options = ["--read-only", "--tmpfs", "/scratch:size=1m", "--network", "none"]
    result = engine.docker("run", "--rm", *options, "busybox", "sh", "-c", script)
    assert result.stdout == "good\n1024\n", result
    assert "Read-only file system" in result.stderr


def test_ulimits_and_capabilities(engine: RunningEngine) -> None:
    script = "ulimit -n; grep CapEff /proc/self/status; chown 1 /tmp && echo changed"
    options = ["--ulimit", "nofile=100:100", "--cap-drop", "ALL", "--network", "none"]
    result = engine.docker("run", "--rm", *options, "busybox", "sh", "-c", script)
    assert result.stdout.split("\n") == ["100", "CapEff:\t0000000000000000", ""], result


def test_a_control_group_elsewhere_is_limited_counted_kept_and_removed(engine: RunningEngine) -> None:
    parent = f"{engine.name}-batch/night"
    options = ["--cgroup-parent", f"/{parent}", "--memory", "64m", "--cpuset-cpus", "0"]
    started = engine.docker("run", "-d", "--name", "batch", *options, "busybox", "sleep", "1000")
    assert started.returncode == 0, started.stderr
    try:
        group_path = f"{parent}/{started.stdout.strip()}"
        limit = group("memory", group_path) / ("memory.max" if UNIFIED else "memory.limit_in_bytes")
        assert limit.read_text() == f"{64 << 20}\n"
        assert engine.docker("update", "--memory", "96m", "--memory-swap", "-1", "batch").returncode == 0
        os.kill(engine.children()["engine"], signal.SIGKILL)
        engine.process.wait(30)
        engine.start()
        assert limit.read_text() == f"{96 << 20}\n"
        assert engine.docker("exec", "batch", "true").returncode == 0
        shown = engine.docker("stats", "--no-stream", "--format", "{{.PIDs}}", "batch").stdout.strip()
        assert shown == "1"
        assert engine.docker("pause", "batch").returncode == engine.docker("unpause", "batch").returncode == 0
        assert engine.docker("rm", "-f", "batch").returncode == 0
        assert groups_in(parent) == []
    finally:
        for path in (parent, f"{engine.name}-batch"):
            for directory in parents(path):
                directory.rmdir()
    refused = engine.docker("create", "--cgroup-parent", "/a/../b", "busybox")
    assert "invalid CgroupParent" in refused.stderr


def test_what_containers_get_that_do_not_say() -> None:
    options = ["--default-ulimit", "nofile=100:200", "--default-shm-size", "4m", "--default-ipc-mode", "shareable"]
    with running_engine(*options, "--cgroup-parent", "/tg-defaults") as running:
        script = "ulimit -Sn; ulimit -Hn; ulimit -c; df -h /dev/shm | awk 'END { print $2 }'"
        shown = running.docker("run", "--rm", "--ulimit", "core=0", "busybox", "sh", "-c", script)
        assert shown.stdout.split() == ["100", "200", "0", "4.0M"], shown
        started = running.docker("run", "-d", "--name", "kept", "busybox", "sleep", "1000")
        assert group("pids", f"tg-defaults/{started.stdout.strip()}").is_dir()
        template = "{{.HostConfig.IpcMode}} {{.HostConfig.ShmSize}} {{(index .HostConfig.Ulimits 0).Name}}"
        assert running.docker("inspect", "-f", template, "kept").stdout.split() == ["shareable", str(4 << 20), "nofile"]
        running.docker("rm", "-f", "kept")
    for directory in parents("tg-defaults"):
        directory.rmdir()
