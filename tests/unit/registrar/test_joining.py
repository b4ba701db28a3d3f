"""``tidegate client invite`` here, ``tidegate client join`` there, over real TLS; and everything that can be wrong."""

import http.client
import json
import os
import shutil
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.registrar.front_door import FrontDoor, front_door

from tidegate.cli.gate_connection import verifying
from tidegate.cli.main import main
from tidegate.pki.authority import Authority
from tidegate.pki.joining.tokens import new_token


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    root = tmp_path_factory.mktemp("root")
    Authority(root, own_names=lambda: ("localhost",)).ensure_all()
    with front_door(root) as made:
        yield made


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


def invite(door: FrontDoor, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The words of the line that is printed."""
    arguments = ["client", "invite", *words, "--host", str(door), "--data-root", str(door.data_root)]
    assert main(arguments) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    command, *rest = line.split()
    assert command == "tidegate"
    return rest


def ask(door: FrontDoor, directory: Path) -> str:
    context = verifying((directory / "ca.pem").read_text())
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    connection = http.client.HTTPSConnection("localhost", door.port, context=context, timeout=10)
    connection.request("GET", "/who")
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


def test_the_line_makes_a_client_of_the_machine_it_is_typed_on(
    door: FrontDoor, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = invite(door, capsys, "alice", "--role", "operator", "--ttl", "10m")
    started_s = time.monotonic()
    assert main(line) == 0
    assert time.monotonic() - started_s < 10
    out = capsys.readouterr().out
    assert out.startswith("client alice, valid until")
    assert f"export DOCKER_HOST=tcp://localhost:{door.port} DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={config}" in out
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in config.iterdir()}
    assert modes == {"ca.pem": 0o644, "cert.pem": 0o644, "key.pem": 0o600, "tidegate-host": 0o644}
    assert ask(door, config) == "alice operator False"
    assert main(line) == 1  # the key that is there is not replaced
    assert "another key" in capsys.readouterr().err


def test_a_token_is_good_once_and_may_come_on_standard_input(
    door: FrontDoor, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    *line, token = invite(door, capsys, "bob", "--role", "ci", "--lifetime", "30m")
    read_end, write_end = os.pipe()
    os.write(write_end, f"{token}\n".encode())
    os.close(write_end)
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main([*line, "-", "--out", str(config / "one")]) == 0
    assert main([*line, token, "--out", str(config / "two")]) == 1
    assert capsys.readouterr().err.startswith("tidegate client: this invitation is not open")
    assert not (config / "two").exists()


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker CLI on this machine")
def test_a_docker_context_is_made_as_the_cli_would(
    door: FrontDoor, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = invite(door, capsys, "carol", "--role", "viewer")
    assert main([*line, "--context", "far"]) == 0
    assert "docker --context far version" in capsys.readouterr().out
    environment = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(config)}
    inspected = subprocess.run(
        ["docker", "context", "inspect", "far"], env=environment, capture_output=True, timeout=30, check=True
    )
    (document,) = json.loads(inspected.stdout)
    assert document["Endpoints"]["docker"] == {"Host": f"tcp://localhost:{door.port}", "SkipTLSVerify": False}
    assert sorted(document["TLSMaterial"]["docker"]) == ["ca.pem", "cert.pem", "key.pem"]
    assert ask(door, Path(document["Storage"]["TLSPath"]) / "docker") == "carol viewer False"
    assert main([*invite(door, capsys, "carol"), "--context", "far"]) == 1
    assert "there is a context far already" in capsys.readouterr().err


def refused(door: FrontDoor, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["client", "join", *words]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_whoever_is_in_between_gets_nothing(
    door: FrontDoor, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, _, token = invite(door, capsys, "dave", "--role", "ci")
    Authority(tmp_path / "other", own_names=lambda: ("localhost",)).ensure_all()
    with front_door(tmp_path / "other") as other:
        message = refused(door, capsys, str(other), token)
    assert "shows another CA than the one in the token" in message
    assert not config.exists()
    assert main(["client", "join", str(door), token]) == 0  # it was not used up


def test_a_ca_shown_by_a_server_that_is_not_of_it(
    door: FrontDoor, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anybody can show our public CA; the second handshake finds out."""
    _, _, _, token = invite(door, capsys, "erin", "--role", "ci")
    other = Authority(tmp_path / "other", own_names=lambda: ("localhost",))
    other.ensure_all()
    ours = (door.data_root / "pki/ca.pem").read_text()
    other.ca_path.write_text(other.ca_path.read_text() + ours)
    with front_door(tmp_path / "other") as between:
        message = refused(door, capsys, str(between), token)
    assert "is not of its CA" in message


def test_what_is_wrong_is_said_in_one_line(
    door: FrontDoor, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = invite(door, capsys, "frank", "--role", "ci")
    token = line[-1]
    made_up = str(new_token(ssl.PEM_cert_to_DER_cert((door.data_root / "pki/ca.pem").read_text())))
    unused = tmp_path / "unused"
    assert "not whole" in refused(door, capsys, str(door), token[:-3])
    assert "not open" in refused(door, capsys, str(door), made_up)
    assert "`tidegate pki server --tls-san 127.0.0.1`" in refused(door, capsys, f"127.0.0.1:{door.port}", token)
    assert "cannot be asked: Connection refused" in refused(door, capsys, "localhost:1", token)
    assert "cannot be resolved" in refused(door, capsys, "no-such-host.invalid", token)
    assert main([*line, "--out", str(unused)]) == 0


def test_a_data_root_means_nothing_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["client", "--data-root", "/x", "join", "host", "token"])
    assert "says nothing here" in capsys.readouterr().err


def raw(door: FrontDoor, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", door.port, context=context, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "complaint"),
    [
        ("GET", "/tidegate/v1/ca", b"", 200, "BEGIN CERTIFICATE"),
        ("POST", "/tidegate/v1/ca", b"", 405, "wants GET"),
        ("GET", "/tidegate/v1/enrol", b"", 405, "wants POST"),
        ("GET", "/tidegate/v1/ca?x=1", b"", 404, "there is no"),
        ("GET", "/tidegate/v1/../v1/ca", b"", 404, "there is no"),
        ("POST", "/tidegate/v1/enrol", b"junk", 400, "malformed"),
        ("POST", "/tidegate/v1/enrol", b'{"csr":"","proof":"","invitation":"","role":"admin"}', 400, "role"),
        ("POST", "/tidegate/v1/enrol", b'{"csr":"","proof":"","invitation":"../x"}', 401, "not open"),
        ("POST", "/tidegate/v1/enrol", b"x" * 70000, 413, "larger than"),
        ("POST", "/tidegate/v1/renew", b'{"csr":"","proof":""}', 401, "none was sent"),
        ("GET", "/v1.41/info", b"", 401, "no certificate"),
    ],
)
def test_on_the_wire(door: FrontDoor, method: str, path: str, body: bytes, status: int, complaint: str) -> None:
    got, answer = raw(door, method, path, body)
    assert (got, complaint in answer) == (status, True), answer
