"""``docker diff`` and ``docker commit``, with the stock CLI by both doors, and docker-py."""

import json
import os
from collections.abc import Iterator

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]
ALTER = "mkdir /new; echo one > /new/file; rm /bin/true; sleep 1000"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        made = ["run", "-d", "--name", "altered", "--network", "none", "-l", "a=b", "-e", "A=1"]
        assert running.docker(*made, "busybox", "sh", "-c", ALTER).returncode == 0
        while running.docker("exec", "altered", "test", "!", "-e", "/bin/true").returncode:
            continue
        yield running
        assert running.docker("rm", "-f", "altered").returncode == 0


@pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
def test_what_a_container_changed_becomes_an_image(engine: RunningEngine, tls: bool) -> None:
    assert engine.docker("diff", "altered", tls=tls).stdout.split("\n")[:-1] == [
        "C /bin", "D /bin/true", "A /new", "A /new/file",
    ]  # fmt: skip
    words = ["commit", "-m", "why", "-a", "me", "-c", "ENV B=2", "-c", 'CMD ["sh", "-c", "cat /new/file; echo $A$B"]']
    committed = engine.docker(*words, "altered", "mine:v1", tls=tls)
    assert committed.returncode == 0, committed.stderr
    assert engine.docker("run", "--rm", "--network", "none", "mine:v1", tls=tls).stdout == "one\n12\n"
    gone = engine.docker("run", "--rm", "--network", "none", "mine:v1", "ls", "/bin/true", "/dev", tls=tls)
    assert "/bin/true: No such file" in gone.stderr
    (image,) = json.loads(engine.docker("inspect", "mine:v1", tls=tls).stdout)
    assert (image["Id"], image["Author"]) == (committed.stdout.strip(), "me")
    assert image["Config"]["Labels"] == {"a": "b", "tidegate.owner": "admin:admin"}  # the owner's image too
    assert "why" in engine.docker("history", "mine:v1", tls=tls).stdout
    assert engine.docker("inspect", "-f", "{{.State.Status}}", "altered", tls=tls).stdout == "running\n"
    assert engine.docker("rmi", "mine:v1", tls=tls).returncode == 0


def test_docker_py(engine: RunningEngine) -> None:
    docker = pytest.importorskip("docker", reason="docker-py is not installed")

    def conversation() -> None:
        client = docker.DockerClient(base_url=f"unix://{engine.root}/docker.sock", timeout=30)
        container = client.containers.get("altered")
        assert {"Path": "/new/file", "Kind": 1} in container.diff()
        image = container.commit("py", "v2", message="m", author="a", changes="WORKDIR /new", conf={"User": "0"})
        assert image.tags == ["py:v2"]
        assert client.containers.run("py:v2", ["cat", "file"], remove=True, network_mode="none") == b"one\n"
        client.images.remove("py:v2")
        client.close()

    engine.in_its_network(conversation)
