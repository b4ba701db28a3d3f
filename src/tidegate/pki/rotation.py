"""Changing the CA without an outage, in two steps with any time between them.

``begin`` makes the next CA. From then on both are trusted, every new or renewed client certificate is of the next one,
and every client that is given one is told to trust both. The server's certificate stays with the old CA, which is the
only one that all clients know. ``finish`` makes the next CA the only one, and the server's certificate one of it.
Whoever has not renewed is locked out then, and so it refuses as long as there are such clients. What is connected
stays: the old CA is refused at the next handshake, and only what is on record was ever admitted by it.

``finish`` replaces ``ca.pem`` first: from then on it is decided, and any later run completes what a killed one left.
"""

from datetime import datetime

from tidegate.base.errors import ConflictError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import Authority
from tidegate.pki.der import name_key
from tidegate.pki.durable_files import PRIVATE_MODE, PUBLIC_MODE, make_private_directory, sync_directory
from tidegate.pki.upkeep import renew_kept

_NAMED = 5


class Rotation:
    """Of the CA of ``authority``. Every method may raise OSError."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def has_begun(self) -> bool:
        """Whether there are two CAs."""
        return self._authority.next_ca_path.exists() and not self._is_decided()

    def begin(self) -> None:
        """Make the next CA. Raises ConflictError when that was done already, NotFoundError without a CA."""
        authority = self._authority
        authority.ca()
        self.complete()
        make_private_directory(authority.next_ca_path.parent)
        with authority.changing(authority.next_ca_path.parent):
            if authority.next_ca_path.exists():
                raise ConflictError("the CA is being changed already: `tidegate pki rotate-ca` says how far it is")
            authority.next_ca_key_path.unlink(missing_ok=True)  # of a beginning that was cut short
            key = authority.ensure_key(authority.next_ca_key_path)
            authority.write_certificate(authority.next_ca_path, certs.make_ca(key, authority.now()))
        renew_kept(authority)

    def stragglers(self) -> dict[str, datetime]:
        """The clients that have no certificate of the next CA, and until when their last one of the old CA is good."""
        upcoming = name_key(self._authority.client_ca()[0].subject.public_bytes())
        live = [record for record in self._authority.records.all() if record.is_live(self._authority.now())]
        renewed = {record.name for record in live if record.issuer == upcoming}
        late = sorted((r.not_after, r.name) for r in live if r.name not in renewed)
        return {name: not_after for not_after, name in late}

    def finish(self, *, force: bool = False) -> None:
        """Drop the old CA. Raises ConflictError when nothing was begun, or while clients depend on the old one."""
        if not self._authority.next_ca_path.exists():
            raise ConflictError("the CA is not being changed: begin with `tidegate pki rotate-ca --begin`")
        late = list(self.stragglers())
        if late and not force and not self._is_decided():
            names = ", ".join(late[:_NAMED]) + (f" and {len(late) - _NAMED} more" if len(late) > _NAMED else "")
            raise ConflictError(
                f"not renewed yet, and locked out by this: {names}; run `tidegate client renew` there, "
                "or insist with --force"
            )
        authority = self._authority
        with authority.changing(authority.directory):
            authority.write(authority.ca_path, authority.next_ca_path.read_bytes(), PUBLIC_MODE)
        self.complete()
        authority.ensure_server()
        renew_kept(authority)

    def complete(self) -> None:
        """Do what is left of a ``finish`` that is decided; nothing otherwise."""
        authority = self._authority
        if not self._is_decided():
            return
        with authority.changing(authority.directory):
            if authority.next_ca_key_path.exists():
                authority.write(authority.ca_key_path, authority.next_ca_key_path.read_bytes(), PRIVATE_MODE)
                authority.next_ca_key_path.unlink()
            authority.next_ca_path.unlink()
            sync_directory(authority.next_ca_path.parent)

    def _is_decided(self) -> bool:
        current, upcoming = self._authority.ca_path, self._authority.next_ca_path
        return upcoming.exists() and current.exists() and current.read_bytes() == upcoming.read_bytes()
