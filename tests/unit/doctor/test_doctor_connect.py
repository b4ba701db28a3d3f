"""Each of the twelve wrong set-ups, made for real against a TLS server on loopback, gets its one line and its mend."""

import json
import shutil
import ssl
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tls_server import ping, proxy, serving

from tidegate.base.errors import InvalidParameterError
from tidegate.cli.doctor.client_files import read_client_files
from tidegate.cli.doctor.connection import Observation, Target, choose_proxy, observe, parse_target
from tidegate.cli.doctor.explain import Diagnosis, explain
from tidegate.cli.doctor_command import certificate_directory
from tidegate.cli.main import main
from tidegate.http.messages import Request, Response
from tidegate.http.tls_context import context_of_texts
from tidegate.pki import certificates as certs

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class World:
    """A CA, a server and a client of it; both certificates can be made otherwise."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.ca_key = certs.new_key()
        self.issuer = certs.Issuer(certs.make_ca(self.ca_key, NOW - 100 * DAY), self.ca_key)
        (directory / "ca.pem").write_bytes(certs.encode_certificate(self.issuer.certificate))
        self.client()
        self.server()

    def leaf(
        self, purpose: certs.Purpose, start: datetime, days: int, names: tuple[str, ...] = ()
    ) -> tuple[certs.PrivateKey, x509.Certificate]:
        key = certs.new_key()
        what = certs.Leaf(key.public_key(), "it", purpose, names)
        return key, certs.make_leaf(self.issuer, what, start, timedelta(days=days))

    def client(self, purpose: certs.Purpose = certs.Purpose.CLIENT, start: datetime = NOW, days: int = 30) -> None:
        key, self.certificate = self.leaf(purpose, start, days)
        (self.directory / "cert.pem").write_bytes(certs.encode_certificate(self.certificate))
        (self.directory / "key.pem").write_bytes(certs.encode_key(key))

    def server(
        self, start: datetime = NOW, days: int = 30, names: tuple[str, ...] = ("127.0.0.1", "localhost")
    ) -> None:
        self.server_key, self.server_certificate = self.leaf(certs.Purpose.SERVER, start, days, names)

    def context(self, optional: bool = False) -> ssl.SSLContext:
        ca, certificate = (
            certs.encode_certificate(c).decode() for c in (self.issuer.certificate, self.server_certificate)
        )
        return context_of_texts(ca, certificate, certs.encode_key(self.server_key).decode(), optional=optional)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@dataclass(frozen=True)
class Attempt:
    """How the doctor is sent out."""

    directory: Path | None
    tls: bool = True
    proxy_port: int | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def at(self, port: int) -> Diagnosis:
        by = f"http://127.0.0.1:{self.proxy_port}" if self.proxy_port else ""
        files = read_client_files(self.directory) if self.directory is not None else None
        return explain(observe(Target("127.0.0.1", port, self.tls, by), files), self.now)


def told(found: Diagnosis, id_: str, *words: str) -> None:
    assert found.id == id_, found
    line = f"{found.what}; {found.mend}"
    assert "\n" not in line
    assert found.mend
    for word in words:
        assert word in line


def test_what_works_says_so(world: World) -> None:
    with serving(world.context()) as port:
        found = Attempt(world.directory).at(port)
    assert (found.id, found.mend) == ("ok", "")
    assert "answers to CN=it, whose certificate is good for 2" in found.what


# ---------------------------------------------------------------- the twelve


@pytest.mark.parametrize("versions", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_1_no_certificate(world: World, versions: ssl.TLSVersion) -> None:
    for name in ("cert.pem", "key.pem"):
        (world.directory / name).unlink()
    context = world.context()
    context.maximum_version = versions
    with serving(context) as port:
        told(Attempt(world.directory).at(port), "no-certificate", "there is no cert.pem and key.pem in", "client join")


def test_1_no_certificate_where_the_server_says_it_in_http(world: World) -> None:
    (world.directory / "cert.pem").unlink()

    async def refuse(_request: Request) -> Response:
        return Response(401, (), b'{"message": "tidegate: no certificate"}')

    with serving(world.context(optional=True), refuse) as port:
        told(Attempt(world.directory).at(port), "no-certificate", "there is no cert.pem in", "client join")


def test_2_wrong_ca_on_the_client_s_side(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    shutil.copy(other.directory / "ca.pem", world.directory / "ca.pem")
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "wrong-ca", "by CN=Tidegate CA", "which is no CA of ca.pem")
    (world.directory / "ca.pem").unlink()
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "wrong-ca", "there is no ca.pem")


def test_2_wrong_ca_on_the_server_s_side(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    shutil.copy(world.directory / "ca.pem", other.directory / "ca.pem")
    with serving(world.context()) as port:
        told(Attempt(other.directory).at(port), "wrong-ca", "the server does not know the CA", "client invite")


def test_3_expired(world: World) -> None:
    world.client(start=NOW - 10 * DAY, days=5)
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "expired", "the client's certificate has expired on", "client renew")
    world.client()
    world.server(start=NOW - 10 * DAY, days=5)
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "expired", "the server's certificate has expired", "pki server")


def test_4_not_yet_valid(world: World) -> None:
    world.client(start=NOW + 2 * DAY)
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "not-yet-valid", "is not valid before", "wait until then")


def test_5_revoked(world: World) -> None:
    builder = x509.CertificateRevocationListBuilder().issuer_name(world.issuer.certificate.subject)
    builder = builder.last_update(NOW - DAY).next_update(NOW + DAY)
    entry = x509.RevokedCertificateBuilder().serial_number(world.certificate.serial_number).revocation_date(NOW - DAY)
    crl = builder.add_revoked_certificate(entry.build()).sign(world.ca_key, hashes.SHA256())
    context = world.context()
    path = world.directory / "crl.pem"
    path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    context.load_verify_locations(path)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    with serving(context) as port:
        told(Attempt(world.directory).at(port), "revoked", "was revoked", "ask the administrator")


def test_5_revoked_where_the_server_says_it_in_http(world: World) -> None:
    async def refuse(_request: Request) -> Response:
        return Response(403, (), b'{"message": "tidegate: the certificate 0A of CN=it is revoked: left"}')

    with serving(world.context(), refuse) as port:
        told(Attempt(world.directory).at(port), "revoked", "is revoked: left", "ask the administrator")


def test_6_wrong_purpose(world: World) -> None:
    world.client(certs.Purpose.SERVER)
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "wrong-purpose", "is not made for clients", "client invite")


def test_7_wrong_name(world: World) -> None:
    world.server(names=("docker.example", "10.1.2.3"))
    with serving(world.context()) as port:
        found = Attempt(world.directory).at(port)
    told(found, "wrong-name", "is for docker.example, 10.1.2.3, not for 127.0.0.1", "--tls-san 127.0.0.1")


def test_8_plaintext_to_tls(world: World) -> None:
    with serving(world.context()) as port:
        told(Attempt(None, tls=False).at(port), "plaintext-to-tls", "speaks TLS", "DOCKER_TLS_VERIFY=1")


def test_9_tls_to_plaintext(world: World) -> None:
    with serving(None) as port:
        told(Attempt(world.directory).at(port), "tls-to-plaintext", "does not speak TLS", "2376")


def test_10_wrong_key(world: World) -> None:
    (world.directory / "key.pem").write_bytes(certs.encode_key(certs.new_key()))
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "wrong-key", "not the key of the cert.pem beside it", "the same place")


def test_11_a_proxy_that_refuses(world: World) -> None:
    with serving(world.context()) as port, proxy(b"HTTP/1.1 403 Forbidden\r\n\r\n") as by:
        told(Attempt(world.directory, proxy_port=by).at(port), "proxy", "answers 403 Forbidden", "NO_PROXY")
    told(Attempt(world.directory, proxy_port=by).at(port), "proxy", "cannot be reached", "NO_PROXY")


def test_11_a_proxy_that_opens_tls(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "corporate")
    with serving(other.context(optional=True)) as theirs, proxy(b"HTTP/1.1 200 OK\r\n\r\n", theirs) as by:
        found = Attempt(world.directory, proxy_port=by).at(2376)
    told(found, "proxy", "shows a certificate of its own", "untouched")


def test_11_a_proxy_that_lets_pass_is_no_trouble(world: World) -> None:
    with serving(world.context()) as port, proxy(b"HTTP/1.1 200 OK\r\n\r\n", port) as by:
        assert Attempt(world.directory, proxy_port=by).at(port).id == "ok"


def test_11_a_reverse_proxy_that_answers_in_place_of_the_engine(world: World) -> None:
    async def gateway(_request: Request) -> Response:
        return Response(502, (("Server", "nginx"), ("Via", "1.1 front")), b"<html>Bad Gateway</html>")

    with serving(world.context(), gateway) as port:
        told(Attempt(world.directory).at(port), "proxy", "1.1 front answers 502", "pass TLS through")


def test_12_clock_skew_told_by_the_server_s_date(world: World) -> None:
    """Our clock is a year ahead: the certificate looks expired, and the server's answer tells the time."""
    year = NOW + 365 * DAY
    with serving(world.context(), ping) as port:
        files = read_client_files(world.directory)
        seen = observe(Target("127.0.0.1", port, True), files)
        told(explain(seen, year), "clock-skew", "ahead of the server's", "NTP")
        told(explain(seen, NOW - timedelta(minutes=10)), "clock-skew", "behind the server's", "NTP")


