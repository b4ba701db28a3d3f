"""Log drivers with the stock docker CLI: options, attributes, rotation and what cannot be read."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
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


def test_an_unknown_option_is_named(engine: RunningEngine) -> None:
    refused = engine.docker("create", "--log-opt", "colour=red", "busybox")
    assert "unknown log opt 'colour' for json-file log driver" in refused.stderr
