"""Whatever is fed to the reader of certificates, it says no or reads what the library reads."""

import ssl

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.authority import Authority
from tidegate.pki.der import certificate_facts, name_key, serial_text, split_pem


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    authority = Authority(tmp_path_factory.mktemp("root"), own_names=lambda: ("localhost",))
    authority.ensure_ca()
    return ssl.PEM_cert_to_DER_cert(authority.ca_path.read_text())


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(InvalidParameterError):
        certificate_facts(junk)


@given(st.data())
def test_a_changed_certificate_is_read_as_the_library_reads_it_or_refused(
    certificate: bytes, data: st.DataObject
) -> None:
    changed = bytearray(certificate)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        facts = certificate_facts(bytes(changed))
    except InvalidParameterError:
        return
    try:
        read = x509.load_der_x509_certificate(bytes(changed))
        expected = serial_text(read.serial_number), name_key(read.issuer.public_bytes())
    except (ValueError, x509.InvalidVersion):
        return  # what the library refuses, OpenSSL has refused before us
    assert (facts.serial, facts.issuer) == expected


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_texts_are_bundles_or_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError):
        split_pem(text, "text")
