"""The gate before engines of other people: Debian's dockerd, and Podman. As an administrator nothing changes; a
developer is confined, whatever the engine behind would have done."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import needs_cli
from tests.e2e.running_gate import Fronted, debian_dockerd, gate_before, podman, save_busybox

pytestmark = [needs_cli, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: engines, namespaces and mounts")]


@pytest.fixture(scope="module")
def busybox_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_busybox(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module", params=[debian_dockerd, podman], ids=["dockerd", "podman"])
def fronted(
    request: pytest.FixtureRequest, busybox_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fronted]:
    scratch = tmp_path_factory.mktemp("engine")
    with request.param(busybox_archive, scratch) as (sock, netns), gate_before(sock, netns) as gate:
        yield gate


def test_an_administrator_notices_no_gate(fronted: Fronted) -> None:
    fronted.ok("version")
    assert fronted.ok("run", "--rm", "--network", "none", "busybox", "echo", "hello") == "hello\n"
    assert (
        fronted.ok("run", "-i", "--rm", "--network", "none", "busybox", "cat", stdin=b"x" * 300_000).count("x")
        == 300_000
    )
    fronted.ok("run", "-d", "--name", "web", "--network", "none", "busybox", "sh", "-c", "echo started; sleep 300")
    assert fronted.ok("exec", "web", "echo", "inside") == "inside\n"
    assert "started" in fronted.ok("logs", "web")
    assert "web" in fronted.ok("ps", "--format", "{{.Names}}")
    fronted.ok("rm", "-f", "web")


def test_a_developer_is_confined_whatever_the_engine_would_have_done(fronted: Fronted) -> None:
    for words in (["-v", "/:/host"], ["--privileged"], ["--pid=host"], ["--security-opt", "seccomp=unconfined"]):
        refused = fronted.docker("run", "--rm", *words, "busybox", "true", name="dev")
        assert refused.returncode == 125
        assert b"role developer" in refused.stderr
    fronted.ok("run", "-d", "--name", "theirs", "--network", "none", "busybox", "sleep", "300")
    try:
        assert b"No such container" in fronted.docker("exec", "theirs", "true", name="dev").stderr
        fronted.ok("run", "-d", "--name", "mine", "--network", "none", "busybox", "sleep", "300", name="dev")
        assert fronted.ok("exec", "mine", "echo", "hi", name="dev") == "hi\n"
        fronted.ok("rm", "-f", "mine", name="dev")
    finally:
        fronted.ok("rm", "-f", "theirs")
