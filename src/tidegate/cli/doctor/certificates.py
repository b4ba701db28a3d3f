"""Keys and certificates that open an engine's door, where engines and clients keep them: modes, strength and time."""

import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tidegate.cli.doctor.engines import Engine
from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.cli.doctor.host import Host

LEAST_RSA_BITS = 2048
LEAST_EC_BITS = 224
SOON = timedelta(days=30)
LONG_CLIENT = timedelta(days=825)
_WEAK_HASHES = ("md5", "sha1")
_MOST_FILES = 10_000
_MOST_BYTES = 1024 * 1024


def certificate_files(host: Host, engines: Iterable[Engine], data_roots: Iterable[Path]) -> list[Path]:
    """Every ``.pem`` where engines and clients keep them, and what the engines' flags name."""
    places = [host.path("/etc/docker"), *(home / ".docker" for home in host.homes())]
    places += [root / "pki" for root in data_roots]
    named = [
        host.path(engine.text(key))
        for engine in engines
        for key in ("tlscacert", "tlscert", "tlskey")
        if engine.text(key)
    ]
    found = [path for place in places for path in _walk(place)] + [path for path in named if path.is_file()]
    return list({path.resolve(): path for path in found}.values())


def look_at_certificates(paths: list[Path], report: Report, now: datetime | None = None) -> None:
    """Judge each file."""
    for path in paths:
        try:
            content = path.read_bytes()[:_MOST_BYTES]
            status = path.stat()
        except OSError as error:
            report.not_looked_at.append(f"{path}: {error.strerror}")
            continue
        if b"PRIVATE KEY-----" in content:
            report.add(*judge_key(path, status.st_mode, content))
        if b"BEGIN CERTIFICATE-----" in content:
            report.add(*judge_certificates(path, content, now or datetime.now(UTC)))
    report.looked_at.append(f"{len(paths)} files of keys and certificates")


def judge_key(path: Path, mode: int, content: bytes) -> list[Finding]:
    """A key that others can read; one that is weak; one that is not its certificate's."""
    findings = []
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        severity = Severity.CRITICAL if mode & stat.S_IRWXO else Severity.HIGH
        who = "everybody on this host" if mode & stat.S_IRWXO else "its group"
        what = f"The private key can be read by {who} (mode {stat.S_IMODE(mode):04o})"
        findings.append(Finding("key-readable", severity, what, str(path), f"chmod 0600 {path}, and make a new key"))
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return findings
    public = key.public_key()
    findings += _judge_strength(public, str(path))
    beside = path.with_name("cert.pem")
    if path.name == "key.pem" and beside.is_file():
        certificate = next(iter(_load(beside.read_bytes())), None)
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if certificate is not None and certificate.public_key().public_bytes(*form) != public.public_bytes(*form):
            what = "The key is not that of the certificate beside it: no connection can be made with them"
            findings.append(Finding("key-mismatch", Severity.MEDIUM, what, str(path), "ask for a new certificate"))
    return findings


def judge_certificates(path: Path, content: bytes, now: datetime) -> list[Finding]:
    """All certificates of a file."""
    loaded = _load(content)
    if not loaded:
        what = "The file is no certificate that can be read"
        return [Finding("certificate-unreadable", Severity.LOW, what, str(path), "replace it")]
    return [finding for each in loaded for finding in judge_certificate(path, each, now)]


def judge_certificate(path: Path, certificate: x509.Certificate, now: datetime) -> list[Finding]:
    """Strength, signature and time of one."""
    where = f"{path} ({certificate.subject.rfc4514_string() or 'no subject'})"
    findings = _judge_strength(certificate.public_key(), where)
    algorithm = certificate.signature_hash_algorithm
    self_signed = certificate.issuer == certificate.subject
    if algorithm is not None and algorithm.name in _WEAK_HASHES and not self_signed:
        what = f"The certificate is signed with {algorithm.name.upper()}, which can be forged"
        findings.append(Finding("weak-signature", Severity.HIGH, what, where, "have it signed anew, with SHA-256"))
    end, start = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    renew = "`tidegate client renew`, `tidegate pki server` or whoever signed it makes a new one"
    if end <= now:
        what = f"The certificate has expired on {end:%Y-%m-%d}"
        findings.append(Finding("certificate-expired", Severity.MEDIUM, what, where, renew))
    elif end - now < min(SOON, (end - start) / 3):
        days = (end - now).days
        what = f"The certificate expires on {end:%Y-%m-%d}, in {days} day{'' if days == 1 else 's'}"
        findings.append(Finding("certificate-expiring", Severity.MEDIUM, what, where, renew))
    elif start > now:
        what = f"The certificate is not valid before {start:%Y-%m-%d %H:%M} UTC: is this host's clock behind?"
        findings.append(Finding("certificate-not-yet-valid", Severity.MEDIUM, what, where, "set the clock (NTP)"))
    if end - start > LONG_CLIENT and _is_client(certificate):
        what = f"The client's certificate lives for {(end - start).days} days: whoever copies it has that long"
        mend = "hand out certificates of 90 days or less, and renew them"
        findings.append(Finding("long-lived-client", Severity.LOW, what, where, mend))
    return findings


def _judge_strength(key: object, where: str) -> list[Finding]:
    weak = ""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        weak = f"RSA of {key.key_size} bits"
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < LEAST_EC_BITS:
        weak = f"the curve {key.curve.name}"
    elif isinstance(key, dsa.DSAPublicKey):
        weak = "DSA"
    if not weak:
        return []
    return [Finding("weak-key", Severity.HIGH, f"The key is {weak}: too weak", where, "make a new one (ECDSA P-256)")]


def _is_client(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usage


def _load(content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        return []


def _walk(place: Path) -> Iterator[Path]:
    """The ``.pem`` files under a directory; links are not followed, and a forest is cut off."""
    if not place.is_dir():
        return
    for number, path in enumerate(place.rglob("*.pem")):
        if number >= _MOST_FILES:
            return
        if path.is_file() and not path.is_symlink():
            yield path
