"""Namespaces of another container and parameters of one's own, read back from the kernel."""

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]

_LOOK_AT_SHM = "cat /dev/shm/note; df -h /dev/shm | awk 'END { print $2 }'"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        made = running.docker("run", "-d", "--name", "web", "--hostname", "box", "busybox", "sleep", "1000")
        assert made.returncode == 0, made.stderr
        yield running
        running.docker("rm", "-f", "web")


def inspect(engine: RunningEngine, name: str, template: str) -> str:
    return engine.docker("inspect", "-f", template, name).stdout.strip()


def test_the_network_of_another_container(engine: RunningEngine) -> None:
    joined = engine.docker("run", "-d", "--name", "side", "--network", "container:web", "busybox", "sleep", "1000")
    assert joined.returncode == 0, joined.stderr
    pids = [inspect(engine, name, "{{.State.Pid}}") for name in ("web", "side")]
    assert len({os.readlink(f"/proc/{pid}/ns/net") for pid in pids}) == 1
    assert len({os.readlink(f"/proc/{pid}/ns/uts") for pid in pids}) == 2
    shown = engine.docker("exec", "side", "sh", "-c", "hostname; cat /etc/hostname; tail -1 /etc/hosts").stdout.split()
    assert shown == ["box", "box", inspect(engine, "web", "{{.NetworkSettings.Networks.bridge.IPAddress}}"), "box"]
    identity = inspect(engine, "web", "{{.Id}}")
    mode = "{{.HostConfig.NetworkMode}} {{len .NetworkSettings.Networks}}"
    assert inspect(engine, "side", mode) == f"container:{identity} 0"
    assert "side" in engine.docker("ps", "--format", "{{.Names}}").stdout.split()
    third = engine.docker("run", "--rm", "--network", "container:side", "busybox", "cat", "/etc/hostname")
    assert third.stdout == "box\n", third.stderr
    assert engine.docker("rm", "-f", "side").returncode == 0
    assert engine.docker("exec", "web", "ip", "link", "show", "eth0").returncode == 0


def test_the_processes_of_another_container(engine: RunningEngine) -> None:
    seen = engine.docker("run", "--rm", "--pid", "container:web", "busybox", "ps", "-o", "args")
    assert "sleep 1000" in seen.stdout.splitlines(), seen


def test_a_container_that_is_not_there_or_does_not_run_is_named(engine: RunningEngine) -> None:
    missing = engine.docker("create", "--network", "container:gone", "busybox", "true")
    assert "No such container: gone" in missing.stderr and "Unable to find image" not in missing.stderr
    assert engine.docker("create", "--name", "still", "busybox", "true").returncode == 0
    refused = engine.docker("run", "--network", "container:still", "--name", "late", "busybox", "true")
    assert "cannot join network of a non running container" in refused.stderr
    assert engine.docker("rm", "still", "late").returncode == 0


def test_kernel_parameters_of_its_own_and_none_of_the_host(engine: RunningEngine) -> None:
    run = ["run", "--rm", "--sysctl", "net.core.somaxconn=77", "--sysctl", "kernel.shmmax=1000000"]
    shown = engine.docker(*run, "busybox", "sysctl", "-n", "net.core.somaxconn", "kernel.shmmax")
    assert shown.stdout.split() == ["77", "1000000"], shown
    refused = engine.docker("run", "--rm", "--network", "host", "--sysctl", "net.core.somaxconn=77", "busybox", "true")
    assert "not allowed in the hosts network namespace" in refused.stderr


def test_shared_memory_private_shared_and_none(engine: RunningEngine) -> None:
    donor = ["run", "-d", "--name", "donor", "--ipc", "shareable", "--shm-size", "2m", "busybox", "sleep", "1000"]
    assert engine.docker(*donor).returncode == 0
    assert engine.docker("exec", "donor", "sh", "-c", "echo hello > /dev/shm/note").returncode == 0
    joined = engine.docker("run", "--rm", "--ipc", "container:donor", "busybox", "sh", "-c", _LOOK_AT_SHM)
    assert joined.stdout.split() == ["hello", "2.0M"], joined
    pid, own = inspect(engine, "donor", "{{.State.Pid}}"), os.readlink("/proc/self/ns/ipc")
    assert os.readlink(f"/proc/{pid}/ns/ipc") != own
    assert inspect(engine, "web", "{{.HostConfig.IpcMode}} {{.HostConfig.ShmSize}}") == "private 67108864"
    refused = engine.docker("run", "--rm", "--ipc", "container:web", "busybox", "true")
    assert "non-shareable IPC" in refused.stderr
    none = engine.docker(
        "run", "--rm", "--ipc", "none", "busybox", "sh", "-c", "ls /dev/shm; readlink /proc/self/ns/ipc"
    )
    assert "No such file" in none.stderr and none.stdout.strip() not in ("", own)
    assert (
        engine.docker("run", "--rm", "--ipc", "host", "busybox", "readlink", "/proc/self/ns/ipc").stdout.strip() == own
    )
    home = engine.root / "data/rootfs" / inspect(engine, "donor", "{{.Id}}")
    assert engine.docker("stop", "-t", "0", "donor").returncode == 0
    assert not (home / "shm").exists()
    assert engine.docker("start", "donor").returncode == 0
    assert engine.docker("exec", "donor", "ls", "/dev/shm").stdout == ""
    assert engine.docker("rm", "-f", "donor").returncode == 0


def test_the_host_s_name(engine: RunningEngine) -> None:
    name = os.uname().nodename
    for options in (["--uts", "host"], ["--network", "host"]):
        assert engine.docker("run", "--rm", *options, "busybox", "hostname").stdout.strip() == name
