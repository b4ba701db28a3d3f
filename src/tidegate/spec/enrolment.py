"""The documents of ``/tidegate/v1/``, which the gate answers itself: how a client gets and renews its certificate."""

import msgspec

PREFIX = "/tidegate/v1/"
AUTHORITY, ENROL = f"{PREFIX}ca", f"{PREFIX}enrol"
RENEW, RETIRE = f"{PREFIX}renew", f"{PREFIX}retire"


class EnrolBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``csr`` in PEM; ``proof`` is ``pki.tokens.enrolment_proof``."""

    invitation: str
    csr: str
    proof: str


class RenewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``csr`` in PEM; ``proof`` is ``pki.enrolment.renewal_proof``."""

    csr: str
    proof: str


class RetireBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``serial`` is of the older certificate; ``proof`` is ``pki.enrolment.retirement_proof``."""

    serial: str
    proof: str


class IssuedBody(msgspec.Struct, frozen=True):
    """Both in PEM; ``ca`` is what the client shall trust from now on."""

    certificate: str
    ca: str
