"""What is in a PKI, read without changing it: one row per certificate, with what is wrong with it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509

from tidegate.base.errors import InvalidParameterError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority


class Entry(msgspec.Struct, frozen=True):
    """``state``: ``valid``, ``expired``, ``incomplete``, ``unreadable``, ``mismatched`` or ``foreign`` (another CA)."""

    kind: str
    name: str
    state: str
    serial: str = ""
    not_after: datetime | None = None


def list_entries(authority: Authority) -> list[Entry]:
    """The CA, the server, then the clients by name; nothing when there is no PKI. Raises OSError."""
    if not authority.directory.exists():
        return []
    ca = _load(authority.ca_path)
    entries = [_entry(authority, ("ca", "ca"), authority.ca_path, None, ca)]
    upcoming = _load(authority.next_ca_path)
    if upcoming is not None:
        entries.append(_entry(authority, ("ca", "next"), authority.next_ca_path, None, upcoming))
    server = authority.server_directory
    entries.append(_entry(authority, ("server", "server"), server / "cert.pem", server / "key.pem", ca))
    clients = authority.directory / "clients"
    for directory in sorted(clients.iterdir()) if clients.exists() else ():
        identity = ("client", directory.name)
        entries.append(_entry(authority, identity, directory / "cert.pem", directory / "key.pem", ca, upcoming))
    return entries


def _load(path: Path) -> x509.Certificate | None:
    try:
        return certs.decode_certificate(path.read_bytes(), str(path))
    except (FileNotFoundError, InvalidParameterError):
        return None


def _entry(
    authority: Authority, identity: tuple[str, str], path: Path, key_path: Path | None, *cas: x509.Certificate | None
) -> Entry:
    kind, name = identity
    certificate = _load(path)
    if certificate is None:
        return Entry(kind, name, "unreadable" if path.exists() else "incomplete")
    state = _state(authority, certificate, key_path, cas)
    return Entry(kind, name, state, f"{certificate.serial_number:x}", certificate.not_valid_after_utc)


def _state(
    authority: Authority,
    certificate: x509.Certificate,
    key_path: Path | None,
    cas: Sequence[x509.Certificate | None],
) -> str:
    if key_path is not None:
        if not key_path.exists():
            return "incomplete"
        try:
            if not certs.belongs_to(certificate, certs.decode_key(key_path.read_bytes(), str(key_path))):
                return "mismatched"
        except InvalidParameterError:
            return "unreadable"
    if not any(ca is not None and certs.is_issued_by(certificate, ca) for ca in cas):
        return "foreign"
    return "valid" if certificate.not_valid_after_utc > authority.now() else "expired"
