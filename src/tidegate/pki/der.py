"""What must be known of a certificate before, or without, the library for certificates: it costs 60 ms and 10 MB.

Only certificates that OpenSSL has already read come here (X.509, RFC 5280, section 4.1: DER, so lengths are definite).
"""

import base64
import hashlib
import re
from datetime import UTC, datetime

import msgspec

from tidegate.base.errors import InvalidParameterError

_SEQUENCE, _INTEGER, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x02, 0x17, 0x18, 0xA0
_PEM_HEAD, _PEM_TAIL = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")


class CertificateFacts(msgspec.Struct, frozen=True):
    """Names are ``name_key`` of the encoded ones, ``serial`` is ``serial_text``; times are epoch seconds."""

    serial: str
    issuer: str
    subject: str
    not_before_s: int
    not_after_s: int
    fingerprint: str

    @property
    def key(self) -> str:
        """What a revocation list calls this certificate."""
        return revocation_key(self.issuer, self.serial)


def serial_text(serial: int) -> str:
    """Upper-case hexadecimal in whole bytes, as OpenSSL and ``ssl.getpeercert`` write it."""
    digits = f"{serial:X}"
    return digits if len(digits) % 2 == 0 else f"0{digits}"


def name_key(name_der: bytes) -> str:
    """A distinguished name as a short text: SHA-256 of its encoding."""
    return hashlib.sha256(name_der).hexdigest()


def fingerprint(certificate_der: bytes) -> str:
    """SHA-256 of a certificate, in lower-case hexadecimal."""
    return hashlib.sha256(certificate_der).hexdigest()


def revocation_key(issuer: str, serial: str) -> str:
    """A certificate by its issuer (``name_key``) and serial number."""
    return f"{issuer}/{serial}"


def certificate_facts(der: bytes) -> CertificateFacts:
    """Raises InvalidParameterError for what is no certificate."""
    try:
        _, certificate, _ = _read(der, _SEQUENCE)
        _, tbs, _ = _read(certificate, _SEQUENCE)
        if tbs[0] == _VERSION:
            _, _, tbs = _read(tbs, _VERSION)
        _, serial, rest = _read(tbs, _INTEGER)
        _, _, rest = _read(rest, _SEQUENCE)  # the algorithm of the signature
        issuer, _, rest = _read(rest, _SEQUENCE)
        _, validity, rest = _read(rest, _SEQUENCE)
        subject, _, _ = _read(rest, _SEQUENCE)
        not_before_s, validity = _read_time(validity)
        not_after_s, _ = _read_time(validity)
    except (IndexError, ValueError) as error:
        raise InvalidParameterError("not a certificate in DER") from error
    number = serial_text(int.from_bytes(serial, "big", signed=True))
    return CertificateFacts(number, name_key(issuer), name_key(subject), not_before_s, not_after_s, fingerprint(der))


def with_issuer(certificate_pem: str, authorities: list[bytes]) -> str:
    """A server's certificate followed by that of its CA, if it comes alone and one of ``authorities`` has the name.

    OpenSSL sends both anyway. But it looks for the issuer of a lone certificate, and verifies it, in every handshake: a
    tenth of the cost. Where several have the name, that is left to it. Raises InvalidParameterError.
    """
    chain = split_pem(certificate_pem, "the certificate")
    issuer = certificate_facts(chain[0]).issuer
    named = {each for each in authorities if each != chain[0] and certificate_facts(each).subject == issuer}
    if len(chain) > 1 or len(named) != 1:
        return certificate_pem
    body = base64.encodebytes(named.pop()).decode()
    return f"{certificate_pem.rstrip()}\n{_PEM_HEAD}\n{body}{_PEM_TAIL}\n"


def split_pem(pem: str, source: str) -> list[bytes]:
    """The certificates of a PEM text, in DER. Raises InvalidParameterError naming ``source`` when there is none."""
    found = []
    for part in pem.split(_PEM_HEAD)[1:]:
        body, end, _ = part.partition(_PEM_TAIL)
        try:
            if not end:
                raise ValueError("no end line")
            found.append(base64.b64decode("".join(body.split()), validate=True))
        except ValueError as error:
            raise InvalidParameterError(f"{source} is not a PEM certificate") from error
    if not found:
        raise InvalidParameterError(f"{source} is not a PEM certificate")
    return found


def _read(data: bytes, tag: int) -> tuple[bytes, bytes, bytes]:
    """The first element, whole; its content; what follows it."""
    if data[0] != tag:
        raise ValueError(f"tag {data[0]:#x}, not {tag:#x}")
    start, length = 2, data[1]
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    end = start + length
    if end > len(data):
        raise ValueError("cut short")
    return data[:end], data[start:end], data[end:]


def _read_time(data: bytes) -> tuple[int, bytes]:
    tag = data[0]
    if tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError(f"no time: tag {tag:#x}")
    _, text, rest = _read(data, tag)
    # Two-digit years: 50 to 99 are of the last century (RFC 5280, 4.1.2.5.1); strptime(3) would say 69 to 99.
    digits = text.decode("ascii")
    if tag == _UTC_TIME:
        digits = ("19" if int(digits[:2]) >= 50 else "20") + digits
    found = _TIME.fullmatch(digits)
    if found is None:
        raise ValueError(f"no time: {digits}")
    year, month, day, hour, minute, second = map(int, found.groups())
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()), rest
