"""The PKI of one data root: files, and what must hold between them.

Layout under DATA_ROOT/pki (0700): ``ca.pem``, ``ca-key.pem``, ``server/{cert,key}.pem``, ``server/names`` (SANs
asked for beyond the host's own, one a line), ``clients/NAME/{ca,cert,key}.pem``.

- Every ``ensure_*`` leaves what is good alone and makes what is missing, foreign, outdated or about to expire. A run
  that was killed anywhere is therefore completed by the next one.
- A key is written before the certificate made for it, and kept when the certificate is renewed: one rename renews.
- The CA's key is needed only to sign. It may be taken off the machine; signing then fails with a clear error.
- One process at a time changes a PKI (``.lock``).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.pki import certificates as certs
from tidegate.pki.certificates import Issuer, PrivateKey, Purpose
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.durable_files import (
    PRIVATE_MODE,
    PUBLIC_MODE,
    exclusive,
    make_private_directory,
    remove_leftovers,
    write_durably,
)
from tidegate.pki.host_names import host_names
from tidegate.pki.names import parse_alternative_name, parse_client_name, usable_names

SERVER_DAYS = 824  # with the grace before it still under Apple's 825
CLIENT_DAYS = 365
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
        self.server_directory = self.directory / "server"
        self._names_path = self.server_directory / "names"
        self.now = now
        self._own_names = own_names
        self._write = write

    def client_directory(self, name: str) -> Path:
        """Raises InvalidParameterError for a name that cannot be one."""
        return self.directory / "clients" / parse_client_name(name)

    def ensure_all(self, extra_names: Sequence[str] = ()) -> None:
        """What ``tidegate up`` needs: a CA, a server certificate, the first administrator's. Raises as the parts do."""
        self.ensure_ca()
        self.ensure_server(extra_names)
        self.ensure_client(ADMIN)

    def ensure_ca(self) -> x509.Certificate:
        """Raises ConflictError when the CA has expired, or is lost while certificates of it are there."""
        make_private_directory(self.directory)
        with self._changing(self.directory):
            if not self.ca_path.exists():
                self._refuse_to_replace_a_lost_ca()
                key = self._ensure_key(self.ca_key_path)
                self._write_certificate(self.ca_path, certs.make_ca(key, self.now()))
            return self.ca()

    def ensure_server(self, extra_names: Sequence[str] = (), days: int | None = None) -> x509.Certificate:
        """A server certificate for all of the host's names and all extra ones ever asked for.

        ``days`` asks for a new certificate even if the present one would do. Raises InvalidParameterError for a bad
        name, NotFoundError without a CA, ConflictError when the CA cannot sign.
        """
        asked = [parse_alternative_name(name) for name in extra_names]
        ca = self.ca()
        make_private_directory(self.server_directory)
        with self._changing(self.server_directory):
            extra = usable_names([*self.extra_names(), *asked])
            if extra != self.extra_names():
                self._write(self._names_path, "".join(f"{n}\n" for n in extra).encode(), PUBLIC_MODE)
            names = usable_names([*self._own_names(), *extra])
            return self._ensure_leaf(ca, self.server_directory, ("Tidegate server", Purpose.SERVER), days, names)

    def ensure_client(self, name: str, days: int | None = None) -> x509.Certificate:
        """A client certificate with CN ``name``, in ``client_directory(name)`` with key and CA; errors as above."""
        directory = self.client_directory(name)
        ca = self.ca()
        make_private_directory(directory)
        with self._changing(directory):
            certificate = self._ensure_leaf(ca, directory, (name, Purpose.CLIENT), days, ())
            ca_pem = self.ca_path.read_bytes()
            copy = directory / "ca.pem"
            if not copy.exists() or copy.read_bytes() != ca_pem:
                self._write(copy, ca_pem, PUBLIC_MODE)
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

    @contextlib.contextmanager
    def _changing(self, directory: Path) -> Iterator[None]:
        with exclusive(self.directory / ".lock"):
            remove_leftovers(directory)
            yield

    def _refuse_to_replace_a_lost_ca(self) -> None:
        issued = self.server_directory.joinpath("cert.pem"), *self.directory.glob("clients/*/cert.pem")
        if not self.ca_key_path.exists() and any(path.exists() for path in issued):
            raise ConflictError(
                f"{self.directory} has certificates of a CA whose ca.pem and ca-key.pem are gone: "
                "restore them, or move the directory away to start anew"
            )

    def _ensure_leaf(
        self,
        ca: x509.Certificate,
        directory: Path,
        identity: tuple[str, Purpose],
        days: int | None,
        names: Sequence[str],
    ) -> x509.Certificate:
        common_name, purpose = identity
        path = directory / "cert.pem"
        key = self._ensure_key(directory / "key.pem")
        if days is None and path.exists():
            present = certs.decode_certificate(path.read_bytes(), str(path))
            if self._is_good(present, ca, key, identity, names):
                return present
        default_days = SERVER_DAYS if purpose is Purpose.SERVER else CLIENT_DAYS
        lifetime = (self.now(), days or default_days)
        certificate = certs.make_leaf(self._issuer(ca), key, common_name, purpose, lifetime, names)
        self._write_certificate(path, certificate)
        return certificate

    def _is_good(
        self,
        certificate: x509.Certificate,
        ca: x509.Certificate,
        key: PrivateKey,
        identity: tuple[str, Purpose],
        names: Sequence[str],
    ) -> bool:
        common_name, purpose = identity
        # A short-lived certificate is renewed in its last third, or it would be renewed at every start.
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        renew_before = min(_RENEW_BEFORE, lifetime / 3)
        return (
            certificate.not_valid_after_utc - renew_before > self.now()
            and certs.belongs_to(certificate, key)
            and certs.is_issued_by(certificate, ca)
            and certs.has_purpose(certificate, purpose)
            and certs.common_name(certificate) == common_name
            and set(names) <= set(certs.alternative_names(certificate))
        )

    def _issuer(self, ca: x509.Certificate) -> Issuer:
        if not self.ca_key_path.exists():
            raise ConflictError(f"cannot sign: the CA's key {self.ca_key_path} is not there")
        key = self._ensure_key(self.ca_key_path)
        if not certs.belongs_to(ca, key):
            raise ConflictError(f"cannot sign: {self.ca_key_path} is not the key of {self.ca_path}")
        return Issuer(ca, key)

    def _ensure_key(self, path: Path) -> PrivateKey:
        if not path.exists():
            key = certs.new_key()
            self._write(path, certs.encode_key(key), PRIVATE_MODE)
            return key
        if path.stat().st_mode & _OTHERS:
            path.chmod(PRIVATE_MODE)
        return certs.decode_key(path.read_bytes(), str(path))

    def _write_certificate(self, path: Path, certificate: x509.Certificate) -> None:
        self._write(path, certs.encode_certificate(certificate), PUBLIC_MODE)
