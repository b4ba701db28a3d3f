"""The PKI of one data root: files, and what must hold between them.

Layout under DATA_ROOT/pki (0700): ``ca.pem``, ``ca-key.pem``, ``server/{cert,key}.pem``, ``server/names`` (SANs
asked for beyond the host's own, one a line), ``clients/NAME/{ca,cert,key}.pem``, ``issued/`` (see ``issued``), and
while the CA is being changed ``next/{ca,ca-key}.pem`` (see ``rotation``): clients are then certified by the next CA.

- Every ``ensure_*`` leaves what is good alone and makes what is missing, foreign, outdated or about to expire. A run
  that was killed anywhere is therefore completed by the next one.
- A key is written before the certificate made for it, and kept when the certificate is renewed: one rename renews.
- The CA's key is needed only to sign. It may be taken off the machine; signing then fails with a clear error.
- A client's certificate is on record before it exists for anybody else; one whose record is revoked is made anew, with
  a new key.
- One process at a time changes a PKI (``.lock``).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.pki import certificates as certs
from tidegate.pki.certificates import Issuer, Leaf, PrivateKey, PublicKey, Purpose
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.der import fingerprint, name_key, serial_text
from tidegate.pki.durable_files import (
    PRIVATE_MODE,
    PUBLIC_MODE,
    exclusive,
    make_private_directory,
    remove_leftovers,
    write_durably,
    write_together,
)
from tidegate.pki.host_names import host_names
from tidegate.pki.issued import Grant, IssuedRecords, IssueRecord, Origin
from tidegate.pki.names import parse_alternative_name, parse_client_name, usable_names

LIFETIME = timedelta(days=90)
ADMIN = "admin"
_RENEW_BEFORE = timedelta(days=30)
_OTHERS = 0o077


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Authority:
    """The CA of a data root and the certificates it has issued. Every method may raise OSError."""

    def __init__(
        self,
        data_root: Path,
        now: Callable[[], datetime] = _utc_now,
        own_names: Callable[[], Sequence[str]] = host_names,
        write: Callable[[Path, bytes, int], None] = write_durably,
    ) -> None:
        self.directory = data_root / "pki"
        self.ca_path = self.directory / "ca.pem"
        self.ca_key_path = self.directory / "ca-key.pem"
        self.next_ca_path = self.directory / "next/ca.pem"
        self.next_ca_key_path = self.directory / "next/ca-key.pem"
        self.server_directory = self.directory / "server"
        self._names_path = self.server_directory / "names"
        self.now = now
        self._own_names = own_names
        self.write = write
        self.records = IssuedRecords(self.directory, write)

    def client_directory(self, name: str) -> Path:
        """Raises InvalidParameterError for a name that cannot be one."""
        return self.directory / "clients" / parse_client_name(name)

    def ensure_all(self, extra_names: Sequence[str] = ()) -> None:
        """What ``tidegate up`` needs: a CA, a server certificate, the first administrator's. Raises as the parts do."""
        self.ensure_ca()
        self.adopt()
        self.ensure_server(extra_names)
        self.ensure_client(ADMIN)

    def ensure_ca(self) -> x509.Certificate:
        """Raises ConflictError when the CA has expired, or is lost while certificates of it are there."""
        make_private_directory(self.directory)
        with self.changing(self.directory):
            if not self.ca_path.exists():
                self._refuse_to_replace_a_lost_ca()
                key = self.ensure_key(self.ca_key_path)
                self.write_certificate(self.ca_path, certs.make_ca(key, self.now()))
            return self.ca()

    def ensure_server(self, extra_names: Sequence[str] = (), lifetime: timedelta | None = None) -> x509.Certificate:
        """A server certificate for all of the host's names and all extra ones ever asked for.

        ``lifetime`` asks for a new certificate even if the present one would do. Raises InvalidParameterError for a bad
        name, NotFoundError without a CA, ConflictError when the CA cannot sign.
        """
        asked = [parse_alternative_name(name) for name in extra_names]
        ca = self.ca()
        make_private_directory(self.server_directory)
        with self.changing(self.server_directory):
            extra = usable_names([*self.extra_names(), *asked])
            if extra != self.extra_names():
                self.write(self._names_path, "".join(f"{n}\n" for n in extra).encode(), PUBLIC_MODE)
            key = self.ensure_key(self.server_directory / "key.pem")
            leaf = self._server_leaf(key.public_key(), extra)
            path = self.server_directory / "cert.pem"
            if lifetime is None and (present := self._present(path)) and self._is_good(present, ca, leaf):
                return present
            certificate = certs.make_leaf(self._issuer(ca, self.ca_key_path), leaf, self.now(), lifetime or LIFETIME)
            self.write_certificate(path, certificate)
            return certificate

    def is_server_due(self) -> bool:
        """Whether the server's certificate is in its last third, or not of the CA. Raises as ``ca``."""
        present = self._present(self.server_directory / "cert.pem")
        if present is None:
            return True
        names = certs.alternative_names(present)
        leaf = Leaf(certs.public_key(present), certs.common_name(present), Purpose.SERVER, names)
        return not self._is_good(present, self.ca(), leaf)

    def rotate_server(self, lifetime: timedelta | None = None) -> x509.Certificate:
        """A new key and a new certificate for the server's names, replaced together. Raises as ``ensure_server``."""
        self.ca()
        make_private_directory(self.server_directory)
        with self.changing(self.server_directory):
            key = certs.new_key()
            leaf = self._server_leaf(key.public_key(), self.extra_names())
            issuer = self._issuer(self.ca(), self.ca_key_path)
            certificate = certs.make_leaf(issuer, leaf, self.now(), lifetime or LIFETIME)
            files = {
                "key.pem": (certs.encode_key(key), PRIVATE_MODE),
                "cert.pem": (certs.encode_certificate(certificate), PUBLIC_MODE),
            }
            write_together(self.server_directory, files)
            return certificate

    def ensure_client(
        self, name: str, lifetime: timedelta | None = None, role: str = ADMIN, origin: Origin = "init"
    ) -> x509.Certificate:
        """A client certificate with CN ``name``, in ``client_directory(name)`` with key and CA; errors as above.

        ``role`` counts for a name that has no live certificate yet.
        """
        directory = self.client_directory(name)
        self.ca()
        make_private_directory(directory)
        with self.changing(directory):
            certificate = self._ensure_client_leaf(name, lifetime, (role, origin))
            ca_pem = self.bundle()
            copy = directory / "ca.pem"
            if not copy.exists() or copy.read_bytes() != ca_pem:
                self.write(copy, ca_pem, PUBLIC_MODE)
            return certificate

    def ca(self) -> x509.Certificate:
        """Raises NotFoundError for none, InvalidParameterError for an unreadable, ConflictError for an expired one."""
        try:
            pem = self.ca_path.read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"no CA at {self.ca_path}: run `tidegate pki init` first") from error
        certificate = certs.decode_certificate(pem, str(self.ca_path))
        if certificate.not_valid_after_utc <= self.now():
            raise ConflictError(f"the CA {self.ca_path} has expired: move {self.directory} away to start a new one")
        return certificate

    def bundle(self) -> bytes:
        """What clients shall trust: the CA, and while it is being changed the next one too. Raises as ``ca``."""
        self.ca()
        parts = [path.read_bytes() for path in (self.ca_path, self.next_ca_path) if path.exists()]
        return b"".join(dict.fromkeys(parts))

    def client_ca(self) -> tuple[x509.Certificate, Path]:
        """The CA that certifies clients now, and where its key is. Raises as ``ca``."""
        current = self.ca()
        if not self.next_ca_path.exists():
            return current, self.ca_key_path
        if not self.next_ca_key_path.exists() and self.bundle() == self.ca_path.read_bytes():
            return current, self.ca_key_path  # the next one was made the present one; only its copy is left
        upcoming = certs.decode_certificate(self.next_ca_path.read_bytes(), str(self.next_ca_path))
        return upcoming, self.next_ca_key_path

    def extra_names(self) -> tuple[str, ...]:
        """The names asked for so far beyond the host's own."""
        return tuple(self._names_path.read_text().split()) if self._names_path.exists() else ()

    def client_material(self, name: str) -> TLSMaterial:
        """What a client is given. Raises NotFoundError when it is not (wholly) there."""
        directory = self.client_directory(name)
        try:
            return TLSMaterial(*(directory.joinpath(file).read_bytes() for file in ("ca.pem", "cert.pem", "key.pem")))
        except FileNotFoundError as error:
            raise NotFoundError(f"no certificate for client {name}: run `tidegate pki client {name}`") from error

    def issue(self, key: PublicKey, grant: Grant, lifetime: timedelta | None = None) -> x509.Certificate:
        """A certificate for ``key``, on record. Hold ``changing``. Raises ConflictError when the CA cannot sign."""
        certificate, record = self.sign(key, grant, lifetime)
        self.records.put(record)
        return certificate

    def sign(
        self, key: PublicKey, grant: Grant, lifetime: timedelta | None = None
    ) -> tuple[x509.Certificate, IssueRecord]:
        """A certificate for ``key``, and the record that is owed before it is given away. Raises as ``issue``."""
        leaf = Leaf(key, grant.name, Purpose.CLIENT)
        certificate = certs.make_leaf(self._issuer(*self.client_ca()), leaf, self.now(), lifetime or LIFETIME)
        return certificate, _record(certificate, grant, self.now())

    def adopt(self) -> None:
        """Put the clients of a PKI without records, as it was once, on record as the administrators they were."""
        if self.records.directory.exists():
            return
        ca = self.ca()
        with self.changing(self.directory):
            for path in sorted(self.directory.glob("clients/*/cert.pem")):
                present = self._present(path)
                if present is not None and certs.is_issued_by(present, ca):
                    self.records.put(_record(present, Grant(certs.common_name(present), ADMIN, "init"), self.now()))
            make_private_directory(self.records.directory)

    @contextlib.contextmanager
    def changing(self, directory: Path) -> Iterator[None]:
        """Hold the lock to change ``directory`` and the records. Not for one who holds it already."""
        with exclusive(self.directory / ".lock"):
            for each in (directory, self.records.directory):
                remove_leftovers(each)
            yield

    def _refuse_to_replace_a_lost_ca(self) -> None:
        issued = self.server_directory.joinpath("cert.pem"), *self.directory.glob("clients/*/cert.pem")
        if not self.ca_key_path.exists() and any(path.exists() for path in issued):
            raise ConflictError(
                f"{self.directory} has certificates of a CA whose ca.pem and ca-key.pem are gone: "
                "restore them, or move the directory away to start anew"
            )

    def _server_leaf(self, key: PublicKey, extra_names: Sequence[str]) -> Leaf:
        return Leaf(key, "Tidegate server", Purpose.SERVER, usable_names([*self._own_names(), *extra_names]))

    def _ensure_client_leaf(self, name: str, lifetime: timedelta | None, grant: tuple[str, Origin]) -> x509.Certificate:
        directory = self.client_directory(name)
        path, key_path = directory / "cert.pem", directory / "key.pem"
        records = self.records.of(name)
        key = self.ensure_key(key_path)
        known = certs.key_fingerprint(key.public_key())
        if any(record.revoked_at and record.key == known for record in records):
            key_path.unlink()
            key = self.ensure_key(key_path)
        leaf = Leaf(key.public_key(), name, Purpose.CLIENT)
        if lifetime is None and (present := self._present(path)) and self._is_good(present, self.client_ca()[0], leaf):
            serial = serial_text(present.serial_number)
            if any(record.serial == serial and record.is_live(self.now()) for record in records):
                return present
        role, origin = grant
        live = [record.role for record in records if record.is_live(self.now())]
        certificate = self.issue(key.public_key(), Grant(name, live[-1] if live else role, origin), lifetime)
        self.write_certificate(path, certificate)
        return certificate

    def _present(self, path: Path) -> x509.Certificate | None:
        return certs.decode_certificate(path.read_bytes(), str(path)) if path.exists() else None

    def _is_good(self, certificate: x509.Certificate, ca: x509.Certificate, leaf: Leaf) -> bool:
        # A short-lived certificate is renewed in its last third, or it would be renewed at every start.
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        renew_before = min(_RENEW_BEFORE, lifetime / 3)
        return (
            certificate.not_valid_after_utc - renew_before > self.now()
            and certificate.public_key() == leaf.key
            and certs.is_issued_by(certificate, ca)
            and certs.has_purpose(certificate, leaf.purpose)
            and certs.common_name(certificate) == leaf.common_name
            and set(leaf.names) <= set(certs.alternative_names(certificate))
        )

    def _issuer(self, ca: x509.Certificate, key_path: Path) -> Issuer:
        if not key_path.exists():
            raise ConflictError(f"cannot sign: the CA's key {key_path} is not there")
        key = self.ensure_key(key_path)
        if not certs.belongs_to(ca, key):
            raise ConflictError(f"cannot sign: {key_path} is not the key of {key_path.with_name('ca.pem')}")
        return Issuer(ca, key)

    def ensure_key(self, path: Path) -> PrivateKey:
        """The key at ``path``, made if need be. Hold ``changing``. Raises InvalidParameterError for a bad one."""
        if not path.exists():
            key = certs.new_key()
            self.write(path, certs.encode_key(key), PRIVATE_MODE)
            return key
        if path.stat().st_mode & _OTHERS:
            path.chmod(PRIVATE_MODE)
        return certs.decode_key(path.read_bytes(), str(path))

    def write_certificate(self, path: Path, certificate: x509.Certificate) -> None:
        self.write(path, certs.encode_certificate(certificate), PUBLIC_MODE)


def _record(certificate: x509.Certificate, grant: Grant, now: datetime) -> IssueRecord:
    return IssueRecord(
        serial=serial_text(certificate.serial_number),
        issuer=name_key(certificate.issuer.public_bytes()),
        name=grant.name,
        role=grant.role,
        origin=grant.origin,
        issued_at=now,
        not_after=certificate.not_valid_after_utc,
        fingerprint=fingerprint(certificate.public_bytes(Encoding.DER)),
        key=certs.key_fingerprint(certs.public_key(certificate)),
    )
