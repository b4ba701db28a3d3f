"""Certificates for keys that are made elsewhere: for the holder of an invitation, for the holder of a certificate.

- The one who asks proves it by what the gate does not have: the secret of the invitation, the key of the certificate. A
  gate that has been taken over can therefore not have a key of its own certified.
- A renewal is for a new key; the role is what it is now. The old certificate stays good: it is taken back with the new
  one, when that one has arrived.
- What cannot be granted leaves an invitation open.
"""

import base64
import binascii
from datetime import timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tidegate.base.errors import ConflictError, ForbiddenError, NotFoundError, UnauthorizedError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority
from tidegate.pki.certificates import PrivateKey, PublicKey
from tidegate.pki.der import fingerprint, split_pem
from tidegate.pki.issued import Grant, IssueRecord
from tidegate.pki.joining.invitations import Invitation, Invitations
from tidegate.pki.joining.tokens import is_proof
from tidegate.pki.registrar_messages import Enrol, Issued, Renew, Retire, Retired

_ALGORITHM = ec.ECDSA(hashes.SHA256())
_LEAST_LIFETIME = timedelta(minutes=1)


class Enrolment:
    """What an ``authority`` grants to those who ask over the network. Every method may raise OSError."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._invitations = Invitations(authority.directory)

    def enrol(self, request: Enrol) -> Issued:
        """Raises UnauthorizedError for an invitation that is not open to the one who asks, InvalidParameterError for a
        bad signing request, ConflictError when the CA cannot sign.
        """
        with self._authority.changing(self._authority.directory):
            invitation = self._open_invitation(request)
            key = certs.decode_request(request.csr_pem)
            self._refuse_known_key(key)
            grant = Grant(invitation.name, invitation.role, "invite")
            certificate, record = self._authority.sign(key, grant, invitation.lifetime)
            self._invitations.remove(invitation)
            self._authority.records.put(record)
        return self._issued(certs.encode_certificate(certificate))

    def renew(self, request: Renew) -> Issued:
        """Raises UnauthorizedError for a certificate that is not (any more) good here or a proof that is none,
        InvalidParameterError for a bad signing request, ConflictError when the CA cannot sign.
        """
        old = certs.decode_certificate(request.certificate_pem.encode(), "the certificate to renew")
        with self._authority.changing(self._authority.directory):
            record = self._live_record(request.certificate_pem)
            message = _message("renew", request.certificate_pem, request.csr_pem)
            if not _is_signed(certs.public_key(old), message, request.proof):
                raise UnauthorizedError("the renewal is not signed with the key of the present certificate")
            key = certs.decode_request(request.csr_pem)
            self._refuse_known_key(key)
            lifetime = max(record.not_after - record.issued_at, _LEAST_LIFETIME)
            grant = Grant(record.name, record.role, "renew")
            certificate, renewed = self._authority.sign(key, grant, lifetime)
            self._authority.records.put(renewed)
        return self._issued(certs.encode_certificate(certificate))

    def retire(self, request: Retire) -> Retired:
        """Raises UnauthorizedError as ``renew`` does, NotFoundError unless it is an older certificate of that name."""
        present = certs.decode_certificate(request.certificate_pem.encode(), "the present certificate")
        message = _message("retire", request.certificate_pem, request.serial)
        with self._authority.changing(self._authority.directory):
            record = self._live_record(request.certificate_pem)
            if not _is_signed(certs.public_key(present), message, request.proof):
                raise UnauthorizedError("this is not signed with the key of the present certificate")
            older = [each for each in self._authority.records.of(record.name) if each.serial == request.serial]
            if not older or older[0].issued_at > record.issued_at or older[0] == record:
                raise NotFoundError(f"{record.name} has no older certificate {request.serial}")
            if older[0].revoked_at is None:
                reason = f"replaced by {record.serial}"
                self._authority.records.put(
                    msgspec.structs.replace(older[0], revoked_at=self._authority.now(), reason=reason)
                )
        return Retired()

    def _open_invitation(self, request: Enrol) -> Invitation:
        invitation = self._invitations.find(request.invitation)
        if invitation is None:
            raise UnauthorizedError(
                "this invitation is not open: it was used, withdrawn, or is too old; ask for another one"
            )
        if invitation.expires_at <= self._authority.now():
            raise UnauthorizedError(
                f"this invitation was good until {invitation.expires_at:%Y-%m-%d %H:%M}Z; ask again"
            )
        if not is_proof(bytes.fromhex(invitation.key), request.csr_pem, request.proof):
            raise UnauthorizedError("the proof does not fit the invitation: the token is not the one that was given")
        return invitation

    def _live_record(self, certificate_pem: str) -> IssueRecord:
        known = fingerprint(split_pem(certificate_pem, "the certificate to renew")[0])
        record = next((each for each in self._authority.records.all() if each.fingerprint == known), None)
        if record is None:
            raise ForbiddenError("only certificates given by this CA can be renewed here")
        if not record.is_live(self._authority.now()):
            state = "was revoked" if record.revoked_at else "has expired"
            raise UnauthorizedError(f"the certificate {state} and cannot be renewed: ask for an invitation")
        return record

    def _refuse_known_key(self, key: PublicKey) -> None:
        """A key that was certified once is not new, whoever asks: nothing that was recorded can be sent again."""
        known = certs.key_fingerprint(key)
        if any(record.key == known for record in self._authority.records.all()):
            raise ConflictError("this key has a certificate already: make a new key")

    def _issued(self, certificate_pem: bytes) -> Issued:
        return Issued(certificate_pem.decode(), self._authority.bundle().decode())


def renewal_proof(key: PrivateKey, certificate_pem: str, csr_pem: str) -> str:
    """What the holder of the present ``key`` sends to have the request's key certified."""
    return _sign(key, _message("renew", certificate_pem, csr_pem))


def retirement_proof(key: PrivateKey, certificate_pem: str, serial: str) -> str:
    """What the holder of the present ``key`` sends to have an older certificate revoked."""
    return _sign(key, _message("retire", certificate_pem, serial))


def _message(purpose: str, certificate_pem: str, subject: str) -> bytes:
    known = fingerprint(split_pem(certificate_pem, "the present certificate")[0])
    return f"tidegate {purpose} 1\0{known}\0{subject}".encode()


def _sign(key: PrivateKey, message: bytes) -> str:
    return base64.b64encode(key.sign(message, _ALGORITHM)).decode()


def _is_signed(key: PublicKey, message: bytes, proof: str) -> bool:
    try:
        key.verify(base64.b64decode(proof, validate=True), message, _ALGORITHM)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
