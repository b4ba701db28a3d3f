"""What an OCSP responder says, and what is not taken for an answer."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from tests.unit.pki.foreign_ca import DAY, ForeignCA, now

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.pki.foreign.ocsp import Question, find_issuer, read_answer, responder_url

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
NONCE = b"n" * 32
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def ca() -> ForeignCA:
    return ForeignCA()


@pytest.fixture(scope="module")
def question(ca: ForeignCA) -> Question:
    return Question(ca.client("alice")[0], ca.certificate, NONCE)


def test_the_question_names_the_certificate_and_carries_the_nonce(ca: ForeignCA, question: Question) -> None:
    asked = ocsp.load_der_ocsp_request(question.encode())
    assert asked.serial_number == question.certificate.serial_number
    assert [each.value for each in asked.extensions] == [x509.OCSPNonce(NONCE)]


@pytest.mark.parametrize(("status", "told"), [(GOOD, "good"), (REVOKED, "revoked"), (UNKNOWN, "unknown")])
@pytest.mark.parametrize("nonce", [None, NONCE])
def test_answers(
    ca: ForeignCA, question: Question, status: ocsp.OCSPCertStatus, told: str, nonce: bytes | None
) -> None:
    answer = ca.answer(question.certificate, status, nonce=nonce)
    standing = read_answer(question, answer, now())
    assert standing.status == told
    assert now() + DAY - MINUTE < standing.until <= now() + DAY


def test_one_that_the_ca_certified_may_answer_for_it(ca: ForeignCA, question: Question) -> None:
    answer = ca.answer(question.certificate, GOOD, signer=ca.responder())
    assert read_answer(question, answer, now()).status == "good"


def test_without_a_next_update_it_lasts_an_hour(ca: ForeignCA, question: Question) -> None:
    answer = ca.answer(question.certificate, GOOD, updates=(now() - MINUTE, None))
    standing = read_answer(question, answer, now())
    assert now() < standing.until < now() + 60 * MINUTE
    old = ca.answer(question.certificate, GOOD, updates=(now() - 2 * DAY, None))
    with pytest.raises(UnavailableError, match="not of now"):
        read_answer(question, old, now())


def tampered_with(answer: bytes) -> bytes:
    """Its end is the signature's."""
    return answer[:-1] + bytes([answer[-1] ^ 1])


def test_what_is_no_answer(ca: ForeignCA, question: Question) -> None:
    same_name, certificate = ForeignCA(), question.certificate
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    cases: list[tuple[bytes, str]] = [
        (b"junk", "cannot be read"),
        (
            ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
            "try_later",
        ),
        (ca.answer(ca.client("bob")[0], GOOD), "about another certificate"),
        (same_name.answer(certificate, GOOD), "about another certificate"),
        (tampered_with(ca.answer(certificate, GOOD)), "not signed by the CA"),
        (ca.answer(certificate, GOOD, signer=ca.leaf("eve", usage)), "not signed by the CA"),
        (ca.answer(certificate, GOOD, signer=same_name.responder()), "not signed by the CA"),
        (ca.answer(certificate, GOOD, nonce=b"m" * 32), "another question"),
        (ca.answer(certificate, GOOD, updates=(now() + 10 * MINUTE, now() + DAY)), "not of now"),
        (ca.answer(certificate, GOOD, updates=(now() - DAY, now() - 10 * MINUTE)), "not of now"),
    ]
    for answer, complaint in cases:
        with pytest.raises(UnavailableError, match=complaint):
            read_answer(question, answer, now())


def test_the_issuer_is_one_of_the_trusted(ca: ForeignCA) -> None:
    certificate = ca.client("alice")[0]
    assert find_issuer(certificate, [ForeignCA().certificate, ca.certificate]) == ca.certificate
    with pytest.raises(InvalidParameterError, match="no trusted CA"):
        find_issuer(certificate, [ForeignCA().certificate])


def test_where_the_certificate_says_to_ask(ca: ForeignCA) -> None:
    def access(method: Any, url: str) -> x509.AccessDescription:
        return x509.AccessDescription(method, x509.UniformResourceIdentifier(url))

    issuers, responder = AuthorityInformationAccessOID.CA_ISSUERS, AuthorityInformationAccessOID.OCSP
    both = x509.AuthorityInformationAccess([access(issuers, "http://a/ca"), access(responder, "http://b/ocsp")])
    assert responder_url(ca.client("alice", both)[0]) == "http://b/ocsp"
    for extensions in ([], [x509.AuthorityInformationAccess([access(issuers, "http://a/ca")])]):
        with pytest.raises(UnavailableError, match="names no OCSP responder"):
            responder_url(ca.client("alice", *extensions)[0])
