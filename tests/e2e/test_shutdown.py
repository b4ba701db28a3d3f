"""What a clean stop of the engine does to containers, and which settings reach it."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from tests.e2e.running_engine import running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]


def test_containers_run_on_or_stop_as_asked() -> None:
    with running_engine("--bip", "10.97.0.1/24", "--log-opt", "max-file=2", "--shutdown-timeout", "1") as engine:
        assert engine.docker("run", "-d", "--name", "once", "busybox", "sleep", "1000").returncode == 0
        policy = ("--restart", "unless-stopped")
        assert engine.docker("run", "-d", "--name", "again", *policy, "busybox", "sleep", "1000").returncode == 0
        address = engine.docker("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "once").stdout
        assert address.startswith("10.97.0.")
        pids = [engine.docker("inspect", "-f", "{{.State.Pid}}", name).stdout.strip() for name in ("once", "again")]

        engine.process.send_signal(signal.SIGTERM)
        assert engine.process.wait(30) == 0
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        assert engine.shim_pids()

        engine.options = (*engine.options, "--no-live-restore")
        engine.start()
        engine.process.send_signal(signal.SIGTERM)
        assert engine.process.wait(60) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

        engine.start()
        assert engine.docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "once").stdout == "exited 137\n"
        deadline = time.monotonic() + 30
        while engine.docker("inspect", "-f", "{{.State.Status}}", "again").stdout != "running\n":
            assert time.monotonic() < deadline, "the restart policy was not followed at boot"
        assert engine.docker("rm", "-f", "once", "again").returncode == 0


def test_a_stop_without_containers_leaves_no_process() -> None:
    with running_engine() as engine:
        assert engine.docker("run", "--rm", "busybox", "true").returncode == 0
        assert engine.shim_pids()
        engine.process.send_signal(signal.SIGTERM)
        assert engine.process.wait(30) == 0
        deadline = time.monotonic() + 10
        while engine.shim_pids():
            assert time.monotonic() < deadline, "the shim outlived an engine without containers"
            time.sleep(0.02)
        engine.start()
        assert engine.docker("run", "--rm", "busybox", "echo", "again").stdout == "again\n"


def test_engine_and_gate_end_with_the_command_that_started_them() -> None:
    with running_engine() as engine:
        children = engine.children()
        engine.process.kill()
        engine.process.wait()
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}/root").exists() for pid in children.values()):
            assert time.monotonic() < deadline, "engine or gate outlived tidegate up"
            time.sleep(0.02)
        engine.start()
        assert engine.docker("version").returncode == 0
