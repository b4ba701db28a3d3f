"""The doctor at the real gate: what works, and what the gate itself refuses, is explained as it is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.debian_packages import unpack
from bench.peers import Peer, dockerd
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

from tidegate.pki.authority import Authority

PACKAGES = Path(__file__).parents[2] / "build/bench"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root")


@pytest.fixture(scope="module")
def door() -> Iterator[RunningEngine]:
    with running_engine() as engine:
        yield engine


def tidegate(door: RunningEngine, *words: str) -> "subprocess.CompletedProcess[str]":
    command = ["nsenter", f"--net={door.root}/netns", sys.executable, "-m", "tidegate", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def explained(door: RunningEngine, certificates: Path) -> dict[str, Any]:
    done = tidegate(
        door, "doctor", "--connect", f"tcp://127.0.0.1:{door.port}", "--cert-path", str(certificates), "--json"
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["id"] == "ok" else 1)
    return found


def test_the_administrator_gets_in(door: RunningEngine) -> None:
    assert explained(door, door.root / "data/pki/clients/admin")["id"] == "ok"


def test_who_brings_no_certificate(door: RunningEngine, tmp_path: Path) -> None:
    shutil.copy(door.root / "data/pki/ca.pem", tmp_path)
    assert explained(door, tmp_path)["id"] == "no-certificate"


def test_who_was_revoked(door: RunningEngine, tmp_path: Path) -> None:
    data_root = ("--data-root", f"{door.root}/data")
    made = tidegate(door, "client", "create", "alice", "--role", "viewer", "--out", str(tmp_path), *data_root)
    assert made.returncode == 0, made.stderr
    assert explained(door, tmp_path)["id"] == "ok"
    revoked = tidegate(door, "client", "revoke", "alice", "--reason", "left", *data_root)
    assert revoked.returncode == 0, revoked.stderr
    found = explained(door, tmp_path)
    assert found["id"] == "revoked"
    assert "left" in found["what"]


def test_who_belongs_elsewhere(door: RunningEngine, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "tidegate", "pki", "init", "--data-root", str(tmp_path)], check=True, capture_output=True
    )
    stranger = tmp_path / "pki/clients/admin"
    assert "which is no CA of ca.pem" in explained(door, stranger)["what"]
    shutil.copy(door.root / "data/pki/ca.pem", stranger)
    assert explained(door, stranger)["what"] == "the server does not know the CA of the client's certificate"


def test_a_host_with_a_sound_tidegate_has_no_finding_worse_than_low(door: RunningEngine) -> None:
    """Of this engine: others may run on the machine."""
    done = tidegate(door, "doctor", "--json", "--data-root", f"{door.root}/data")
    report = json.loads(done.stdout)
    pids = {f"pid {pid}" for pid in [door.process.pid, *door.children().values()]}
    ours = [
        finding
        for finding in report["findings"]
        if str(door.root) in finding["where"] or any(pid in finding["where"].split(", ") for pid in pids)
    ]
    assert [finding for finding in ours if finding["severity"] not in ("info", "low")] == []


@needs_cli
def test_a_host_with_dockerd_only(tmp_path: Path) -> None:
    """Debian's dockerd with a door that worms look for, and a container that owns the host."""
    try:
        packages = unpack(PACKAGES)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"Debian's docker.io cannot be fetched here: {error}")
    archive = tmp_path / "busybox.tar"
    with running_engine() as engine:
        assert engine.docker("save", "-o", str(archive), "busybox").returncode == 0
    authority = Authority(tmp_path)
    authority.ensure_all()
    with dockerd(packages, authority.directory, archive, tls=False, more_flags=["-Htcp://127.0.0.1:2375"]) as peer:
        peer.docker("create", "--name", "owner", "-v", "/:/host", "--cap-add", "SYS_ADMIN", "busybox", "true")
        peer.socket_path.chmod(0o666)
        command = ["nsenter", f"--net={peer.netns_path}", sys.executable, "-m", "tidegate", "doctor", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = json.loads(done.stdout)
        ours = [each for each in report["findings"] if any(word in each["where"] for word in _of(peer))]
    assert done.returncode == 1
    found = {finding["id"] for finding in ours}
    assert {
        "plaintext-api",
        "engine-plaintext",
        "host-root-mounted",
        "strong-capabilities",
        "cis-2.7",
        "cis-2.14",
    } <= found
    plaintext = next(finding for finding in ours if finding["id"] == "plaintext-api")
    assert plaintext["where"].startswith("tcp://127.0.0.1:2375 (dockerd, pid ")
    assert "socket-open-to-all" in found


def _of(peer: Peer) -> list[str]:
    """What a finding about this dockerd names."""
    return [str(peer.root), "tcp://127.0.0.1:2375", *(f"dockerd, pid {pid}" for pid in peer.processes())]
