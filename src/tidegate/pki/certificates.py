"""Certificates as values: made, encoded, decoded, checked. No files here (``authority`` has them).

The profile (RFC 5280, strict enough for Go's crypto/x509, OpenSSL's X509_V_FLAG_X509_STRICT and Apple's 825 days):
- ECDSA P-256 with SHA-256; random serials; 5 minutes of grace for a client whose clock is behind;
- the CA: critical basicConstraints with path length 0, keyCertSign and cRLSign; its name is derived from its key, so
  that a lost ``ca.pem`` can be made again from the key and the certificates already handed out stay valid;
- leaves: critical CA:FALSE, digitalSignature, exactly one extended key usage, the CA's key identifier.
"""

import hashlib
import ipaddress
from datetime import datetime, timedelta
from enum import Enum

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tidegate.base.errors import InvalidParameterError

CA_DAYS = 3650
_CLOCK_GRACE = timedelta(minutes=5)

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey
_CLIENT_CURVES = (ec.SECP256R1, ec.SECP384R1)


class Purpose(Enum):
    """What a leaf may be used for."""

    SERVER = ExtendedKeyUsageOID.SERVER_AUTH
    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


class Issuer(msgspec.Struct, frozen=True):
    """A CA that can sign."""

    certificate: x509.Certificate
    key: PrivateKey


class Leaf(msgspec.Struct, frozen=True):
    """What a certificate is to say; ``names`` become SANs."""

    key: PublicKey
    common_name: str
    purpose: Purpose
    names: tuple[str, ...] = ()


def new_key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_ca(key: PrivateKey, now: datetime) -> x509.Certificate:
    """A self-signed CA certificate for ``key``, valid for ten years."""
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    subject = _name(f"Tidegate CA {key_id.digest.hex()[:16]}")
    builder = _builder(subject, subject, key.public_key(), now, now + timedelta(days=CA_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(ca=True), critical=True)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), False)
    return builder.sign(key, hashes.SHA256())


def make_leaf(issuer: Issuer, leaf: Leaf, now: datetime, lifetime: timedelta) -> x509.Certificate:
    """A certificate from ``now`` on, for ``lifetime``, cut at the CA's own end."""
    end = min(now + lifetime, issuer.certificate.not_valid_after_utc)
    builder = _builder(_name(leaf.common_name), issuer.certificate.subject, leaf.key, now, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(ca=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([leaf.purpose.value]), critical=False)
    builder = builder.add_extension(_authority_key_id(issuer.certificate), critical=False)
    if leaf.names:
        names = [_general_name(name) for name in leaf.names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and addresses of a certificate, as text."""
    try:
        value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in value.get_values_for_type(x509.IPAddress)]
    return (*value.get_values_for_type(x509.DNSName), *addresses)


def has_purpose(certificate: x509.Certificate, purpose: Purpose) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return purpose.value in usage


def common_name(certificate: x509.Certificate) -> str:
    return next((str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


def is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def belongs_to(certificate: x509.Certificate, key: PrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def public_key(certificate: x509.Certificate) -> PublicKey:
    """Raises InvalidParameterError for a certificate with another kind of key than we make."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidParameterError("the certificate's key is not an ECDSA key")
    return key


def key_fingerprint(key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in lower-case hexadecimal."""
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def make_request(key: PrivateKey, common_name: str) -> bytes:
    """A certificate signing request (PKCS#10) for ``key``, in PEM."""
    request = x509.CertificateSigningRequestBuilder(_name(common_name)).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def decode_request(pem: str) -> PublicKey:
    """The key that a signing request proves to hold; what else it says is not looked at.

    Raises InvalidParameterError when it is malformed, not signed by that key, or the key is of another kind.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidParameterError("csr is not a certificate signing request in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CLIENT_CURVES):
        raise InvalidParameterError("csr is for another key than ECDSA on P-256 or P-384: make one of those")
    if not request.is_signature_valid:
        raise InvalidParameterError("csr is not signed by the key it names")
    return key


def encode_certificate(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def encode_key(key: PrivateKey) -> bytes:
    """PKCS#8 PEM, unencrypted: what Go, Python and dockerd read."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def decode_certificate(pem: bytes, source: str) -> x509.Certificate:
    """Raises InvalidParameterError naming ``source``."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidParameterError(f"{source} is not a PEM certificate") from error


def decode_certificates(pem: bytes, source: str) -> list[x509.Certificate]:
    """All of a bundle. Raises InvalidParameterError naming ``source``."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise InvalidParameterError(f"{source} is not a PEM certificate") from error


def decode_key(pem: bytes, source: str) -> PrivateKey:
    """Raises InvalidParameterError naming ``source``."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise InvalidParameterError(f"{source} is an encrypted key, which is not supported") from error
    except ValueError as error:
        raise InvalidParameterError(f"{source} is not a PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidParameterError(f"{source} is not an ECDSA key")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    key_id = x509.SubjectKeyIdentifier.from_public_key(key)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _CLOCK_GRACE,
        not_valid_after=end,
    ).add_extension(key_id, critical=False)


def _authority_key_id(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        key_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:  # a CA the user brought
        key_id = x509.SubjectKeyIdentifier.from_public_key(ca.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
