"""Log drivers with the stock docker CLI: options, attributes, rotation and what cannot be read."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine("--log-opt", "labels=team", "--log-opt", "max-size=1m") as running:
        yield running


def test_attributes_of_json_file_stand_in_the_log_and_in_details(engine: RunningEngine) -> None:
    options = ["--log-opt", "tag={{.Name}}/{{.ImageName}}", "--log-opt", "env-regex=^(WHO|WHAT)$"]
    asked = [*options, "--label", "team=a b", "--label", "other=x", "-e", "WHO=me"]
    assert engine.docker("run", "--name", "told", *asked, "busybox", "echo", "hello").returncode == 0
    details = engine.docker("logs", "--details", "told").stdout
    assert details == "WHO=me,tag=told%2Fbusybox,team=a+b hello\n"
    inspected = json.loads(engine.docker("inspect", "told").stdout)[0]
    assert inspected["HostConfig"]["LogConfig"] == {
        "Type": "json-file",
        "Config": {
            "max-size": "1m",
            "labels": "team",
            "tag": "{{.Name}}/{{.ImageName}}",
            "env-regex": "^(WHO|WHAT)$",
        },
    }
    record = json.loads(Path(inspected["LogPath"]).read_text())
    assert record["log"] == "hello\n" and record["attrs"] == {"WHO": "me", "tag": "told/busybox", "team": "a b"}


def test_a_log_is_read_and_followed_across_rotation_and_compression(engine: RunningEngine) -> None:
    options = ["--log-driver", "local", "--log-opt", "max-size=200k", "--log-opt", "max-file=100"]
    script = "seq 1 30000; read x; seq 30001 40000"
    assert engine.docker("run", "-di", "--name", "turned", *options, "busybox", "sh", "-c", script).returncode == 0
    command, environment = engine.cli("logs", "-f", "turned")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as following:
        assert engine.docker("attach", "turned", stdin=b"go\n").returncode == 0
        followed = following.communicate(timeout=60)[0]
    wanted = "".join(f"{number}\n" for number in range(1, 40001))
    assert followed == wanted
    assert engine.docker("logs", "turned").stdout == wanted
    assert engine.docker("logs", "--tail", "15000", "turned").stdout == "".join(f"{n}\n" for n in range(25001, 40001))
    assert json.loads(engine.docker("inspect", "turned").stdout)[0]["LogPath"] == ""


def test_without_a_log_there_is_nothing_to_read(engine: RunningEngine) -> None:
    run = engine.docker("run", "--name", "silent", "--log-driver", "none", "busybox", "echo", "said")
    assert (run.returncode, run.stdout) == (0, "said\n")
    read = engine.docker("logs", "silent")
    assert read.returncode == 1 and "configured logging driver does not support reading" in read.stderr


class Receiver:
    """A TCP peer in the engine's network that keeps what it reads."""

    def __init__(self, engine: RunningEngine, port: int = 0) -> None:
        self.server = engine.in_its_network(lambda: socket.create_server(("127.0.0.1", port)))
        self.port = int(self.server.getsockname()[1])
        self.data = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                with connection, suppress(ConnectionError):
                    while piece := connection.recv(1 << 20):
                        self.data += piece
                self.data = self.data[: self.data.rfind(b"\n") + 1]  # of a sender that was killed

    def texts(self) -> list[str]:
        """What syslog messages say."""
        return [line.partition(" - ")[2] for line in self.data.decode().split("\n")[:-1]]

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.texts()[-1:]:
            assert time.monotonic() < deadline, self.texts()[-3:]
            time.sleep(0.01)


def killed(pids: Iterable[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}/root").exists():
            time.sleep(0.001)


def test_a_remote_log_survives_killed_engines_and_forwarders(engine: RunningEngine) -> None:
    receiver = Receiver(engine)
    options = ["--log-driver", "syslog", "--log-opt", f"syslog-address=tcp://127.0.0.1:{receiver.port}"]
    options += ["--log-opt", "syslog-format=rfc5424", "--log-opt", "tag={{.Name}}", "--log-opt", "cache-max-size=50k"]
    options += ["--log-opt", "cache-max-file=100"]
    script = "for i in $(seq 40); do seq $((i * 1000)) $((i * 1000 + 999)); sleep 0.05; done; echo end"
    assert engine.docker("run", "-d", "--name", "far", *options, "busybox", "sh", "-c", script).returncode == 0
    for _ in range(3):
        killed(engine.forwarder_pids())
        time.sleep(0.3)
    killed([engine.children()["engine"]])
    engine.process.wait(30)
    killed(engine.forwarder_pids())
    engine.start()
    receiver.wait_for("end")
    wanted = [str(number) for number in range(1000, 41000)] + ["end"]
    assert list(dict.fromkeys(receiver.texts())) == wanted
    assert b" far " in receiver.data
    assert engine.docker("logs", "far").stdout.splitlines() == wanted
    assert engine.docker("logs", "--tail", "2", "far").stdout == "40999\nend\n"


def test_the_log_of_a_removed_container_waits_for_its_remote(engine: RunningEngine) -> None:
    options = ["--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:5140"]
    options += ["--log-opt", "syslog-format=rfc5424", "--log-opt", "mode=blocking"]
    run = engine.docker("run", "--rm", *options, "busybox", "seq", "1000")
    assert run.returncode == 0 and "the container does not wait for its remote log" in run.stderr
    receiver = Receiver(engine, 5140)
    receiver.wait_for("1000")
    assert receiver.texts() == [str(number) for number in range(1, 1001)]
    assert engine.docker("rm", "-f", "far").returncode == 0
    deadline = time.monotonic() + 20
    while engine.forwarder_pids() or list((engine.root / "data/logs").glob("*/*.log*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_cache_that_is_disabled_cannot_be_read(engine: RunningEngine) -> None:
    options = [
        "--log-driver",
        "gelf",
        "--log-opt",
        "gelf-address=udp://127.0.0.1:9",
        "--log-opt",
        "cache-disabled=true",
    ]
    assert engine.docker("run", "--name", "uncached", *options, "busybox", "echo", "hello").returncode == 0
    assert "does not support reading" in engine.docker("logs", "uncached").stderr
    assert engine.docker("rm", "uncached").returncode == 0


def test_an_unknown_option_is_named(engine: RunningEngine) -> None:
    refused = engine.docker("create", "--log-opt", "colour=red", "busybox")
    assert "unknown log opt 'colour' for json-file log driver" in refused.stderr
