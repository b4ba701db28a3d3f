"""Links on the default bridge: names, variables, an address that changes, and their end."""

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]
SLEEP = ("busybox", "sleep", "1000")


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        start(running, "--name", "db", "--hostname", "box", "-e", "COLOUR=red", "--expose", "5432")
        start(running, "--name", "web", "--link", "db:store")
        yield running
        running.docker("rm", "-f", "web", "db")


def start(engine: RunningEngine, *options: str) -> None:
    done = engine.docker("run", "-d", *options, *SLEEP)
    assert done.returncode == 0, done.stderr


def inspect(engine: RunningEngine, name: str, template: str) -> str:
    return engine.docker("inspect", "-f", template, name).stdout.strip()


def address(engine: RunningEngine, name: str) -> str:
    return inspect(engine, name, "{{.NetworkSettings.Networks.bridge.IPAddress}}")


def hosts_line(engine: RunningEngine) -> list[str]:
    lines = engine.docker("exec", "web", "grep", "store", "/etc/hosts").stdout.splitlines()
    return lines[0].split() if lines else []


def test_a_link_is_in_hosts_and_in_the_environment(engine: RunningEngine) -> None:
    at = address(engine, "db")
    assert hosts_line(engine) == [at, "store", "box", "db"]
    variables = engine.docker("exec", "web", "env").stdout.splitlines()
    wanted = [f"STORE_PORT=tcp://{at}:5432", "STORE_NAME=/web/store", "STORE_ENV_COLOUR=red"]
    assert set(wanted) <= set(variables)
    assert engine.docker("exec", "web", "ping", "-c1", "-W5", "store").returncode == 0
    assert inspect(engine, "web", "{{json .HostConfig.Links}}") == '["/db:/web/store"]'
    assert inspect(engine, "db", "{{json .HostConfig.Links}}") == "null"
    shown = engine.docker("ps", "--no-trunc", "--filter", "name=db", "--format", "{{.Names}}").stdout.strip()
    assert shown == "db,web/store"


def test_a_link_follows_a_restart_with_another_address(engine: RunningEngine) -> None:
    before = address(engine, "db")
    assert engine.docker("stop", "-t", "0", "db").returncode == 0
    start(engine, "--name", "squatter")
    assert address(engine, "squatter") == before
    assert engine.docker("start", "db").returncode == 0
    after = address(engine, "db")
    assert after != before and hosts_line(engine)[0] == after
    engine.docker("rm", "-f", "squatter")


def test_a_link_to_what_does_not_run_or_exist_is_refused(engine: RunningEngine) -> None:
    assert engine.docker("create", "--name", "still", *SLEEP).returncode == 0
    refused = engine.docker("run", "--rm", "--link", "still", *SLEEP)
    assert "Cannot link to a non running container: /still AS" in refused.stderr
    missing = engine.docker("create", "--link", "gone", *SLEEP)
    assert "could not get container for gone" in missing.stderr and "Unable to find image" not in missing.stderr
    engine.docker("rm", "still")


def test_a_link_is_removed_and_both_containers_stay(engine: RunningEngine) -> None:
    assert "Cannot get parent /none" in engine.docker("rm", "--link", "none/store").stderr
    removed = engine.docker("rm", "--link", "/web/store")
    assert removed.returncode == 0, removed.stderr
    assert hosts_line(engine) == []
    assert inspect(engine, "web", "{{json .HostConfig.Links}}") == "null"
    assert len(engine.docker("ps", "-q").stdout.split()) == 2
