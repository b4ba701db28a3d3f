"""``docker update`` with the stock CLI by both doors, and docker-py; what the control groups say is read back."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

from tidegate.kernel.cgroups.host import ROOT, is_unified

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]
MIB = 1 << 20


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        made = ["run", "-d", "--name", "limited", "--network", "none", "-m", "50m"]
        assert running.docker(*made, "busybox", "sleep", "1000").returncode == 0
        yield running
        assert running.docker("rm", "-f", "limited").returncode == 0


def limit(engine: RunningEngine, controller: str, v1: str, v2: str) -> str:
    identity = engine.docker("inspect", "-f", "{{.Id}}", "limited").stdout.strip()
    directory = ROOT if is_unified() else ROOT / controller
    return Path(directory / engine.name / identity / (v2 if is_unified() else v1)).read_text().strip()


@pytest.mark.parametrize(("tls", "mebibytes"), [(True, 200), (False, 30)], ids=["mtls", "unix"])
def test_limits_change_while_it_runs(engine: RunningEngine, tls: bool, mebibytes: int) -> None:
    words = [
        "update",
        "-m",
        f"{mebibytes}m",
        "--memory-swap",
        f"{2 * mebibytes}m",
        "--pids-limit",
        "77",
        "--cpus",
        "0.5",
    ]
    done = engine.docker(*words, "--restart", "unless-stopped", "limited", tls=tls)
    assert (done.returncode, done.stdout) == (0, "limited\n"), done.stderr
    assert limit(engine, "memory", "memory.limit_in_bytes", "memory.max") == str(mebibytes * MIB)
    assert limit(engine, "pids", "pids.max", "pids.max") == "77"
    assert limit(engine, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    template = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}"
    shown = engine.docker("inspect", "-f", template, "limited", tls=tls).stdout
    assert shown == f"{mebibytes * MIB} 77 unless-stopped\n"


def test_what_is_refused_changes_nothing(engine: RunningEngine) -> None:
    before = engine.docker("inspect", "-f", "{{json .HostConfig}}", "limited").stdout
    assert "Minimum memory limit allowed is 6MB" in engine.docker("update", "-m", "1m", "limited").stderr
    assert "not available" in engine.docker("update", "--cpuset-cpus", "999", "limited").stderr
    assert engine.docker("inspect", "-f", "{{json .HostConfig}}", "limited").stdout == before


def test_limits_hold_after_a_restart(engine: RunningEngine) -> None:
    assert engine.docker("update", "--pids-limit", "99", "limited").returncode == 0
    assert engine.docker("restart", "-t", "0", "limited").returncode == 0
    assert limit(engine, "pids", "pids.max", "pids.max") == "99"


def test_docker_py(engine: RunningEngine) -> None:
    docker = pytest.importorskip("docker", reason="docker-py is not installed")

    def conversation() -> None:
        client = docker.DockerClient(base_url=f"unix://{engine.root}/docker.sock", timeout=30)
        container = client.containers.get("limited")
        assert container.update(cpu_shares=300, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}) == {
            "Warnings": []
        }
        container.reload()
        assert container.attrs["HostConfig"]["CpuShares"] == 300
        assert container.attrs["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
        client.close()

    engine.in_its_network(conversation)
