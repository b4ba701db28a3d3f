"""SIGHUP to the process of the pidfile: settings change under running containers and open streams."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

from tidegate.gate.behind.authz_plugins import SOCKET_DIRECTORY

pytestmark = needs_cli
FILE = {"dns": ["10.9.8.7"], "mtu": 1400, "log-format": "json", "icc": False}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("configuration") / "daemon.json"
    profile = path.with_name("profile.json")
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}))
    path.write_text(json.dumps({**FILE, "labels": ["rack=1"], "seccomp-profile": str(profile)}))
    return path


@pytest.fixture(scope="module")
def engine(file: Path) -> Iterator[RunningEngine]:
    with running_engine("--config-file", str(file), "--pidfile", str(file.parent / "pid")) as running:
        yield running


def hang_up(file: Path) -> None:
    os.kill(int((file.parent / "pid").read_text()), signal.SIGHUP)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def info(engine: RunningEngine) -> dict[str, Any]:
    return dict(json.loads(engine.docker("info", "--format", "json").stdout))


def test_a_reload_is_told_and_cuts_nothing(engine: RunningEngine, file: Path) -> None:
    assert (info(engine)["Labels"], info(engine)["Debug"]) == (["rack=1"], False)
    command, environment = engine.cli("events", "--format", "json", "--filter", "type=daemon", limit_s=60)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as events:
        until(lambda: info(engine)["NEventsListener"] == 1)
        changed: dict[str, Any] = {
            "labels": ["rack=2"],
            "mtu": 9000,
            "debug": True,
            "runtimes": {"other": {"path": "crun"}},
        }
        changed["default-runtime"] = "other"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
        hang_up(file)
        assert events.stdout is not None
        event = json.loads(events.stdout.readline())
        assert (event["Type"], event["Action"], event["Actor"]["ID"]) == ("daemon", "reload", info(engine)["ID"])
        attributes = event["Actor"]["Attributes"]
        assert (attributes["labels"], attributes["debug"], attributes["name"]) == (
            '["rack=2"]', "true", info(engine)["Name"],
        )  # fmt: skip
        events.kill()
    assert (info(engine)["Labels"], info(engine)["Debug"]) == (["rack=2"], True)
    assert (info(engine)["DefaultRuntime"], info(engine)["Runtimes"]["other"]["path"]) == ("other", "crun")
    assert engine.docker("create", "--name", "later", "busybox", "true").returncode == 0
    assert engine.docker("inspect", "-f", "{{.HostConfig.Runtime}}", "later").stdout == "other\n"
    assert engine.docker("start", "-a", "later").returncode == 0
    log = (engine.root / "log").read_text()
    assert "mtu: was changed in the configuration, and needs a restart to take effect" in log
    assert "dns:" not in log


def test_a_file_that_cannot_be_used_changes_nothing(engine: RunningEngine, file: Path) -> None:
    good = file.read_text()
    for bad in ('{"labels": ["no value"]}', '{"authorization-plugins": ["missing"]}', '{"labels"', '{"hots": []}'):
        before = (engine.root / "log").read_text().count("is not reloaded, and nothing has changed")
        file.write_text(bad)
        hang_up(file)
        until(lambda: (engine.root / "log").read_text().count("is not reloaded, and nothing has changed") > before)  # noqa: B023
    assert info(engine)["Labels"] == ["rack=2"]
    file.write_text(good)


def test_a_plugin_is_asked_from_the_reload_on(engine: RunningEngine, file: Path) -> None:
    good = file.read_text()
    name = f"tidegate-test-reload-{os.getpid()}"
    SOCKET_DIRECTORY.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as nobody_listens:
        nobody_listens.bind(str(SOCKET_DIRECTORY / f"{name}.sock"))
        try:
            file.write_text(json.dumps({**json.loads(good), "authorization-plugins": [name]}))
            hang_up(file)
            until(lambda: f"plugin {name} failed" in engine.docker("ps").stderr)
        finally:
            (SOCKET_DIRECTORY / f"{name}.sock").unlink()
    file.write_text(good)
    hang_up(file)
    until(lambda: engine.docker("ps").returncode == 0)


def test_defaults_of_the_file_are_for_containers_that_do_not_say(engine: RunningEngine) -> None:
    run = ("run", "--rm", "--network", "bridge")
    show = ("busybox", "sh", "-c", "cat /etc/resolv.conf /sys/class/net/eth0/mtu")
    done = engine.docker(*run, *show)
    assert done.stdout.splitlines() == ["nameserver 10.9.8.7", "1400"], done.stderr
    assert engine.docker(*run, "--dns", "10.1.1.1", *show).stdout.splitlines() == ["nameserver 10.1.1.1", "1400"]


def test_what_links_do_not_open_with_icc_off_is_told(engine: RunningEngine) -> None:
    assert engine.docker("run", "-d", "--name", "server", "busybox", "sleep", "60").returncode == 0
    done = engine.docker("create", "--link", "server:db", "busybox", "true")
    assert done.returncode == 0 and "Links give names and variables only" in done.stderr
    assert engine.docker("rm", "-f", "server").returncode == 0


def test_the_profile_of_the_file_is_for_containers_that_do_not_say(engine: RunningEngine) -> None:
    done = engine.docker("run", "--rm", "busybox", "mkdir", "/x")
    assert done.returncode == 1 and "Operation not permitted" in done.stderr
    assert engine.docker("run", "--rm", "--security-opt", "seccomp=builtin", "busybox", "mkdir", "/x").returncode == 0
    assert engine.docker("run", "--rm", "--privileged", "busybox", "mkdir", "/x").returncode == 0
    assert "name=seccomp,profile=custom" in info(engine)["SecurityOptions"]


def test_every_line_of_the_log_is_a_document(engine: RunningEngine) -> None:
    lines = [json.loads(line) for line in (engine.root / "log").read_text().splitlines()]
    assert {"registrar", "gate"} <= {line["process"] for line in lines}
    answered = next(line for line in lines if line.get("operation") == "ContainerCreate")
    assert (answered["principal"], answered["status"], answered["level"]) == ("CN=admin", 201, "info")
    assert all({"time", "level", "msg"} <= line.keys() for line in lines)
    assert {line["setting"] for line in lines if "setting" in line} == {"mtu"}
