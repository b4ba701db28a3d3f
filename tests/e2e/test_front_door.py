"""``tidegate up`` with roots and a port of its own, and the stock docker CLI at both doors."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root")
needs_cli = pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine")


@dataclass(frozen=True)
class FrontDoor:
    """A running engine and gate."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]

    def docker(
        self, *words: str, tls: bool = True, certificates: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the CLI over mutual TLS, or over the unix socket."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "DOCKER_CONFIG": str(self.root / "config")}
        if tls:
            path = certificates or self.root / "data/pki/clients/admin"
            environment |= {"DOCKER_HOST": f"tcp://127.0.0.1:{self.port}", "DOCKER_TLS_VERIFY": "1"}
            environment["DOCKER_CERT_PATH"] = str(path)
        else:
            environment["DOCKER_HOST"] = f"unix://{self.root}/docker.sock"
        command = ["timeout", "-s", "KILL", "60", "docker", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def door() -> Iterator[FrontDoor]:
    root = Path(tempfile.mkdtemp(prefix="tidegate-door-"))
    root.chmod(0o711)  # the gate, without privileges, must reach the engine's socket in it
    port = free_port()
    command = [sys.executable, "-m", "tidegate", "up", "-H", f"unix://{root}/docker.sock"]
    command += ["-H", f"tcp://127.0.0.1:{port}", "--tlsverify", "--data-root", f"{root}/data"]
    process = subprocess.Popen([*command, "--exec-root", f"{root}/exec"])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.fail("the gate did not begin to listen")
        yield FrontDoor(root, port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        shutil.rmtree(root)
    assert code == 0


@needs_cli
@pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
def test_the_cli_reaches_the_engine(door: FrontDoor, tls: bool) -> None:
    result = door.docker("version", "--format", "{{.Server.Version}} {{.Server.MinAPIVersion}}", tls=tls)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[1] == "1.24"


@needs_cli
def test_what_is_not_built_yet_names_itself(door: FrontDoor) -> None:
    result = door.docker("swarm", "init")
    assert result.returncode != 0
    assert "SwarmInit is not implemented" in result.stderr


@needs_cli
def test_without_a_certificate_the_cli_says_so(door: FrontDoor, tmp_path: Path) -> None:
    shutil.copy(door.root / "data/pki/ca.pem", tmp_path / "ca.pem")
    result = door.docker("--tlscert=", "--tlskey=", f"--tlscacert={tmp_path}/ca.pem", "version", certificates=tmp_path)
    assert result.returncode != 0
    assert "certificate required" in result.stderr + result.stdout


@needs_cli
def test_a_stranger_s_certificate_is_refused(door: FrontDoor, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "pki", "init", "--data-root", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    stranger = tmp_path / "pki/clients/admin"
    shutil.copy(door.root / "data/pki/ca.pem", stranger / "ca.pem")
    result = door.docker("version", certificates=stranger)
    assert result.returncode != 0
    assert "unknown certificate authority" in result.stderr + result.stdout


def test_plain_http_on_the_tls_port_is_told_so(door: FrontDoor) -> None:
    with socket.create_connection(("127.0.0.1", door.port), 10) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        answer = plain.recv(4096)
    assert answer.startswith(b"HTTP/1.0 400")
    assert b"Client sent an HTTP request to an HTTPS server." in answer


def test_the_gate_owns_nothing(door: FrontDoor) -> None:
    children = Path(f"/proc/{door.process.pid}/task/{door.process.pid}/children").read_text().split()
    gates = [pid for pid in children if b"tidegate.gate" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(gates) == 1
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{gates[0]}/status").read_text().splitlines() if ":\t" in line
    )
    assert set(status["Uid"].split()) == {"65534"}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-H", "tcp://127.0.0.1:2375"], "insist with --allow-plaintext"),
        (["-H", "tcp://0.0.0.0:2375", "--allow-plaintext"], "--allow-plaintext=public"),
        (["--no-such-flag"], "unrecognized arguments"),
        (["--data-root", "a", "--data-root", "b"], "is given twice"),
        (["--tls=maybe"], "neither true nor false"),
        (["--bip", "10.0.0.1/24"], "has no effect in this version"),
    ],
)
def test_a_wrong_start_is_one_clear_line(words: list[str], complaint: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "up", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1