def test_12_clock_skew_told_to_a_client_that_may_not_enter(world: World) -> None:
    """As the gate does it: a handshake without a certificate is answered in HTTP, and that has a Date."""
    world.client(start=NOW + 2 * DAY)  # made by a CA whose clock is right; ours, and the server's, are what we say

    async def dated(_request: Request) -> Response:
        when = (NOW + 2 * DAY + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Response(401, (("Date", when),), b'{"message": "tidegate: no certificate"}')

    with serving(world.context(optional=True), dated) as port:
        told(Attempt(world.directory).at(port), "clock-skew", "behind the server's")


def test_12_clock_skew_told_by_the_server_s_certificate(world: World) -> None:
    world.server(start=NOW + 2 * DAY)
    with serving(world.context(optional=True)) as port:
        seen = observe(Target("127.0.0.1", port, True), read_client_files(world.directory))
    told(explain(replace_headers(seen), NOW), "clock-skew", "begins", "NTP")


def replace_headers(seen: Observation) -> Observation:
    return replace(seen, headers={})


def test_12_clock_skew_told_by_a_refusal_of_what_is_valid_here(world: World) -> None:
    world.client(start=NOW - 10 * DAY, days=5)  # expired by the server's clock, not by the one that we say is ours
    with serving(world.context()) as port:
        then = replace(Attempt(world.directory), now=NOW - 7 * DAY).at(port)
    told(then, "clock-skew", "the server finds the client's certificate expired, and here it is valid")


# ---------------------------------------------------------------- and besides


def test_nobody_there(world: World) -> None:
    told(Attempt(world.directory).at(1), "unreachable", "tcp://127.0.0.1:1 cannot be reached: Connection refused")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cert.pem", b"x", "not a certificate in PEM"),
        ("key.pem", b"x", "not a private key in PEM"),
        ("ca.pem", b"x", "not a certificate in PEM"),
    ],
)
def test_files_that_cannot_be_used(world: World, name: str, content: bytes, reason: str) -> None:
    (world.directory / name).write_bytes(content)
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "unreadable", f"{name} cannot be used: {reason}")


