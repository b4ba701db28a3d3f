"""Server key and CA changed under load: no connection in flight is dropped, nobody who renewed is refused."""

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.registrar.front_door import FrontDoor, front_door

from tidegate.base.errors import UnauthorizedError
from tidegate.cli.gate_connection import verifying
from tidegate.cli.main import main
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority
from tidegate.pki.clients import Clients


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontDoor]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    Authority(tmp_path, own_names=lambda: ("localhost",)).ensure_all()
    with front_door(tmp_path) as made:
        yield made


def join(door: FrontDoor, name: str) -> Path:
    token = Clients(Authority(door.data_root)).invite(name, "operator", timedelta(minutes=5), None)
    directory = door.data_root / "machines" / name
    assert main(["client", "join", str(door), str(token), "--out", str(directory)]) == 0
    return directory


def connect(door: FrontDoor, directory: Path) -> http.client.HTTPSConnection:
    context = verifying((directory / "ca.pem").read_text())
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return http.client.HTTPSConnection("localhost", door.port, context=context, timeout=10)


def ask(connection: http.client.HTTPSConnection) -> str:
    connection.request("GET", "/who")
    return connection.getresponse().read().decode()


def server_key(door: FrontDoor) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", door.port, context=context, timeout=10)
    connection.connect()
    assert isinstance(connection.sock, ssl.SSLSocket)
    der = connection.sock.getpeercert(binary_form=True)
    connection.close()
    assert der is not None
    certificate = certs.decode_certificate(ssl.DER_cert_to_PEM_cert(der).encode(), "shown")
    return certs.key_fingerprint(certs.public_key(certificate))


@contextmanager
def asking(door: FrontDoor, directory: Path, failures: list[BaseException]) -> Iterator[None]:
    """New connections and a kept one, all the while; the directory may change meanwhile."""
    stop = threading.Event()

    def load() -> None:
        kept = connect(door, directory)
        try:
            while not stop.is_set():
                ask(kept)
                fresh = connect(door, directory)
                ask(fresh)
                fresh.close()
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)
        finally:
            kept.close()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


def test_a_new_server_key_under_load(door: FrontDoor) -> None:
    directory, failures = join(door, "alice"), list[BaseException]()
    with asking(door, directory, failures):
        keys = {server_key(door)}
        for _ in range(5):
            generation = door.snapshot.certificate_pem
            assert main(["pki", "rotate-server", "--data-root", str(door.data_root)]) == 0
            door.wait_for(lambda snapshot, old=generation: snapshot.certificate_pem != old)  # type: ignore[misc]
            keys.add(server_key(door))
    assert failures == []
    assert len(keys) == 6


def test_a_new_ca_under_load(door: FrontDoor, capsys: pytest.CaptureFixture[str]) -> None:
    alice, bob, failures = join(door, "alice"), join(door, "bob"), list[BaseException]()
    loaded = door.data_root / "machines/loaded"
    kept, late = connect(door, alice), connect(door, bob)
    assert ask(kept) == "alice operator False"
    assert ask(late) == "bob operator False"
    root = ["--data-root", str(door.data_root)]
    assert main(["pki", "rotate-ca", "--begin", *root]) == 0
    door.wait_for(lambda snapshot: len(snapshot.trusted_issuers) == 2)
    assert ask(kept) == "alice operator False"
    assert ask(connect(door, bob)) == "bob operator False"
    assert main(["client", "renew", "--out", str(alice)]) == 0
    assert (alice / "ca.pem").read_text().count("BEGIN") == 2
    token = Clients(Authority(door.data_root)).invite("loaded", "ci", timedelta(minutes=5), None)
    assert main(["client", "join", str(door), str(token), "--out", str(loaded)]) == 0
    capsys.readouterr()
    assert main(["pki", "rotate-ca", *root]) == 0
    assert "bob has only one of the old CA" in capsys.readouterr().out
    assert main(["pki", "rotate-ca", "--finish", *root]) == 1
    with asking(door, loaded, failures):
        assert main(["pki", "rotate-ca", "--finish", "--force", *root]) == 0
        door.wait_for(lambda snapshot: len(snapshot.trusted_issuers) == 1)
        assert ask(connect(door, alice)) == "alice operator False"
    assert failures == []
    assert ask(kept) == "alice operator False"
    assert ask(late) == "bob operator False"  # what is connected stays
    with pytest.raises((ssl.SSLError, UnauthorizedError, OSError)):
        ask(connect(door, bob))
    assert main(["client", "renew", "--out", str(bob)]) == 1
    assert "is not of its CA" in capsys.readouterr().err
    assert main(["client", "renew", "--out", str(alice)]) == 0
    assert (alice / "ca.pem").read_text().count("BEGIN") == 1
    assert ask(connect(door, alice)) == "alice operator False"


def test_steps_as_typed(door: FrontDoor, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--data-root", str(door.data_root)]
    assert main(["pki", "rotate-ca", *root]) == 0
    assert capsys.readouterr().out == "the CA is not being changed\n"
    assert main(["pki", "rotate-ca", "--finish", *root]) == 1
    assert main(["pki", "rotate-ca", "--begin", *root]) == 0
    assert main(["pki", "rotate-ca", "--begin", *root]) == 1
    capsys.readouterr()
    assert main(["pki", "ls", *root]) == 0
    rows = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert rows[1:3] == [["ca", "ca", "valid"], ["ca", "next", "valid"]]
    assert main(["pki", "rotate-ca", *root]) == 0
    assert "every client has one" in capsys.readouterr().out
    assert main(["pki", "rotate-ca", "--finish", *root]) == 0
    with pytest.raises(SystemExit):
        main(["pki", "rotate-ca", "--begin", "--force", *root])
