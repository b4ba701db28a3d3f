"""Invitations: DATA_ROOT/pki/invites/ID.json, 0600, each good for one certificate.

- What is stored is a key derived from the token's secret: whoever reads the directory holds the CA's key as well, and
  whoever sees only a request holds neither.
- An invitation is removed before its certificate is given away: it can be lost by a crash, and never be used twice.
- Writers hold the lock of the PKI.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.pki.durable_files import PRIVATE_MODE, make_private_directory, sync_directory, write_durably


class Invitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``key`` in hexadecimal; ``lifetime_s`` is the certificate's."""

    id: str
    name: str
    role: str
    expires_at: datetime
    lifetime_s: int
    key: str

    @property
    def lifetime(self) -> timedelta:
        return timedelta(seconds=self.lifetime_s)


class Invitations:
    """The open invitations of one PKI."""

    def __init__(self, pki_directory: Path, write: Callable[[Path, bytes, int], None] = write_durably) -> None:
        self.directory = pki_directory / "invites"
        self._write = write

    def all(self) -> list[Invitation]:
        """By time of expiry, those that are over included. Raises InvalidParameterError for a damaged one, OSError."""
        found = [self._read(path) for path in self.directory.glob("[!.]*.json")]
        return sorted(found, key=lambda each: (each.expires_at, each.id))

    def find(self, invitation_id: str) -> Invitation | None:
        """Raises InvalidParameterError for a damaged one, OSError."""
        return next((each for each in self.all() if each.id == invitation_id), None)

    def put(self, invitation: Invitation) -> None:
        """Add, or replace the one with its id."""
        make_private_directory(self.directory)
        document = msgspec.json.format(msgspec.json.encode(invitation), indent=2) + b"\n"
        self._write(self.directory / f"{invitation.id}.json", document, PRIVATE_MODE)

    def remove(self, invitation: Invitation) -> None:
        """For good, a power cut included."""
        (self.directory / f"{invitation.id}.json").unlink(missing_ok=True)
        sync_directory(self.directory)

    def _read(self, path: Path) -> Invitation:
        try:
            invitation = msgspec.json.decode(path.read_bytes(), type=Invitation)
        except msgspec.DecodeError as error:
            raise InvalidParameterError(f"{path} is no invitation: {error}") from error
        if invitation.id != path.stem:
            raise InvalidParameterError(f"{path} is another invitation: {invitation.id}")
        return invitation
