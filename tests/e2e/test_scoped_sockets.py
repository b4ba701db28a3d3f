"""Sockets for Traefik, Watchtower, autoheal, Portainer and CI jobs as docs/migration.md has them, through docker-py.

Each program does what it is there for, and cannot do what a socket of the engine would let it do besides.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.e2e.running_engine import needs_cli
from tests.e2e.running_gate import Fronted, debian_dockerd, gate_before, save_busybox
from tests.unit.access.test_migration_guide import roles_of_the_guide

docker = pytest.importorskip("docker", reason="docker-py is not installed")
pytestmark = [needs_cli, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: engines, namespaces and mounts")]
ROLES = {"traefik": "traefik", "watchtower": "watchtower", "autoheal": "autoheal", "portainer": "viewer"}
Client = Any  # docker-py has no types


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    archive = save_busybox(tmp_path_factory.mktemp("image"))
    sockets = [f"--gate-socket=ROOT/{name}.sock,role={role}" for name, role in ROLES.items()]
    with (
        debian_dockerd(archive, tmp_path_factory.mktemp("engine")) as (sock, netns),
        gate_before(sock, netns, *sockets, access=roles_of_the_guide()) as fronted,
    ):
        run = ("run", "-d", "--name", "web", "--network", "none", "-e", "PASSWORD=secret", "-l", "traefik.enable=true")
        fronted.ok(*run, "busybox", "sh", "-c", "echo started; sleep 1000")
        yield fronted
        fronted.ok("rm", "-f", "web")


def client(gate: Fronted, name: str) -> Client:
    return docker.DockerClient(base_url=f"unix://{gate.root}/{name}.sock", version="1.41", timeout=30)


def refused(call: Any, *words: object, **options: object) -> str:
    with pytest.raises(docker.errors.APIError) as caught:
        call(*words, **options)
    assert caught.value.status_code == 403
    return str(caught.value.explanation)


@pytest.mark.parametrize("name", ROLES)
def test_none_of_them_is_a_way_to_the_host(gate: Fronted, name: str) -> None:
    with closing(client(gate, name)) as own:
        web = own.containers.get("web")
        assert f"role {ROLES[name]}" in refused(own.containers.create, "busybox", volumes=["/:/host"])
        refused(own.api.exec_create, "web", ["id"])
        refused(web.get_archive, "/etc/passwd")
        refused(lambda: b"".join(web.export()))
        refused(web.remove)
        refused(own.api.inspect_swarm)
        assert web.attrs["Config"]["Env"][0] == "PASSWORD=<redacted>"


def test_traefik_reads_labels_and_listens(gate: Fronted) -> None:
    with closing(client(gate, "traefik")) as traefik:
        (web,) = traefik.containers.list(filters={"label": "traefik.enable=true"})
        assert web.labels["traefik.enable"] == "true"
        assert traefik.version()["ApiVersion"] == "1.41"
        events = list(traefik.events(since=1, until=web.attrs["Created"].partition(".")[0] + "Z", decode=True))
        assert all("Type" in event for event in events)
        refused(web.logs)
        refused(web.restart)
        refused(traefik.images.list)


def test_watchtower_looks_for_what_is_old(gate: Fronted) -> None:
    with closing(client(gate, "watchtower")) as watchtower:
        web = watchtower.containers.get("web")
        assert watchtower.images.get(web.attrs["Image"]).tags == ["busybox:latest"]
        web.restart(timeout=0)


def test_autoheal_restarts_what_is_ill_and_reads_nothing_else(gate: Fronted) -> None:
    with closing(client(gate, "autoheal")) as autoheal:
        before = autoheal.containers.get("web").attrs["State"]["StartedAt"]
        autoheal.containers.get("web").restart(timeout=0)
        assert autoheal.containers.get("web").attrs["State"]["StartedAt"] != before
        refused(autoheal.containers.get("web").logs)
        refused(autoheal.containers.get("web").stop)


def test_portainer_looks_on(gate: Fronted) -> None:
    with closing(client(gate, "portainer")) as portainer:
        assert portainer.info()["Containers"] == 1
        assert "web" in {each.name for each in portainer.containers.list()}
        assert b"started" in portainer.containers.get("web").logs()
        assert portainer.images.list() and portainer.networks.list() and portainer.volumes.list() == []
        refused(portainer.containers.get("web").stop)


def test_a_job_has_its_own_and_sees_nothing_else(gate: Fronted) -> None:
    with closing(client(gate, "ci")) as job:
        assert job.containers.list() == []
        with pytest.raises(docker.errors.NotFound):
            job.containers.get("web")
        own = job.containers.run("busybox", "sleep 100", detach=True, network_mode="none")
        assert job.containers.list() == [own]
        assert own.exec_run(["echo", "hi"]).output == b"hi\n"
        own.remove(force=True)
        assert "/" in refused(job.containers.create, "busybox", volumes=["/:/host"])
