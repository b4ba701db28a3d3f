"""Certificates of another CA: lists that are replaced, a responder asked once for all, and both failing closed."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from tests.unit.pki.foreign_ca import ForeignCA, now
from tests.unit.registrar.ocsp_responder import Responder, answering

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.pki.authority import Authority
from tidegate.pki.der import certificate_facts
from tidegate.pki.registrar_messages import CertificateStatus, CheckOCSP
from tidegate.registrar.ocsp_checks import FROM_CERTIFICATE, STANDING_S, OCSPChecks, OCSPSettings
from tidegate.registrar.sources import ForeignChecks, Sources, TLSFiles


@pytest.fixture
def responder() -> Iterator[Responder]:
    with answering(Responder(ForeignCA())) as made:
        yield made


class Checks:
    """``OCSPChecks`` with a clock that ``later`` moves."""

    def __init__(self, responder: Responder, settings: OCSPSettings) -> None:
        self.later = timedelta()
        self.checks = OCSPChecks(settings, lambda: responder.ca.pem, lambda: now() + self.later)

    def check(self, *certificates: x509.Certificate) -> list[CertificateStatus]:
        """All at once."""

        async def main() -> list[CertificateStatus]:
            pems = (each.public_bytes(Encoding.PEM).decode() for each in certificates)
            return await asyncio.gather(*(self.checks.check(CheckOCSP(pem)) for pem in pems))

        return asyncio.run(main())


@pytest.mark.parametrize("where", ["named", FROM_CERTIFICATE])
def test_asked_once_for_all_and_again_in_time(responder: Responder, where: str) -> None:
    alice = responder.client("alice")
    checks = Checks(responder, OCSPSettings(responder.url if where == "named" else where))
    statuses = checks.check(*[alice] * 20)
    assert {each.status for each in statuses} == {"good"}
    assert abs(statuses[0].until_s - now().timestamp() - STANDING_S) <= 2
    assert responder.asked == 1
    responder.status = ocsp.OCSPCertStatus.REVOKED
    assert checks.check(alice)[0].status == "good"
    checks.later = timedelta(seconds=STANDING_S - 20)
    assert checks.check(alice)[0].status == "revoked"
    assert responder.asked == 2


def test_without_an_answer_nobody_is_admitted(responder: Responder) -> None:
    alice = responder.client("alice")
    checks = Checks(responder, OCSPSettings(responder.url))
    responder.http_status = 500
    with pytest.raises(UnavailableError, match="answers 500"):
        checks.check(alice)
    responder.http_status = 200
    assert checks.check(alice)[0].status == "good"
    responder.http_status = 500
    checks.later = timedelta(seconds=STANDING_S - 20)
    assert checks.check(alice)[0].status == "good"  # said before, and it still lasts
    checks.later = timedelta(seconds=STANDING_S + 5)
    with pytest.raises(UnavailableError):
        checks.check(alice)


def test_unless_that_was_chosen(responder: Responder) -> None:
    alice = responder.client("alice")
    checks = Checks(responder, OCSPSettings("http://127.0.0.1:1/", admit_unchecked=True))
    assert checks.check(alice)[0].status == "unchecked"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://127.0.0.1/", "no URL"), ("http://", "no URL"), ("http://127.0.0.1:1/", "does not answer"),
        ("http://127.0.0.1:99999/", "does not answer"),
    ],
)  # fmt: skip
def test_a_responder_that_is_none(responder: Responder, url: str, complaint: str) -> None:
    with pytest.raises(UnavailableError, match=complaint):
        Checks(responder, OCSPSettings(url)).check(responder.client("alice"))


def test_a_certificate_of_no_trusted_ca(responder: Responder) -> None:
    stranger = ForeignCA("Stranger").client("eve")[0]
    with pytest.raises(InvalidParameterError, match="no trusted CA"):
        Checks(responder, OCSPSettings(responder.url)).check(stranger)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[ForeignCA], Sources]:
    """Sources that trust a given CA, with ``crl.pem`` of it."""
    Authority(tmp_path, own_names=lambda: ("localhost",)).ensure_all()
    pki = tmp_path / "pki"

    def make(ca: ForeignCA) -> Sources:
        (tmp_path / "ca.pem").write_text(ca.pem)
        tls = TLSFiles(tmp_path / "ca.pem", pki / "server/cert.pem", pki / "server/key.pem")
        return Sources(tmp_path, tls, ForeignChecks((tmp_path / "crl.pem",), ocsp=True))

    return make


def test_a_list_reaches_the_gate(files: Callable[[ForeignCA], Sources], tmp_path: Path) -> None:
    ca = ForeignCA()
    bad = ca.client("bad")[0]
    sources = files(ca)
    path = tmp_path / "crl.pem"
    with pytest.raises(FileNotFoundError):
        sources.read()
    path.write_bytes(ca.crl().public_bytes(Encoding.PEM))
    first = sources.read()
    assert (first.revoked, first.ocsp) == (frozenset(), True)
    assert set(first.crl_until_s) == first.trusted_issuers == {certificate_facts(ca.der).subject}
    path.write_bytes(ca.crl(bad).public_bytes(Encoding.PEM))
    assert sources.read().revoked == {certificate_facts(bad.public_bytes(Encoding.DER)).key}
    assert tmp_path in sources.directories()


def test_a_ca_that_was_revoked_is_not_trusted(files: Callable[[ForeignCA], Sources], tmp_path: Path) -> None:
    root, other = ForeignCA("Root"), ForeignCA("Other")
    sources = files(root)
    (tmp_path / "ca.pem").write_text(root.pem + other.pem)
    (tmp_path / "crl.pem").write_bytes(root.crl(root.certificate).public_bytes(Encoding.PEM))
    snapshot = sources.read()
    assert snapshot.trusted_issuers == {certificate_facts(other.der).subject}
