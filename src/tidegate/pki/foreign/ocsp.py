"""Asking an OCSP responder about a certificate, and reading what it says (RFC 6960). Pure: the wire is elsewhere.

- An answer counts when the CA signed it, or a responder that the CA certified for it; when it is about the certificate
  that was asked about; and when it is fresh. Anything else is no answer.
- A nonce that comes back must be ours. Many responders send none: then freshness has to do.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.pki import certificates as certs

_CLOCK_GRACE = timedelta(minutes=5)
_WITHOUT_NEXT_UPDATE = timedelta(hours=1)


class Standing(msgspec.Struct, frozen=True):
    """``status`` is ``good``, ``revoked`` or ``unknown``; ``until`` is how long it may be relied on."""

    status: str
    until: datetime


class Question(msgspec.Struct, frozen=True):
    """About ``certificate``, which ``issuer`` signed."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    nonce: bytes

    def encode(self) -> bytes:
        """In DER. The certificate is named by SHA-1, the only way that every responder knows."""
        builder = ocsp.OCSPRequestBuilder().add_certificate(self.certificate, self.issuer, hashes.SHA1())  # noqa: S303
        return builder.add_extension(x509.OCSPNonce(self.nonce), critical=False).build().public_bytes(Encoding.DER)


def find_issuer(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> x509.Certificate:
    """Raises InvalidParameterError when it is none of them."""
    for ca in authorities:
        if ca.subject == certificate.issuer and certs.is_issued_by(certificate, ca):
            return ca
    raise InvalidParameterError("the certificate is of no trusted CA")


def responder_url(certificate: x509.Certificate) -> str:
    """Where the certificate says to ask. Raises UnavailableError when it does not."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        access = x509.AuthorityInformationAccess([])
    for description in access:
        location = description.access_location
        is_ocsp = description.access_method == AuthorityInformationAccessOID.OCSP
        if is_ocsp and isinstance(location, x509.UniformResourceIdentifier):
            return location.value
    raise UnavailableError("the certificate names no OCSP responder")


def read_answer(question: Question, answer: bytes, now: datetime) -> Standing:
    """Raises UnavailableError for anything that may not be relied on."""
    try:
        response = ocsp.load_der_ocsp_response(answer)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise UnavailableError(f"the OCSP responder says {response.response_status.name.lower()}")
        single = _about(question, response)
        if not _is_signed(question.issuer, response, now):
            raise UnavailableError("the OCSP responder's answer is not signed by the CA or for it")
        nonce = [each.value.nonce for each in response.extensions if isinstance(each.value, x509.OCSPNonce)]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnavailableError(f"the OCSP responder's answer cannot be read: {error}") from error
    if nonce and nonce != [question.nonce]:
        raise UnavailableError("the OCSP responder's answer is to another question")
    until = single.next_update_utc or single.this_update_utc + _WITHOUT_NEXT_UPDATE
    if single.this_update_utc > now + _CLOCK_GRACE or until < now - _CLOCK_GRACE:
        raise UnavailableError("the OCSP responder's answer is not of now: see the clocks")
    return Standing(single.certificate_status.name.lower(), until)


def _about(question: Question, response: ocsp.OCSPResponse) -> ocsp.OCSPSingleResponse:
    for single in response.responses:
        builder = ocsp.OCSPRequestBuilder()
        named = builder.add_certificate(question.certificate, question.issuer, single.hash_algorithm).build()
        if (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) == (
            named.serial_number,
            named.issuer_name_hash,
            named.issuer_key_hash,
        ):
            return single
    raise UnavailableError("the OCSP responder's answer is about another certificate")


def _is_signed(issuer: x509.Certificate, response: ocsp.OCSPResponse, now: datetime) -> bool:
    delegates = [each for each in response.certificates if _is_delegate(each, issuer, now)]
    return any(_verifies(each, response) for each in (issuer, *delegates))


def _is_delegate(certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return (
        ExtendedKeyUsageOID.OCSP_SIGNING in usage
        and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
        and certs.is_issued_by(certificate, issuer)
    )


def _verifies(signer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, digest = signer.public_key(), response.signature_hash_algorithm
    signature, message = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, message, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, message, padding.PKCS1v15(), digest)
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, message)
        else:
            return False
    except InvalidSignature:
        return False
    return True
