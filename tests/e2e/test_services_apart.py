"""``tidegate engine`` and ``tidegate gate`` as services apart: each tells when it is ready, and restarts alone."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="the engine must run as root"), needs_cli]


METRICS = "127.0.0.1:9323"


def figures(engine: RunningEngine) -> list[str]:
    """The lines of the gate's page, the engine's among them."""

    def fetch() -> bytes:
        with urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=10) as answer:
            return bytes(answer.read())

    return engine.in_its_network(fetch).decode().splitlines()


@contextmanager
def service(engine: RunningEngine, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command of ours, started as systemd does; entered when it has told that it is ready."""
    path = engine.root / f"notify-{words[0]}"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, (engine.root / "log").open("ab") as log:
        manager.bind(str(path))
        manager.settimeout(60)
        process = subprocess.Popen(
            ["nsenter", f"--net={engine.root}/netns", sys.executable, "-m", "tidegate", *words],
            env={**os.environ, "NOTIFY_SOCKET": str(path)},
            stdout=log,
            stderr=log,
        )
        try:
            assert manager.recv(100) == b"READY=1", (engine.root / "log").read_text()[-2000:]
            yield process
        finally:
            process.terminate()
            assert process.wait(30) == 0
        assert manager.recv(100) == b"STOPPING=1"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        running.process.terminate()
        assert running.process.wait(30) == 0
        yield running
        running.start()


@pytest.fixture(scope="module")
def settings(engine: RunningEngine) -> Path:
    """One file for both, as units have it."""
    path = engine.root / "daemon.json"
    document = {
        "hosts": [f"unix://{engine.root}/docker.sock", "tcp://127.0.0.1:2376"],
        "data-root": f"{engine.root}/data",
        "exec-root": f"{engine.root}/exec",
        "bridge": engine.name,
        "pidfile": f"{engine.root}/pid",
        "metrics-addr": METRICS,
    }
    path.write_text(json.dumps(document))
    return path


def test_each_restarts_without_the_other_and_without_the_containers(engine: RunningEngine, settings: Path) -> None:
    file = ("--config-file", str(settings))
    with service(engine, "engine", *file) as first, service(engine, "gate", *file) as gate:
        assert (engine.root / "pid").read_text().strip() == str(first.pid)
        made = engine.docker("run", "-d", "--name", "living", "busybox", "sleep", "1000")
        assert made.returncode == 0, made.stderr
        pid = engine.docker("inspect", "-f", "{{.State.Pid}}", "living").stdout.strip()
        first.terminate()
        assert first.wait(30) == 0
        refused = engine.docker("ps")
        assert refused.returncode == 1
        assert "engine" in refused.stderr  # of the gate, which has lived on
        assert "tidegate_engine_up 0" in figures(engine)
        with service(engine, "engine", *file):
            assert gate.poll() is None
            assert {"tidegate_engine_up 1", 'engine_daemon_container_states_containers{state="running"} 1'} <= set(
                figures(engine)
            )
            assert engine.docker("inspect", "-f", "{{.State.Pid}}", "living").stdout.strip() == pid
            assert engine.docker("exec", "living", "cat", "/proc/1/comm").stdout == "sleep\n"
            environment = Path(f"/proc/{engine.shim_pids()[0]}/environ").read_bytes()
            assert b"NOTIFY_SOCKET" not in environment
            gate.terminate()
            assert gate.wait(30) == 0
            assert engine.docker("ps", "-q", tls=False).stdout.strip()
            with service(engine, "gate", *file):
                assert engine.docker("rm", "-f", "living").returncode == 0
