"""A CA that is not ours: certificates, revocation lists and a responder's answers, as other tools make them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class ForeignCA:
    """``key`` and ``certificate`` are the CA's own; everything is valid from yesterday to next month."""

    def __init__(self, name: str = "Foreign CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def client(self, name: str, *extensions: x509.ExtensionType) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        return self.leaf(name, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), *extensions)

    def leaf(self, name: str, *extensions: x509.ExtensionType) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, *extensions), key

    def crl(
        self,
        *revoked: x509.Certificate,
        updates: tuple[datetime, datetime] | None = None,
        critical: Sequence[x509.ExtensionType] = (),
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> x509.CertificateRevocationList:
        """Signed by the CA, unless by ``key``."""
        last, following = updates or (now() - DAY, now() + DAY)
        builder = x509.CertificateRevocationListBuilder(self.name, last, following)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, last).build()
            builder = builder.add_revoked_certificate(entry)
        for extension in critical:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(key or self.key, hashes.SHA256())

    def responder(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """One that may answer for the CA."""
        return self.leaf("responder", x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]))

    def answer(self, certificate: x509.Certificate, status: ocsp.OCSPCertStatus, **options: Any) -> bytes:
        """What a responder says: ``nonce``, ``updates`` and ``signer`` (certificate, key) may be chosen."""
        last, following = options.get("updates", (now() - timedelta(minutes=1), now() + DAY))
        signer, key = options.get("signer", (self.certificate, self.key))
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            certificate, self.certificate, hashes.SHA1(), status, last, following, last if is_revoked else None, None
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer)
        if signer is not self.certificate:
            builder = builder.certificates([signer])
        if options.get("nonce") is not None:
            builder = builder.add_extension(x509.OCSPNonce(options["nonce"]), critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            self.name, subject, key.public_key(), x509.random_serial_number(), now() - DAY, now() + 30 * DAY
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())
