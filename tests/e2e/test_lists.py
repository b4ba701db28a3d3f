"""``docker ps`` with its filters, sizes and limits: the stock CLI by both doors, and docker-py."""

import json
import os
from collections.abc import Iterator

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        script = "head -c 1000000 /dev/zero > /file; sleep 1000"
        for words in (
            ["run", "-d", "--name", "first", "-p", "127.0.0.1:8081:80", "-l", "of=a", "busybox", "sh", "-c", script],
            ["create", "--name", "second", "-v", "data:/data", "--expose", "53/udp", "busybox", "true"],
            ["create", "--name", "third", "--network", "none", "busybox", "true"],
        ):
            assert running.docker(*words).returncode == 0
        yield running
        assert running.docker("rm", "-f", "first", "second", "third").returncode == 0


@pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["-a"], "third second first"),
        ([], "first"),
        (["-n", "2"], "third second"),
        (["-l"], "third"),
        (["-a", "-f", "before=third"], "second first"),
        (["-a", "-f", "since=first"], "third second"),
        (["-a", "-f", "ancestor=busybox"], "third second first"),
        (["-a", "-f", "publish=8081"], "first"),
        (["-a", "-f", "expose=53/udp"], "second"),
        (["-a", "-f", "network=none"], "third"),
        (["-a", "-f", "volume=data", "-f", "health=none"], "second"),
        (["-f", "status=created", "-f", "name=^/second$"], "second"),
        (["-a", "-f", "is-task=true"], ""),
        (["-a", "-f", "label=of", "-f", "label=of=a"], "first"),
    ],
)
def test_filters(engine: RunningEngine, tls: bool, words: list[str], names: str) -> None:
    shown = engine.docker("ps", "--format", "{{.Names}}", *words, tls=tls)
    assert shown.stdout.split() == names.split(), shown.stderr


def test_sizes(engine: RunningEngine) -> None:
    shown = engine.docker("ps", "-s", "--format", "{{.Size}}", "-f", "name=first").stdout
    assert shown.startswith("1MB (virtual "), shown
    (found,) = json.loads(engine.docker("inspect", "-s", "first").stdout)
    assert 1_000_000 <= found["SizeRw"] < 1_100_000 < found["SizeRootFs"]
    assert "SizeRw" not in json.loads(engine.docker("inspect", "first").stdout)[0]
    assert "invalid filter 'status=alive'" in engine.docker("ps", "-f", "status=alive").stderr


def test_docker_py_and_prune(engine: RunningEngine) -> None:
    docker = pytest.importorskip("docker", reason="docker-py is not installed")

    def conversation() -> None:
        client = docker.DockerClient(base_url=f"unix://{engine.root}/docker.sock", timeout=30)
        assert [each.name for each in client.containers.list(all=True, before="third", since="first")] == ["second"]
        assert [each.name for each in client.containers.list(limit=1)] == ["third"]
        client.containers.create("busybox", "true", name="pruned", labels={"gone": "1"})
        pruned = client.containers.prune(filters={"label": ["gone=1"], "until": "0s"})
        assert len(pruned["ContainersDeleted"]) == 1
        client.containers.create("busybox", "true", name="kept", labels={"gone": "1"})
        assert client.containers.prune(filters={"until": "24h"})["ContainersDeleted"] == []
        client.containers.get("kept").remove()
        client.close()

    engine.in_its_network(conversation)