def test_an_encrypted_key(world: World) -> None:
    form = serialization.PrivateFormat.PKCS8
    pem = certs.new_key().private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"x"))
    (world.directory / "key.pem").write_bytes(pem)
    with serving(world.context()) as port:
        told(Attempt(world.directory).at(port), "unreadable", "key.pem cannot be used: encrypted")


def test_a_role_that_may_nothing_and_an_engine_that_is_ill(world: World) -> None:
    async def forbidden(_request: Request) -> Response:
        return Response(403, (), b'{"message": "tidegate: CN=it has no role"}')

    async def ill(_request: Request) -> Response:
        return Response(503, (), b'{"message": "the engine behind the gate does not answer"}')

    with serving(world.context(), forbidden) as port:
        told(Attempt(world.directory).at(port), "refused", "CN=it has no role")
    with serving(world.context(), ill) as port:
        told(Attempt(world.directory).at(port), "unhealthy", "answers 503")


def test_a_plaintext_api_works_and_is_told_what_it_is() -> None:
    with serving(None) as port:
        told(Attempt(None, tls=False).at(port), "plaintext", "whoever reaches it is root")


@pytest.mark.parametrize(
    ("text", "tls", "target"),
    [
        ("tcp://a.example", True, Target("a.example", 2376, True)),
        ("a.example:1", True, Target("a.example", 1, True)),
        ("tcp://[::1]:5", True, Target("::1", 5, True)),
        ("tcp://a.example", False, Target("a.example", 2375, False)),
    ],
)
def test_targets(text: str, tls: bool, target: Target) -> None:
    assert parse_target(text, tls, {}) == target


@pytest.mark.parametrize("text", ["unix:///x", "tcp://", "tcp://a:b", "tcp://a/b"])
def test_targets_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="--connect"):
        parse_target(text, True, {})


@pytest.mark.parametrize(
    ("host", "excluded", "used"),
    [
        ("a.example", "", True),
        ("a.example", "example", False),
        ("a.example", ".example,b", False),
        ("a.example", "le", True),
        ("10.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.4", True),
        ("a", "*", False),
        ("localhost", "", False),
        ("127.0.0.1", "", False),
    ],
)
def test_the_environment_s_proxy_is_used_as_go_uses_it(host: str, excluded: str, used: bool) -> None:
    environment = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": excluded}
    assert choose_proxy(host, True, environment) == ("http://proxy:3128" if used else "")
    assert choose_proxy(host, False, environment) == ""


def test_certificates_are_taken_from_where_the_cli_takes_them(tmp_path: Path) -> None:
    assert certificate_directory(None, {"DOCKER_CERT_PATH": "/x"}) is None
    assert certificate_directory(None, {"DOCKER_CERT_PATH": "/x", "DOCKER_TLS_VERIFY": "0"}) == Path("/x")
    assert certificate_directory(None, {"HOME": "/h", "DOCKER_TLS": "1"}) == Path("/h/.docker")
    assert certificate_directory(tmp_path, {}) == tmp_path


def test_the_command(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(world.context()) as port:
        address = f"tcp://127.0.0.1:{port}"
        assert main(["doctor", "--connect", address, "--cert-path", str(world.directory)]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1
        (world.directory / "cert.pem").unlink()
        assert main(["doctor", "--connect", address, "--cert-path", str(world.directory), "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["id"] == "no-certificate"
        monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
        assert main(["doctor", "--connect", address]) == 1
        assert "set DOCKER_TLS_VERIFY=1" in capsys.readouterr().out
    assert main(["doctor", "--cert-path", "x"]) == 1
