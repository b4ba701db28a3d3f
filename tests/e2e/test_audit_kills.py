"""A gate that is killed at any moment leaves an audit that verifies, and the next start goes on with it."""

import os
import signal
import subprocess
import sys
import threading
from random import Random

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root")
KILLS = 3


def audit(door: RunningEngine, action: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tidegate", "audit", action, "--data-root", f"{door.root}/data", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ask_for_ever(door: RunningEngine, stop: threading.Event, answered: list[int]) -> None:
    while not stop.is_set():
        if door.docker("ps", "-q", limit_s=5).returncode == 0:
            answered[0] += 1


def test_kills_under_load_leave_a_whole_audit() -> None:
    random = Random(7)
    answered = [0]
    with running_engine() as door:
        for _ in range(KILLS):
            stop = threading.Event()
            clients = [threading.Thread(target=ask_for_ever, args=(door, stop, answered)) for _ in range(3)]
            for client in clients:
                client.start()
            stop.wait(0.5 + random.random())
            os.kill(door.children()["gate"], signal.SIGKILL)
            stop.set()
            for client in clients:
                client.join()
            door.process.wait(30)  # the family ends with its gate
            verified = audit(door, "verify")
            assert verified.returncode == 0, verified.stdout + verified.stderr
            door.start()
        assert door.docker("ps").returncode == 0
        verified = audit(door, "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        listed = audit(door, "query", "--operation", "ContainerList", "--verdict", "allowed").stdout.splitlines()
        assert len(listed) >= answered[0]
