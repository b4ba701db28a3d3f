"""Certificates come to an end, CAs are changed, other CAs take theirs back: with the stock CLI, while streams run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.ocsp import OCSPCertStatus
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine
from tests.unit.pki.foreign_ca import DAY, ForeignCA, now
from tests.unit.registrar.ocsp_responder import Responder, answering

from tidegate.pki.authority import Authority
from tidegate.pki.durable_files import write_durably

OCSP_PORT = 8888
pytestmark = [needs_cli, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces and mounts")]


def tidegate(engine: RunningEngine, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command, in the engine's network."""
    command = ["nsenter", f"--net={engine.root}/netns", sys.executable, "-m", "tidegate", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def done(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


@contextmanager
def echo(engine: RunningEngine, certificates: Path) -> Iterator[Callable[[str], str]]:
    """A container that repeats each line, attached all the while; "" once it is no more."""
    command, environment = engine.cli("run", "--rm", "-i", "busybox", "cat", certificates=certificates, limit_s=120)
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def repeat(line: str) -> str:
        with suppress(BrokenPipeError):
            stdin.write(f"{line}\n")
            stdin.flush()
        return stdout.readline().rstrip("\n")

    assert repeat("begun") == "begun"
    try:
        yield repeat
    finally:
        with suppress(BrokenPipeError):
            stdin.close()
        stdout.close()
        process.wait(30)


def wait_for_the_cut(repeat: Callable[[str], str], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while repeat("still there?"):
        assert time.monotonic() < deadline, "it goes on"


def test_everything_is_changed_and_nothing_in_flight_is_dropped(tmp_path: Path) -> None:
    with running_engine() as engine:
        root = ("--data-root", f"{engine.root}/data")
        alice = tmp_path / "alice"
        invited = done(tidegate(engine, "client", "invite", "alice", "--role", "admin", "--host", "127.0.0.1", *root))
        done(tidegate(engine, *invited.split()[1:], "--out", str(alice)))
        with echo(engine, alice) as repeat:
            done(tidegate(engine, "pki", "rotate-server", *root))
            assert repeat("a new server key") == "a new server key"
            assert engine.docker("version", certificates=alice).returncode == 0
            done(tidegate(engine, "pki", "rotate-ca", "--begin", *root))
            assert engine.docker("version", certificates=alice).returncode == 0
            assert "would" not in done(tidegate(engine, "pki", "rotate-ca", *root))
            assert tidegate(engine, "pki", "rotate-ca", "--finish", *root).returncode == 1
            done(tidegate(engine, "client", "renew", "--out", str(alice)))
            assert engine.docker("version", certificates=alice).returncode == 0
            done(tidegate(engine, "pki", "rotate-ca", "--finish", *root))
            assert repeat("a new CA") == "a new CA"
            done(tidegate(engine, "client", "renew", "--revoke-old", "--out", str(alice)))
            assert repeat("and another key") == "and another key"
            assert engine.docker("version", certificates=alice).returncode == 0
            assert engine.docker("version").returncode == 0  # the administrator's own was renewed with the CA
            revoked = done(tidegate(engine, "client", "revoke", "alice", *root))
            assert revoked.count("of alice") == 2
            wait_for_the_cut(repeat)
        assert "was revoked" in engine.docker("version", certificates=alice).stderr


class ForeignHost:
    """The files of an engine whose clients are of another CA."""

    def __init__(self, root: Path) -> None:
        self.ca = ForeignCA("Acme CA")
        self.root = root
        server = Authority(root / "server", own_names=lambda: ("127.0.0.1", "localhost"))
        server.ensure_all()
        self.server_ca = server.ca_path
        (root / "ca.pem").write_text(self.ca.pem)
        self.crl = root / "crl.pem"
        self.write_crl()
        pair = server.server_directory
        files = ("--tlscacert", f"{root}/ca.pem", "--tlscert", f"{pair}/cert.pem", "--tlskey", f"{pair}/key.pem")
        self.options = (*files, "--tls-crl", str(self.crl))

    def bind(self, engine: RunningEngine) -> None:
        """Make everybody an administrator there."""
        binding = '[[bindings]]\nrole = "admin"\ncommon_name = "*"\n'
        write_durably(engine.root / "data/access/access.toml", binding.encode(), 0o600)

    def write_crl(self, *revoked: x509.Certificate, over: bool = False) -> None:
        updates = (now() - 3 * DAY, now() - DAY) if over else (now() - DAY, now() + DAY)
        crl = self.ca.crl(*revoked, updates=updates)
        write_durably(self.crl, crl.public_bytes(serialization.Encoding.PEM), 0o644)

    def client(self, name: str) -> tuple[Path, x509.Certificate]:
        certificate, key = self.ca.client(name)
        directory = self.root / name
        directory.mkdir()
        (directory / "ca.pem").write_bytes(self.server_ca.read_bytes())
        (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "key.pem").write_bytes(_pem(key))
        return directory, certificate


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_another_ca_takes_its_certificates_back(tmp_path: Path) -> None:
    host = ForeignHost(tmp_path)
    alice, alice_certificate = host.client("alice")
    bob, _ = host.client("bob")
    with running_engine(*host.options) as engine:
        assert "no role" in engine.docker("version", certificates=alice).stderr
        host.bind(engine)
        with echo(engine, alice) as repeat, echo(engine, bob) as repeat_for_bob:
            host.write_crl(alice_certificate)
            wait_for_the_cut(repeat)
            assert repeat_for_bob("and bob?") == "and bob?"
            assert "was revoked by its CA" in engine.docker("version", certificates=alice).stderr
            assert engine.docker("version", certificates=bob).returncode == 0
            host.write_crl(over=True)
            wait_for_the_cut(repeat_for_bob)
        assert "revocation list is out of date" in engine.docker("version", certificates=bob).stderr
        host.write_crl()
        assert engine.docker("version", certificates=bob).returncode == 0


def test_another_ca_says_by_its_responder_whom_it_took_back(tmp_path: Path) -> None:
    host = ForeignHost(tmp_path)
    alice, certificate = host.client("alice")
    responder = Responder(host.ca, {certificate.serial_number: certificate}, lasts=timedelta(seconds=20))
    with running_engine(*host.options, "--tls-ocsp", f"http://127.0.0.1:{OCSP_PORT}/") as engine:
        host.bind(engine)
        assert "OCSP responder http://" in engine.docker("version", certificates=alice).stderr

        def listen(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
            return engine.in_its_network(lambda: ThreadingHTTPServer(("127.0.0.1", OCSP_PORT), handler))

        with answering(responder, listen):
            deadline = time.monotonic() + 20
            while (
                engine.docker("version", certificates=alice).returncode != 0
            ):  # that it was away is remembered a while
                assert time.monotonic() < deadline
            with echo(engine, alice) as repeat:
                assert repeat("good") == "good"
                responder.status = OCSPCertStatus.REVOKED
                wait_for_the_cut(repeat, limit_s=30)
            assert "is revoked to its CA's OCSP responder" in engine.docker("version", certificates=alice).stderr
