"""The certificates in real TLS handshakes (in memory), by both sides' rules, OpenSSL's strict ones included."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.pki.authority import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "root", own_names=lambda: ("localhost", "127.0.0.1", "::1"))
    made.ensure_all(["docker.example"])
    return made


def context(protocol: int, pair: Path | None, ca: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(ca)
    if pair:
        made.load_cert_chain(pair / "cert.pem", pair / "key.pem")
    return made


def server_context(pair: Path, ca: Path) -> ssl.SSLContext:
    return context(ssl.PROTOCOL_TLS_SERVER, pair, ca)


def client_context(pair: Path | None, ca: Path) -> ssl.SSLContext:
    return context(ssl.PROTOCOL_TLS_CLIENT, pair, ca)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """The CN the server sees. Raises SSLError of the side that refuses first."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    subject = server_side.getpeercert()
    assert subject is not None
    return dict(pair for rdn in subject["subject"] for pair in rdn)["commonName"]  # type: ignore[misc]


@pytest.mark.parametrize("name", ["localhost", "docker.example", "127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_good(authority: Authority, name: str, version: ssl.TLSVersion) -> None:
    authority.ensure_client("bob")
    server = server_context(authority.server_directory, authority.ca_path)
    bob = authority.client_directory("bob")
    client = client_context(bob, bob / "ca.pem")
    client.minimum_version = client.maximum_version = version
    assert handshake(server, client, name) == "bob"


def refused(server: ssl.SSLContext, client: ssl.SSLContext, reason: str, name: str = "localhost") -> None:
    with pytest.raises(ssl.SSLError, match=reason):
        handshake(server, client, name)


def test_name_not_in_the_certificate(authority: Authority) -> None:
    admin = authority.client_directory("admin")
    server = server_context(authority.server_directory, authority.ca_path)
    refused(server, client_context(admin, authority.ca_path), "Hostname mismatch", "other.example")


def test_no_client_certificate(authority: Authority) -> None:
    server = server_context(authority.server_directory, authority.ca_path)
    refused(server, client_context(None, authority.ca_path), "(?i)peer did not return a certificate")


def test_wrong_ca_either_way(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", own_names=lambda: ("localhost",))
    other.ensure_all()
    unknown = "unable to get local issuer certificate|self-signed certificate in certificate chain"
    admin, stranger = authority.client_directory("admin"), other.client_directory("admin")
    server = server_context(authority.server_directory, authority.ca_path)
    refused(server, client_context(stranger, authority.ca_path), unknown)
    refused(server, client_context(admin, other.ca_path), unknown)


def test_wrong_purpose_either_way(authority: Authority) -> None:
    admin = authority.client_directory("admin")
    server = server_context(authority.server_directory, authority.ca_path)
    refused(
        server,
        client_context(authority.server_directory, authority.ca_path),
        "(unsuitable|unsupported) certificate purpose",
    )
    posing = server_context(admin, authority.ca_path)
    client = client_context(admin, authority.ca_path)
    client.check_hostname = False
    refused(posing, client, "(unsuitable|unsupported) certificate purpose")


@pytest.mark.parametrize("renew", [Authority.ensure_server, lambda a, lifetime: a.ensure_client("admin", lifetime)])
def test_expired_either_way(authority: Authority, renew: Callable[..., object]) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=2)
    past = Authority(authority.directory.parent, now=lambda: yesterday, own_names=lambda: ("localhost",))
    renew(past, lifetime=timedelta(days=1))
    server = server_context(authority.server_directory, authority.ca_path)
    refused(server, client_context(authority.client_directory("admin"), authority.ca_path), "certificate has expired")
