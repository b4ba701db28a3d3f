"""The volumes and binds of another container, through the docker CLI."""

import json
import os
import shutil
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
    with running_engine() as running:
        yield running


def test_volumes_and_binds_are_shared_with_their_modes(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host\n")
    binds = ["-v", "/data", "-v", "named:/named", "-v", f"{tmp_path}:/host:ro"]
    made = engine.docker("create", "--name", "db", "--network", "none", *binds, "busybox", "true")
    assert made.returncode == 0, made.stderr
    run = ["run", "--rm", "--network", "none"]
    script = "echo hi > /data/x; echo ho > /named/x; cat /host/file; touch /host/y"
    shown = engine.docker(*run, "--volumes-from", "db", "busybox", "sh", "-c", script)
    assert shown.stdout == "from the host\n" and "/host/y: Read-only file system" in shown.stderr
    script = "cat /data/x /named/x; touch /data/y; touch /named/y"
    shown = engine.docker(*run, "--volumes-from", "db:ro", "busybox", "sh", "-c", script)
    assert shown.stdout == "hi\nho\n" and shown.stderr.count("Read-only file system") == 2
    assert engine.docker("create", "--name", "heir", "--volumes-from", "db:ro", "busybox", "true").returncode == 0
    mounts = json.loads(engine.docker("inspect", "-f", "{{json .Mounts}}", "heir").stdout)
    assert {each["Destination"]: each["RW"] for each in mounts} == dict.fromkeys(["/data", "/named", "/host"], False)
    copied = engine.docker("cp", "heir:/data/x", "-")
    assert copied.returncode == 0 and "hi" in copied.stdout
    in_use = engine.docker("volume", "rm", "named")
    assert "volume is in use" in in_use.stderr
    assert engine.docker("rm", "heir").returncode == 0
    assert engine.docker("rm", "-v", "db").returncode == 0
    missing = engine.docker("create", "--volumes-from", "db", "busybox", "true")
    assert "No such container: db" in missing.stderr
