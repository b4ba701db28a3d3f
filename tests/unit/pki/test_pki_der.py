"""Facts of a certificate, read without the library for certificates, against that library and OpenSSL."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from tidegate.base.errors import InvalidParameterError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority
from tidegate.pki.der import certificate_facts, name_key, serial_text, split_pem, with_issuer


@pytest.mark.parametrize("year", [1999, 2026, 2049, 2050, 2070])
def test_facts_are_those_the_library_reads(tmp_path: Path, year: int) -> None:
    authority = Authority(tmp_path, now=lambda: datetime(year, 2, 28, 23, 59, 58, tzinfo=UTC), own_names=tuple)
    authority.ensure_ca()
    for certificate in (authority.ca(), authority.ensure_client("bob")):
        pem = certs.encode_certificate(certificate).decode()
        facts = certificate_facts(ssl.PEM_cert_to_DER_cert(pem))
        assert facts.serial == serial_text(certificate.serial_number)
        assert facts.issuer == name_key(certificate.issuer.public_bytes())
        assert facts.subject == name_key(certificate.subject.public_bytes())
        assert facts.not_before_s == certificate.not_valid_before_utc.timestamp()
        assert facts.not_after_s == certificate.not_valid_after_utc.timestamp()
        assert facts.fingerprint == certificate.fingerprint(hashes.SHA256()).hex()


def test_serials_are_whole_bytes_as_openssl_writes_them() -> None:
    assert [serial_text(n) for n in (0, 0xA, 0xAB, 0x1AB)] == ["00", "0A", "AB", "01AB"]


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path, own_names=tuple)
    authority.ensure_ca()
    der = ssl.PEM_cert_to_DER_cert(authority.ca_path.read_text())
    for junk in (b"", b"0", b"\x30\x03\x02\x01\x01", der[:100], b"\x31" + der[1:]):
        with pytest.raises(InvalidParameterError):
            certificate_facts(junk)


def test_a_bundle_is_split_with_whatever_stands_between(tmp_path: Path) -> None:
    authority = Authority(tmp_path, own_names=tuple)
    authority.ensure_ca()
    pem = authority.ca_path.read_text()
    der = ssl.PEM_cert_to_DER_cert(pem)
    assert split_pem(f"subject=x\n{pem}\n# and\n{pem}", "bundle") == [der, der]
    for junk in ("", "no certificate", pem.replace("-----END", "-----FIN"), pem.replace("M", "%")):
        with pytest.raises(InvalidParameterError, match=r"^bundle is not"):
            split_pem(junk, "bundle")


def test_a_lone_certificate_is_followed_by_its_ca(tmp_path: Path) -> None:
    """By one that has its issuer's name: where two have it, OpenSSL tells them apart by their keys."""
    own, other = Authority(tmp_path / "own", own_names=tuple), Authority(tmp_path / "other", own_names=tuple)
    own.ensure_ca()
    other.ensure_ca()
    ca, foreign = (ssl.PEM_cert_to_DER_cert(each.ca_path.read_text()) for each in (own, other))
    namesake = ca[:-1] + bytes([ca[-1] ^ 1])
    pem = certs.encode_certificate(own.ensure_client("bob")).decode()
    whole = with_issuer(pem, [foreign, ca])
    assert split_pem(whole, "chain") == [ssl.PEM_cert_to_DER_cert(pem), ca]
    assert with_issuer(whole, [ca]) == whole
    assert with_issuer(pem, [foreign]) == pem
    assert with_issuer(pem, [ca, namesake]) == pem
    assert with_issuer(own.ca_path.read_text(), [ca]) == own.ca_path.read_text()
