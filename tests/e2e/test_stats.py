"""``docker stats`` with the stock CLI by both doors, and docker-py: right numbers, and at once."""

import json
import os
import time
from collections.abc import Iterator

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]
# Half a processor's time at most, 20 MiB of memory held, three processes.
LOAD = "head -c 20971520 /dev/zero > /dev/shm/held; sleep 1000 & while :; do :; done"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        words = ["run", "-d", "--name", "busy", "--cpus", "0.3", "-m", "64m", "--pids-limit", "50"]
        assert running.docker(*words, "busybox", "sh", "-c", LOAD).returncode == 0
        assert running.docker("create", "--name", "resting", "busybox", "true").returncode == 0
        while "20.0M" not in running.docker("exec", "busy", "du", "-h", "/dev/shm/held").stdout:
            continue
        yield running
        assert running.docker("rm", "-f", "busy", "resting").returncode == 0


@pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
def test_the_cli_shows_right_numbers(engine: RunningEngine, tls: bool) -> None:
    engine.docker("stats", "--no-stream", "busy", tls=tls)
    time.sleep(1)
    shown = json.loads(engine.docker("stats", "--no-stream", "--format", "json", "busy", tls=tls).stdout)
    assert 5 < float(shown["CPUPerc"].rstrip("%")) < 60
    used, limit = shown["MemUsage"].split(" / ")
    assert (limit, used[-3:]) == ("64MiB", "MiB")
    assert 20 <= float(used[:-3]) < 40
    assert (shown["PIDs"], shown["Name"]) == ("2", "busy")
    assert shown["NetIO"] != "0B / 0B"


def test_the_cli_follows(engine: RunningEngine) -> None:
    assert "busy" in engine.docker("stats", "--no-stream").stdout
    resting = engine.docker("stats", "--no-stream", "resting")
    assert (resting.returncode, "0B / 0B" in resting.stdout) == (0, True)
    assert "No such container: nobody" in engine.docker("stats", "--no-stream", "nobody").stderr


def test_docker_py(engine: RunningEngine) -> None:
    docker = pytest.importorskip("docker", reason="docker-py is not installed")

    def conversation() -> None:
        client = docker.DockerClient(base_url=f"unix://{engine.root}/docker.sock", timeout=30)
        container = client.containers.get("busy")
        container.stats(stream=False)
        began = time.monotonic()
        once = container.stats(stream=False)
        assert time.monotonic() - began < 0.1
        assert once["precpu_stats"]["cpu_usage"]["total_usage"] < once["cpu_stats"]["cpu_usage"]["total_usage"]
        assert once["pids_stats"] == {"current": 2, "limit": 50}
        assert once["networks"]["eth0"]["rx_packets"] > 0
        shot = client.api.stats("busy", stream=False, one_shot=True)
        assert shot["precpu_stats"]["cpu_usage"]["total_usage"] == 0
        stream = container.stats(decode=True)
        first, second = next(stream), next(stream)
        assert second["preread"] == first["read"]
        client.close()

    engine.in_its_network(conversation)
