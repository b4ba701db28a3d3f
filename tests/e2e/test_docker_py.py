"""docker-py as people use it, by ``from_env``, over mutual TLS and over the unix socket."""

import io
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

docker = pytest.importorskip("docker", reason="docker-py is not installed")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root")
Client = Any  # docker-py has no types


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


Converse = Callable[[Callable[[Client], None]], None]


@pytest.fixture(autouse=True)
def own_authorities_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """requests prefers the authorities that these name to docker-py's ``ca.pem``."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=[True, False], ids=["mtls", "unix"])
def converse(engine: RunningEngine, request: pytest.FixtureRequest) -> Converse:
    """Runs a conversation with a client, in the engine's network namespace; no container is left after it."""
    environment = {"DOCKER_HOST": f"unix://{engine.root}/docker.sock"}
    if request.param:
        environment = {"DOCKER_HOST": f"tcp://127.0.0.1:{engine.port}", "DOCKER_TLS_VERIFY": "1"}
        environment["DOCKER_CERT_PATH"] = str(engine.root / "data/pki/clients/admin")

    def run(conversation: Callable[[Client], None], **options: object) -> None:
        def work() -> None:
            client = docker.from_env(environment=environment, timeout=30, **options)
            with closing(client):
                try:
                    conversation(client)
                finally:
                    for container in client.containers.list(all=True):
                        container.remove(force=True)

        engine.in_its_network(work)

    return run


@pytest.mark.parametrize("version", ["1.24", "1.41", "1.47", "auto"])
def test_every_version_of_the_api_runs_a_container(converse: Any, version: str) -> None:
    def conversation(client: Client) -> None:
        assert client.ping()
        assert client.version()["MinAPIVersion"] == "1.24"
        assert client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True) == b"out\n"
        assert client.info()["Containers"] == 0
        if version != "1.24":  # the disk usage is of 1.25
            usage = client.df()
            assert usage["LayersSize"] == usage["Images"][0]["Size"] > usage["Images"][0]["SharedSize"] == 0

    converse(conversation, version=version)


