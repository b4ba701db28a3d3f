"""What gate and registrar say to each other: length-prefixed JSON on a unix socket.

Each message is four bytes of length (network order) and a JSON document. The registrar sends snapshots unasked, the
first one at once; a call has a number, and its answer carries the same number.
"""

import struct

import msgspec

from tidegate.base import errors
from tidegate.base.errors import InternalError, InvalidParameterError, TidegateError
from tidegate.pki.snapshot import Snapshot
from tidegate.spec.audit.records import Checkpoint

PREFIX = struct.Struct("!I")
CALL_LIMIT_BYTES = 256 * 1024
SNAPSHOT_LIMIT_BYTES = 256 * 1024 * 1024


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """``kind`` is the name of a class of ``base.errors``."""

    kind: str
    message: str


class Enrol(msgspec.Struct, frozen=True, tag="enrol"):
    """A certificate for the holder of an invitation; ``proof`` is made with its secret (``pki.tokens``)."""

    invitation: str
    csr_pem: str
    proof: str


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """A new certificate for the holder of ``certificate_pem``; ``proof`` is ``pki.enrolment.renewal_proof``."""

    certificate_pem: str
    csr_pem: str
    proof: str


class Retire(msgspec.Struct, frozen=True, tag="retire"):
    """The holder of ``certificate_pem`` takes back an older one of the same name; ``proof`` is ``retirement_proof``."""

    certificate_pem: str
    serial: str
    proof: str


class Retired(msgspec.Struct, frozen=True, tag="retired"):
    """It is revoked."""


class Issued(msgspec.Struct, frozen=True, tag="issued"):
    """``ca_pem`` is what the client shall trust from now on."""

    certificate_pem: str
    ca_pem: str


class SignCheckpoint(msgspec.Struct, frozen=True, tag="sign-checkpoint"):
    """A signature over the head of an audit's chain."""

    chain: str
    seq: int
    hash: str


class Signed(msgspec.Struct, frozen=True, tag="signed"):
    checkpoint: Checkpoint


class CheckOCSP(msgspec.Struct, frozen=True, tag="check-ocsp"):
    """Whether a certificate of another CA still stands, by its responder."""

    certificate_pem: str


class CertificateStatus(msgspec.Struct, frozen=True, tag="status"):
    """``good``, ``revoked``, ``unknown`` to the responder, or ``unchecked``; until then it need not be asked again."""

    status: str
    until_s: int


Request = Enrol | Renew | Retire | SignCheckpoint | CheckOCSP
Reply = Issued | Retired | Signed | CertificateStatus | Refused


class Call(msgspec.Struct, frozen=True):
    """From the gate."""

    number: int
    request: Request


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """From the registrar."""

    number: int
    reply: Reply


_encoder = msgspec.json.Encoder()
_calls = msgspec.json.Decoder(Call)
_news: msgspec.json.Decoder[Answer | Snapshot] = msgspec.json.Decoder(Answer | Snapshot)


def encode_message(message: Call | Answer | Snapshot) -> bytes:
    """With its length before it."""
    document = _encoder.encode(message)
    return PREFIX.pack(len(document)) + document


def decode_call(document: bytes) -> Call:
    """Raises InvalidParameterError."""
    try:
        return _calls.decode(document)
    except msgspec.DecodeError as error:
        raise InvalidParameterError(f"not a call: {error}") from error


def decode_news(document: bytes) -> Answer | Snapshot:
    """Raises InvalidParameterError."""
    try:
        return _news.decode(document)
    except msgspec.DecodeError as error:
        raise InvalidParameterError(f"neither an answer nor a snapshot: {error}") from error


def refuse(error: TidegateError) -> Refused:
    """The error as a message."""
    return Refused(type(error).__name__, error.message)


def raised(reply: Refused) -> TidegateError:
    """The message as an error, of the same kind."""
    kind = getattr(errors, reply.kind, InternalError)
    known = isinstance(kind, type) and issubclass(kind, TidegateError)
    return kind(reply.message) if known else InternalError(reply.message)
