"""A real plugin asked by the gate, through the stock CLI: what it denies is denied, and so is all when it is gone."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

from tidegate.gate.behind.authz_plugins import SOCKET_DIRECTORY

pytestmark = [needs_cli, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces and mounts")]
NAME = f"tidegate-test-{os.getpid()}"


@dataclass
class Plugin:
    """The plugin's process, where it is looked for by its name."""

    journal: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def path(self) -> Path:
        return SOCKET_DIRECTORY / f"{NAME}.sock"

    def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.e2e.authz_plugin", str(self.path), str(self.journal)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        deadline = time.monotonic() + 20
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(str(self.path)) != 0:
                assert time.monotonic() < deadline and self.process.poll() is None
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def asked(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()] if self.journal.exists() else []


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    running = Plugin(tmp_path_factory.mktemp("plugin") / "journal")
    running.start()
    yield running
    running.stop()
    running.path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def engine(plugin: Plugin) -> Iterator[RunningEngine]:
    with running_engine("--authorization-plugin", NAME) as running:
        yield running


def test_it_is_asked_before_and_after_and_nobody_notices(engine: RunningEngine, plugin: Plugin) -> None:
    ran = engine.docker("run", "--rm", "-i", "--network", "none", "busybox", "cat", stdin=b"through\n")
    assert (ran.returncode, ran.stdout) == (0, "through\n"), ran.stderr
    calls = [(each["call"], each["method"], str(each["uri"]).partition("?")[0]) for each in plugin.asked()]
    create = next(uri for _, method, uri in calls if method == "POST" and uri.endswith("/containers/create"))
    assert calls.index(("AuthZPlugin.AuthZReq", "POST", create)) < calls.index(("AuthZPlugin.AuthZRes", "POST", create))
    assert {each["user"] for each in plugin.asked()} == {"admin"}
    assert all(each["body"] and each["answer"] for each in plugin.asked() if each["uri"] == create and each["answer"])


def test_what_it_denies_is_denied_in_its_words(engine: RunningEngine) -> None:
    made = engine.docker("create", "--name", "forbidden", "busybox", "true")
    assert made.returncode == 1
    assert f"authorization denied by plugin {NAME}: that one is forbidden" in made.stderr
    assert engine.docker("ps", "-aq").stdout == ""


def test_it_sees_a_document_of_megabytes_to_its_end(engine: RunningEngine, plugin: Plugin, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.write_text("".join(f"label{number}={'x' * 1000}\n" for number in range(1500)))
    made = engine.docker("create", "--name", "big", "--label-file", str(labels), "busybox", "true")
    assert made.returncode == 0, made.stderr
    shown = [each for each in plugin.asked() if "create?name=big" in str(each["uri"])]
    assert [each["call"] for each in shown] == ["AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"]
    assert all(isinstance(each["body"], int) and each["body"] > 1_500_000 for each in shown)
    assert all(str(each["tail"]).endswith("}") for each in shown)
    assert engine.docker("inspect", "big").returncode == 0
    told = [each for each in plugin.asked() if str(each["uri"]).endswith("/containers/big/json")]
    assert isinstance(told[-1]["answer"], int) and told[-1]["answer"] > 1_500_000
    assert engine.docker("rm", "big").returncode == 0


def test_a_dead_one_lets_nothing_pass_and_a_new_one_does(engine: RunningEngine, plugin: Plugin) -> None:
    plugin.stop()
    assert engine.docker("run", "--rm", "busybox", "true").returncode == 125
    command, environment = engine.cli("ps")
    no_ping = environment | {"DOCKER_API_VERSION": "1.41"}  # whose refusal would have no words, being one to HEAD
    refused = subprocess.run(command, env=no_ping, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert f"plugin {NAME} failed with error" in refused.stderr
    plugin.start()
    assert engine.docker("run", "--rm", "--network", "none", "busybox", "true").returncode == 0
