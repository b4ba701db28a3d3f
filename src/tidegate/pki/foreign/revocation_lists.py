"""Revocation lists (CRLs) of the CAs that are trusted beside our own: which certificates they take back, until when.

- A list counts only for the CA that signed it, and only if that CA is trusted; one of another CA is an error, since
  whoever named the file meant it.
- A list that is partial (delta, by reason, for CAs only, indirect) is refused: what is not in it says nothing.
- A list past its next update is still read: what it revokes stays revoked. Whoever decides refuses the rest.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.der import name_key, revocation_key, serial_text

_PEM_HEAD = b"-----BEGIN X509 CRL-----"
_PEM_TAIL = b"-----END X509 CRL-----"
_UNDERSTOOD = {x509.IssuingDistributionPoint.oid, x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid}
_SIGNING_KEYS = (RSAPublicKey, EllipticCurvePublicKey, Ed25519PublicKey, Ed448PublicKey)
_Stamp = tuple[int, int, int]


class Revocations(msgspec.Struct, frozen=True):
    """``revoked`` are ``der.revocation_key``; ``until_s`` is by ``der.name_key`` of the CA."""

    revoked: frozenset[str] = frozenset()
    until_s: Mapping[str, int] = msgspec.field(default_factory=dict)


class RevocationLists:
    """The lists in ``paths``, in PEM (several in one file) or DER; what has not changed is not read again."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._known: dict[Path, tuple[_Stamp, list[x509.CertificateRevocationList]]] = {}
        self._made: tuple[object, Revocations] | None = None

    def read(self, authorities: Sequence[bytes], now: datetime | None = None) -> Revocations:
        """``authorities`` are the trusted CAs in DER. Raises InvalidParameterError naming the file, OSError."""
        lists = [(path, each) for path in self.paths for each in self._load(path)]
        key = (tuple(authorities), tuple((path, id(each)) for path, each in lists))
        if self._made is None or self._made[0] != key:
            self._made = key, _revocations(lists, authorities, now or datetime.now(UTC))
        return self._made[1]

    def _load(self, path: Path) -> list[x509.CertificateRevocationList]:
        status = path.stat()
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = stamp, decode_lists(path.read_bytes(), str(path))
        return known[1]


def decode_lists(content: bytes, source: str) -> list[x509.CertificateRevocationList]:
    """Raises InvalidParameterError naming ``source``."""
    try:
        if _PEM_HEAD not in content:
            return [x509.load_der_x509_crl(content)]
        parts = content.split(_PEM_HEAD)[1:]
        return [x509.load_pem_x509_crl(_PEM_HEAD + part.partition(_PEM_TAIL)[0] + _PEM_TAIL) for part in parts]
    except ValueError as error:
        raise InvalidParameterError(f"{source} is no revocation list in PEM or DER") from error


def _revocations(
    lists: Sequence[tuple[Path, x509.CertificateRevocationList]], authorities: Sequence[bytes], now: datetime
) -> Revocations:
    cas = [x509.load_der_x509_certificate(der) for der in authorities]
    revoked: set[str] = set()
    until_s: dict[str, int] = {}
    for path, crl in lists:
        _check_kind(path, crl, now)
        issuer = name_key(_signer(path, crl, cas).subject.public_bytes())
        revoked |= {revocation_key(issuer, serial_text(entry.serial_number)) for entry in crl}
        if crl.next_update_utc is not None:
            # Of two lists of one CA the later one counts, as long as it lasts.
            until_s[issuer] = max(until_s.get(issuer, 0), int(crl.next_update_utc.timestamp()))
    return Revocations(frozenset(revoked), until_s)


def _check_kind(path: Path, crl: x509.CertificateRevocationList, now: datetime) -> None:
    if crl.last_update_utc > now:
        raise InvalidParameterError(
            f"{path} is of {crl.last_update_utc:%Y-%m-%d %H:%M}Z, which is not yet: see the clock"
        )
    for extension in crl.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise InvalidParameterError(f"{path} has a critical extension that is not understood: {extension.oid}")
        if isinstance(extension.value, x509.IssuingDistributionPoint) and _is_partial(extension.value):
            raise InvalidParameterError(f"{path} is a partial list: name the full one")


def _is_partial(point: x509.IssuingDistributionPoint) -> bool:
    return bool(
        point.only_contains_ca_certs
        or point.only_contains_attribute_certs
        or point.only_some_reasons
        or point.indirect_crl
    )


def _signer(path: Path, crl: x509.CertificateRevocationList, cas: Sequence[x509.Certificate]) -> x509.Certificate:
    for ca in cas:
        if ca.subject == crl.issuer and _is_signed(crl, ca.public_key()):
            return ca
    raise InvalidParameterError(f"{path} is not signed by a trusted CA: its issuer is {crl.issuer.rfc4514_string()}")


def _is_signed(crl: x509.CertificateRevocationList, key: CertificatePublicKeyTypes) -> bool:
    return isinstance(key, _SIGNING_KEYS) and crl.is_signature_valid(key)