def test_output_and_errors_of_a_run(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        both = client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2"], stderr=True, remove=True)
        assert sorted(both.splitlines()) == [b"err", b"out"]
        with pytest.raises(docker.errors.ContainerError) as failed:
            client.containers.run("busybox", ["sh", "-c", "echo why >&2; exit 3"], remove=True)
        assert (failed.value.exit_status, failed.value.stderr) == (3, b"why\n")
        with pytest.raises(docker.errors.APIError, match="executable file not found"):
            client.containers.run("busybox", "nosuch")
        with pytest.raises(docker.errors.NotFound):
            client.containers.get("nobody")
        lines = client.containers.run("busybox", ["seq", "1000"], stream=True, remove=True)
        assert b"".join(lines) == b"".join(b"%d\n" % number for number in range(1, 1001))

    converse(conversation)


def test_a_detached_container_s_life(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        script = "trap 'exit 5' TERM; echo here; while :; do sleep 0.1; done"
        options = {"name": "life", "labels": {"a": "b"}, "environment": {"X": "y"}, "mem_limit": "64m"}
        life = client.containers.run("busybox", ["sh", "-c", script], detach=True, hostname="hal", **options)
        assert life.status == "created"
        life.reload()
        assert (life.status, life.name, life.labels["a"]) == ("running", "life", "b")
        assert life.attrs["Config"]["Hostname"] == "hal"
        assert life.image.tags == ["busybox:latest"]
        assert [each.name for each in client.containers.list(filters={"label": "a=b"})] == ["life"]
        assert "X=y" in life.attrs["Config"]["Env"]
        deadline = time.monotonic() + 20
        while not any("sleep" in " ".join(row) for row in life.top()["Processes"]):  # crun is the process at first
            assert time.monotonic() < deadline
        life.pause()
        life.reload()
        assert life.status == "paused"
        life.unpause()
        life.rename("lived")
        life.restart(timeout=0)
        while life.logs().count(b"here") < 2:  # from then on it heeds the signal
            assert time.monotonic() < deadline
        life.stop(timeout=20)
        assert life.wait()["StatusCode"] == 5
        assert life.logs() == b"here\nhere\n"
        life.start()
        life.kill()
        assert life.wait()["StatusCode"] == 137
        life.remove()

    converse(conversation)


def test_execs_with_their_streams_apart_or_together(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        host = client.containers.run("busybox", ["sleep", "1000"], detach=True)
        script = ["sh", "-c", "echo out; echo err >&2; exit 4"]
        assert host.exec_run(script, demux=True) == (4, (b"out\n", b"err\n"))
        code, output = host.exec_run(script)
        assert (code, sorted(output.splitlines())) == (4, [b"err", b"out"])
        assert host.exec_run("id -u", user="nobody", workdir="/tmp").output == b"65534\n"
        assert host.exec_run(["sh", "-c", "echo $A; pwd"], environment=["A=b"], workdir="/etc").output == b"b\n/etc\n"
        pieces = list(host.exec_run(script, stream=True, demux=True).output)
        assert b"".join(out or b"" for out, _ in pieces) == b"out\n"
        assert b"".join(err or b"" for _, err in pieces) == b"err\n"
        assert b"/dev/pts/" in host.exec_run("tty", tty=True).output
        created = client.api.exec_create(host.id, ["sh", "-c", "tty; echo err >&2"], tty=True)
        assert client.api.exec_start(created).endswith(
            b"\r\nerr\r\n"
        )  # framed: the start does not say that there is a tty
        assert host.exec_run("nosuch").exit_code == 127
        assert host.exec_run("sleep 0", detach=True).output == ""

    converse(conversation)


def test_an_exec_is_spoken_to_on_its_socket(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        host = client.containers.run("busybox", ["sleep", "1000"], detach=True)
        _, stream = host.exec_run("cat", stdin=True, socket=True)
        raw = getattr(stream, "_sock", stream)
        raw.sendall(b"there and back")
        received = b""
        while len(received) < 8 + 14:
            received += raw.recv(4096)
        stream.close()
        assert received == b"\x01\0\0\0\0\0\0\x0ethere and back"

    converse(conversation)


def test_attach_sees_output_from_the_first_byte_and_gives_input(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        quiet = client.containers.create("busybox", ["sh", "-c", "echo first; read x; echo got $x"], stdin_open=True)
        stream = quiet.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        quiet.start()
        raw = getattr(stream, "_sock", stream)
        raw.sendall(b"this\n")
        assert quiet.wait()["StatusCode"] == 0
        received = b""
        while data := raw.recv(4096):
            received += data
        stream.close()
        assert received == b"\x01\0\0\0\0\0\0\x06first\n\x01\0\0\0\0\0\0\x09got this\n"
        again = client.containers.create("busybox", ["sh", "-c", "echo out; echo err >&2"])
        output = again.attach(stream=True, demux=True)
        again.start()
        assert sorted(output, key=str) == [(None, b"err\n"), (b"out\n", None)]
        assert again.attach(logs=True, stream=False) in (b"out\nerr\n", b"err\nout\n")

    converse(conversation)


def test_logs_are_followed_and_cut(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        script = "for i in 1 2 3 4 5; do echo line $i; done; sleep 0.2; echo last"
        teller = client.containers.run("busybox", ["sh", "-c", script], detach=True)
        assert b"".join(teller.logs(stream=True, follow=True)).endswith(b"line 5\nlast\n")
        assert teller.logs(tail=2) == b"line 5\nlast\n"
        stamped = teller.logs(timestamps=True, tail=1)
        assert stamped.endswith(b"Z last\n")
        assert teller.logs(stdout=False) == b""
        teller.wait()
        assert teller.logs(since=teller.attrs["Created"] and 2_000_000_000) == b""

    converse(conversation)


def test_a_terminal_is_resized(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        script = "read x; stty size"
        shell = client.containers.run("busybox", ["sh", "-c", script], tty=True, stdin_open=True, detach=True)
        stream = shell.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        shell.resize(height=31, width=97)
        getattr(stream, "_sock", stream).sendall(b"\n")
        shell.wait()
        stream.close()
        assert shell.logs().split(b"\r\n")[-2] == b"31 97"

    converse(conversation)


def test_images_are_imported_saved_loaded_tagged_and_removed(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            member = tarfile.TarInfo("greeting")
            member.size = 5
            tar.addfile(member, io.BytesIO(b"hello"))
        client.api.import_image_from_data(layer.getvalue(), repository="mine", tag="v1")
        mine = client.images.get("mine:v1")
        assert mine.tag("localhost/other", tag="v2")
        archive = b"".join(client.images.get("localhost/other:v2").save(named=True))
        client.images.remove("mine:v1")
        client.images.remove("localhost/other:v2")
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get(mine.id)
        (loaded,) = client.images.load(archive)
        assert (loaded.id, loaded.tags) == (mine.id, ["localhost/other:v2"])
        assert loaded.history()[0]["Size"] == 5
        assert mine.id in {each.id for each in client.images.list()}
        assert [each.id for each in client.images.list(name="localhost/other")] == [mine.id]
        client.images.remove(mine.id, force=True)

    converse(conversation)


def test_volumes_outlive_containers_and_are_pruned(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        kept = client.volumes.create("kept", labels={"of": "docker-py"})
        client.containers.run(
            "busybox", ["sh", "-c", "echo text > /v/f"], remove=True, volumes={"kept": {"bind": "/v", "mode": "rw"}}
        )
        mount = docker.types.Mount("/w", "kept", type="volume", read_only=True)
        assert client.containers.run("busybox", ["cat", "/w/f"], remove=True, mounts=[mount]) == b"text\n"
        assert kept.attrs["Labels"] == {"of": "docker-py"}
        assert [each.name for each in client.volumes.list(filters={"label": "of"})] == ["kept"]
        kept.remove()
        with pytest.raises(docker.errors.NotFound):
            client.volumes.get("kept")
        client.volumes.prune()

    converse(conversation)


def test_networks_are_listed_with_who_is_on_them(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        assert {each.name for each in client.networks.list()} == {"bridge", "host", "none"}
        on = client.containers.run("busybox", ["sleep", "1000"], detach=True, ports={"80/tcp": ("127.0.0.1", None)})
        bridge = client.networks.get("bridge")
        assert [each.id for each in bridge.containers] == [on.id]
        on.reload()
        (published,) = on.ports["80/tcp"]
        assert published["HostIp"] == "127.0.0.1"
        assert int(published["HostPort"]) > 1024

    converse(conversation)


def test_events_tell_a_container_s_life_in_docker_s_order(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        seen: list[str] = []
        stream = client.events(decode=True, filters={"type": "container"})

        def listen() -> None:
            for event in stream:
                seen.append(event["Action"])
                if event["Action"] == "destroy":
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        client.containers.run("busybox", "true", remove=True, detach=False)
        listener.join(20)
        stream.close()
        assert [action for action in seen if action != "attach"] == ["create", "start", "die", "destroy"]

    converse(conversation)


def test_what_is_not_built_yet_says_so(converse: Converse) -> None:
    def conversation(client: Client) -> None:
        with pytest.raises(docker.errors.APIError, match="ImageBuild is not implemented"):
            client.images.build(fileobj=io.BytesIO(b"FROM busybox"))
        with pytest.raises(docker.errors.APIError, match="NetworkCreate is not implemented"):
            client.networks.create("own")

    converse(conversation)
