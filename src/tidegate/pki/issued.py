"""The record of every client certificate of our CA: DATA_ROOT/pki/issued/SERIAL.json, 0600.

- A record is written before its certificate is handed out: a certificate that is not on record admits nobody.
- Role and revocation are changed here and nowhere else; whoever watches the directory sees them at once.
- Writers hold the lock of the PKI (``durable_files.exclusive``); a file is replaced whole.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.durable_files import PRIVATE_MODE, make_private_directory, write_durably

Origin = Literal["init", "create", "invite", "renew"]
_Stamp = tuple[int, int, int]
_SUFFIX = ".json"


class Grant(msgspec.Struct, frozen=True):
    """Whose certificate it is to be, what it may do, and how it came to be asked for."""

    name: str
    role: str
    origin: Origin


class IssueRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``fingerprint`` and ``key`` are the SHA-256 of the certificate and of its public key (SubjectPublicKeyInfo).

    ``issuer`` is the ``der.name_key`` of the CA, of which there are two while it is being changed.
    """

    serial: str
    issuer: str
    name: str
    role: str
    origin: Origin
    issued_at: datetime
    not_after: datetime
    fingerprint: str
    key: str
    revoked_at: datetime | None = None
    reason: str = ""

    def is_live(self, now: datetime) -> bool:
        """Neither expired nor revoked."""
        return self.revoked_at is None and self.not_after > now


class IssuedRecords:
    """The records of one PKI; what has not changed on disk is not read again."""

    def __init__(self, pki_directory: Path, write: Callable[[Path, bytes, int], None] = write_durably) -> None:
        self.directory = pki_directory / "issued"
        self._write = write
        self._known: dict[str, tuple[_Stamp, IssueRecord]] = {}

    def all(self) -> list[IssueRecord]:
        """By time of issue. Raises InvalidParameterError for a file that is no record, OSError."""
        return sorted(self.present(), key=lambda each: (each.issued_at, each.serial))

    def present(self, changed: Collection[str] | None = None) -> list[IssueRecord]:
        """In no order. ``changed`` are the names of the files that may differ from the last time, None for any.

        Raises as ``all``.
        """
        if changed is None or not self._known:
            changed = set(self._known) | {path.name for path in self.directory.glob("[!.]*.json")}
        try:
            for name in changed:
                if name.endswith(_SUFFIX):
                    self._look_at(self.directory / name)
        except (InvalidParameterError, OSError):
            self._known = {}  # the next one looks at all of them: what cannot be read must not just be left out
            raise
        return [record for _, record in self._known.values()]

    def of(self, name: str) -> list[IssueRecord]:
        """Those of the client ``name``, oldest first."""
        return [record for record in self.all() if record.name == name]

    def put(self, record: IssueRecord) -> None:
        """Add a record, or replace the one with its serial number."""
        make_private_directory(self.directory)
        document = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
        self._write(self.directory / f"{record.serial}{_SUFFIX}", document, PRIVATE_MODE)

    def drop(self, record: IssueRecord) -> None:
        """Forget a record; of use only for a certificate that has expired."""
        (self.directory / f"{record.serial}{_SUFFIX}").unlink(missing_ok=True)

    def _look_at(self, path: Path) -> None:
        known = self._known.pop(path.name, None)
        try:
            status = path.stat()
        except FileNotFoundError:
            return
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        self._known[path.name] = known if known is not None and known[0] == stamp else (stamp, _read(path))


def _read(path: Path) -> IssueRecord:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=IssueRecord)
    except msgspec.DecodeError as error:
        raise InvalidParameterError(f"{path} is no record of a certificate: {error}") from error
    if record.serial != path.stem:
        raise InvalidParameterError(f"{path} is the record of another certificate: {record.serial}")
    return record
