"""Join tokens: what an invitation looks like on the command line, and the secrets derived from it. Pure, and light.

``TGTKN-1-CA-SECRET`` in the manner of swarm's: the SHA-256 of the CA's certificate (50 digits in base 36) and 128
random bits (25 digits). The one who joins trusts the CA by it, and proves to hold the secret without ever sending it:
what goes over the wire is an HMAC over the signing request, so that nobody on the way, the gate included, can put
another key in.
"""

import hashlib
import hmac
import secrets

import msgspec

from tidegate.base.errors import InvalidParameterError

_PREFIX = "TGTKN"
_VERSION = "1"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_DIGEST_BYTES, _DIGEST_DIGITS = 32, 50
_SECRET_BYTES, _SECRET_DIGITS = 16, 25
_ID_BYTES = 8


class JoinToken(msgspec.Struct, frozen=True):
    """``ca_digest`` is the SHA-256 of the CA's certificate in DER."""

    ca_digest: bytes
    secret: bytes

    def __str__(self) -> str:
        digest, secret = _encode(self.ca_digest, _DIGEST_DIGITS), _encode(self.secret, _SECRET_DIGITS)
        return f"{_PREFIX}-{_VERSION}-{digest}-{secret}"

    def __repr__(self) -> str:
        return "JoinToken(...)"

    @property
    def invitation(self) -> str:
        """The invitation's id, which tells nothing of the secret."""
        return _derive(self.secret, b"tidegate invitation id")[:_ID_BYTES].hex()

    @property
    def key(self) -> bytes:
        """What proofs are made with."""
        return _derive(self.secret, b"tidegate invitation key")

    def fits(self, ca_der: bytes) -> bool:
        """Whether this is the CA that the token names."""
        return hmac.compare_digest(hashlib.sha256(ca_der).digest(), self.ca_digest)


def new_token(ca_der: bytes) -> JoinToken:
    return JoinToken(hashlib.sha256(ca_der).digest(), secrets.token_bytes(_SECRET_BYTES))


def parse_token(text: str) -> JoinToken:
    """Raises InvalidParameterError for what is no token, or was cut in copying."""
    parts = text.strip().lower().split("-")
    if len(parts) != 4 or parts[0] != _PREFIX.lower():
        raise InvalidParameterError(f"not a join token: it begins with {_PREFIX}-{_VERSION}- and has no spaces")
    if parts[1] != _VERSION:
        raise InvalidParameterError(f"a join token of version {parts[1]}: this tidegate knows version {_VERSION}")
    return JoinToken(_decode(parts[2], _DIGEST_DIGITS, _DIGEST_BYTES), _decode(parts[3], _SECRET_DIGITS, _SECRET_BYTES))


def enrolment_proof(key: bytes, csr_pem: str) -> str:
    """Whoever makes this holds the invitation's secret and wants this key certified."""
    return hmac.digest(key, b"tidegate enrol 1\0" + csr_pem.encode(), "sha256").hex()


def is_proof(key: bytes, csr_pem: str, proof: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(enrolment_proof(key, csr_pem).encode(), proof.encode("utf-8", "replace"))


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, purpose, "sha256")


def _encode(data: bytes, digits: int) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while len(text) < digits:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


def _decode(text: str, digits: int, size: int) -> bytes:
    if len(text) != digits or not set(text) <= set(_DIGITS):
        raise InvalidParameterError("the join token is not whole: copy all of it")
    try:
        return int(text, 36).to_bytes(size, "big")
    except OverflowError as error:
        raise InvalidParameterError("the join token is not whole: copy all of it") from error
