"""``tidegate up`` with roots and a port of its own, and the stock docker CLI at both doors."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root")


@pytest.fixture(scope="module")
def door() -> Iterator[RunningEngine]:
    with running_engine() as engine:
        yield engine


@needs_cli
@pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
def test_the_cli_reaches_the_engine(door: RunningEngine, tls: bool) -> None:
    result = door.docker("version", "--format", "{{.Server.Version}} {{.Server.MinAPIVersion}}", tls=tls)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[1] == "1.24"


@needs_cli
def test_what_is_not_built_yet_names_itself(door: RunningEngine) -> None:
    result = door.docker("swarm", "init")
    assert result.returncode != 0
    assert "SwarmInit is not implemented" in result.stderr


@needs_cli
def test_without_a_certificate_the_cli_says_so(door: RunningEngine, tmp_path: Path) -> None:
    shutil.copy(door.root / "data/pki/ca.pem", tmp_path / "ca.pem")
    result = door.docker("--tlscert=", "--tlskey=", f"--tlscacert={tmp_path}/ca.pem", "version", certificates=tmp_path)
    assert result.returncode != 0
    assert "wants a client certificate and none was sent" in result.stderr


@needs_cli
def test_a_stranger_s_certificate_is_refused(door: RunningEngine, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "pki", "init", "--data-root", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    stranger = tmp_path / "pki/clients/admin"
    shutil.copy(door.root / "data/pki/ca.pem", stranger / "ca.pem")
    result = door.docker("version", certificates=stranger)
    assert result.returncode != 0
    assert "unknown certificate authority" in result.stderr + result.stdout


def test_an_installation_proves_itself_by_a_container(door: RunningEngine) -> None:
    command = ["nsenter", f"--net=/proc/{door.process.pid}/ns/net", sys.executable, "-m", "tidegate", "proof"]
    command += ["--data-root", f"{door.root}/data", "--port", str(door.port), "--socket", f"{door.root}/docker.sock"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert "hello from a container, through mutual TLS on port 2376\n" in result.stdout


def test_every_decision_is_in_an_audit_that_verifies(door: RunningEngine) -> None:
    assert door.docker("ps").returncode == 0
    command = [sys.executable, "-m", "tidegate", "audit", "--data-root", f"{door.root}/data"]
    found = subprocess.run(
        [*command[:4], "query", *command[4:], "--operation", "ContainerList", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    last = json.loads(found.stdout.splitlines()[-1])
    assert (last["principal"], last["allowed"], last["outcome"]["status"]) == ("CN=admin", True, 200)
    verified = subprocess.run([*command[:4], "verify", *command[4:]], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_plain_http_on_the_tls_port_is_told_so(door: RunningEngine) -> None:
    with door.in_its_network(lambda: socket.create_connection(("127.0.0.1", door.port), 10)) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        answer = plain.recv(4096)
    assert answer.startswith(b"HTTP/1.0 400")
    assert b"Client sent an HTTP request to an HTTPS server." in answer


def test_the_gate_owns_nothing(door: RunningEngine) -> None:
    gate = door.children()["gate"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{gate}/status").read_text().splitlines() if ":\t" in line
    )
    assert set(status["Uid"].split()) == {"65534"}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"  # a filter: tests/kernel/test_gate_filters.py tells what it refuses


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-H", "tcp://127.0.0.1:2375"], "insist with --allow-plaintext"),
        (["-H", "tcp://0.0.0.0:2375", "--allow-plaintext"], "--allow-plaintext=public"),
        (["--no-such-flag"], "unrecognized arguments"),
        (["--data-root", "a", "--data-root", "b"], "is given twice"),
        (["--tls=maybe"], "neither true nor false"),
        (["--bip", "10.0.0.9/24"], "must be the first address of 10.0.0.0/24"),
        (["--log-opt", "colour=red"], "unknown log opt 'colour' for json-file log driver"),
        (["--group", "no-such-group"], "no group 'no-such-group'"),
        (["--no-live-restore", "--live-restore"], "contradicts"),
    ],
)
def test_a_wrong_start_is_one_clear_line(words: list[str], complaint: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "up", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


@needs_cli
def test_several_workers_share_the_port() -> None:
    """Which worker answers is the kernel's choice; here each must have had some of the connections."""
    with running_engine("--gate-workers", "2") as engine:
        assert {"gate", "gate-2"} <= engine.children().keys()
        for _ in range(32):
            result = engine.docker("version", "--format", "{{.Server.Version}}")
            assert result.returncode == 0, result.stderr
        workers = [pid for name, pid in engine.children().items() if name.startswith("gate")]
        used = [int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11]) for pid in workers]
        assert all(used), f"user time of the workers in ticks: {used}"


def test_a_taken_port_is_named_before_anything_starts(door: RunningEngine, tmp_path: Path) -> None:
    up = [sys.executable, "-m", "tidegate", "up", "-H", f"tcp://127.0.0.1:{door.port}", "--tlsverify"]
    up += ["--data-root", f"{tmp_path}/data", "--exec-root", f"{tmp_path}/exec", "--bridge", "tgtaken"]
    command = ["nsenter", f"--net={door.root}/netns", *up]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    assert f"cannot listen on tcp://127.0.0.1:{door.port}: Address already in use" in result.stderr
    assert not (tmp_path / "exec/shim").exists()
