"""Revocation lists of other CAs: what they take back, and which of them may not be relied on."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.unit.pki.foreign_ca import DAY, ForeignCA, now

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.der import certificate_facts
from tidegate.pki.foreign.revocation_lists import RevocationLists


@pytest.fixture(scope="module")
def ca() -> ForeignCA:
    return ForeignCA()


def key_of(certificate: x509.Certificate) -> str:
    return certificate_facts(certificate.public_bytes(Encoding.DER)).key


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_what_is_listed_is_revoked(ca: ForeignCA, tmp_path: Path, encoding: Encoding) -> None:
    good, bad = ca.client("good")[0], ca.client("bad")[0]
    path = tmp_path / "crl"
    crl = ca.crl(bad)
    path.write_bytes(crl.public_bytes(encoding))
    read = RevocationLists([path]).read([ca.der])
    assert read.revoked == {key_of(bad)}
    assert key_of(good) not in read.revoked
    assert read.until_s == {certificate_facts(ca.der).subject: int((now() + DAY).timestamp())}


def test_lists_of_several_cas_in_one_file_and_read_again_when_replaced(ca: ForeignCA, tmp_path: Path) -> None:
    other = ForeignCA("Other CA")
    mine, theirs = ca.client("mine")[0], other.client("theirs")[0]
    path = tmp_path / "crl"
    path.write_bytes(ca.crl(mine).public_bytes(Encoding.PEM) + other.crl(theirs).public_bytes(Encoding.PEM))
    lists = RevocationLists([path])
    read = lists.read([other.der, ca.der])
    assert read.revoked == {key_of(mine), key_of(theirs)}
    assert lists.read([other.der, ca.der]) is read
    path.write_bytes(ca.crl().public_bytes(Encoding.PEM))
    assert lists.read([other.der, ca.der]).revoked == set()


def test_one_out_of_date_revokes_still_and_says_so(ca: ForeignCA, tmp_path: Path) -> None:
    bad = ca.client("bad")[0]
    path = tmp_path / "crl"
    path.write_bytes(ca.crl(bad, updates=(now() - 3 * DAY, now() - DAY)).public_bytes(Encoding.PEM))
    read = RevocationLists([path]).read([ca.der])
    assert read.revoked == {key_of(bad)}
    assert max(read.until_s.values()) < now().timestamp()


def partial(**flags: object) -> x509.IssuingDistributionPoint:
    names = ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs")
    chosen = {name: bool(flags.get(name)) for name in names}
    reasons = frozenset({x509.ReasonFlags.key_compromise}) if flags.get("reasons") else None
    return x509.IssuingDistributionPoint(None, None, only_some_reasons=reasons, **chosen)


def test_a_list_for_end_entities_is_whole_enough(ca: ForeignCA, tmp_path: Path) -> None:
    path = tmp_path / "crl"
    path.write_bytes(ca.crl(critical=[partial(only_contains_user_certs=True)]).public_bytes(Encoding.PEM))
    assert RevocationLists([path]).read([ca.der]).revoked == set()


def test_what_may_not_be_relied_on_is_refused_by_name(ca: ForeignCA, tmp_path: Path) -> None:
    stranger = ForeignCA()  # the same name, another key
    cases = [
        (b"junk", "no revocation list"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "no revocation list"),
        (stranger.crl().public_bytes(Encoding.PEM), "not signed by a trusted CA: its issuer is CN=Foreign CA"),
        (ca.crl(updates=(now() + DAY, now() + 2 * DAY)).public_bytes(Encoding.PEM), "not yet: see the clock"),
        (ca.crl(critical=[x509.DeltaCRLIndicator(1)]).public_bytes(Encoding.PEM), "critical extension"),
        (ca.crl(critical=[partial(only_contains_ca_certs=True)]).public_bytes(Encoding.PEM), "partial"),
        (ca.crl(critical=[partial(indirect_crl=True)]).public_bytes(Encoding.PEM), "partial"),
        (ca.crl(critical=[partial(reasons=True)]).public_bytes(Encoding.PEM), "partial"),
    ]
    for content, complaint in cases:
        path = tmp_path / "the-crl"
        path.write_bytes(content)
        with pytest.raises(InvalidParameterError, match=f"the-crl .*{complaint}"):
            RevocationLists([path]).read([ca.der])
    with pytest.raises(FileNotFoundError):
        RevocationLists([tmp_path / "none"]).read([ca.der])
