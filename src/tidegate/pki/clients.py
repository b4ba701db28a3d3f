"""What an administrator does with the clients of a PKI: give certificates, take them back, change what they may do.

- One name has one role: every live certificate of it, and every invitation to it, says the same.
- Revoking a name revokes all that could still let it in. What is revoked stays so; a new certificate has a new key.
"""

from datetime import timedelta

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError
from tidegate.pki import certificates as certs
from tidegate.pki.authority import LIFETIME, Authority
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.issued import Grant, IssueRecord
from tidegate.pki.joining.invitations import Invitation, Invitations
from tidegate.pki.joining.tokens import JoinToken, new_token
from tidegate.pki.names import parse_client_name, parse_role_name

_LEAST_PREFIX = 8


class Clients:
    """The clients of ``authority``. Every method may raise OSError."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._records = authority.records
        self._invitations = Invitations(authority.directory)

    def role_of(self, name: str, asked: str | None) -> str:
        """The role that a new certificate of ``name`` gets.

        Raises InvalidParameterError when a new name comes without a role, ConflictError when it has another one.
        """
        role = parse_role_name(asked) if asked is not None else None
        live = [record.role for record in self._records.of(parse_client_name(name)) if self._is_live(record)]
        live += [each.role for each in self.invitations() if each.name == name]
        if not live:
            if role is None:
                raise InvalidParameterError(f"{name} is new and needs a role: say --role ROLE")
            return role
        if role not in (None, live[-1]):
            raise ConflictError(f"{name} has the role {live[-1]}: change it by `tidegate client role {name} {role}`")
        return live[-1]

    def create(self, name: str, role: str | None, lifetime: timedelta | None) -> TLSMaterial:
        """A certificate with a key that is kept nowhere here. Raises as ``role_of`` and ``Authority.issue`` do."""
        with self._authority.changing(self._authority.directory):
            grant = Grant(name, self.role_of(name, role), "create")
            key = certs.new_key()
            certificate = self._authority.issue(key.public_key(), grant, lifetime)
        return TLSMaterial(self._authority.bundle(), certs.encode_certificate(certificate), certs.encode_key(key))

    def invite(self, name: str, role: str | None, ttl: timedelta, lifetime: timedelta | None) -> JoinToken:
        """A token for whoever shall become ``name``, good once, for ``ttl``. Raises as ``role_of``."""
        ca = self._authority.ca()
        token = new_token(ca.public_bytes(Encoding.DER))
        with self._authority.changing(self._invitations.directory):
            for invitation in self._invitations.all():
                if invitation.expires_at <= self._authority.now():
                    self._invitations.remove(invitation)
            self._invitations.put(
                Invitation(
                    id=token.invitation,
                    name=name,
                    role=self.role_of(name, role),
                    expires_at=self._authority.now() + ttl,
                    lifetime_s=int((lifetime or LIFETIME).total_seconds()),
                    key=token.key.hex(),
                )
            )
        return token

    def invitations(self) -> list[Invitation]:
        """Those that can still be used."""
        return [each for each in self._invitations.all() if each.expires_at > self._authority.now()]

    def find(self, name_or_serial: str) -> list[IssueRecord]:
        """All certificates of a name, or the one with a serial number, which may be cut after eight digits.

        Raises NotFoundError, or InvalidParameterError for a number that fits several.
        """
        records = self._records.all()
        named = [record for record in records if record.name == name_or_serial]
        if named:
            return named
        serial = name_or_serial.upper()
        fitting = [record for record in records if record.serial.startswith(serial)]
        if not fitting or len(serial) < _LEAST_PREFIX:
            raise NotFoundError(f"no client and no certificate is called {name_or_serial}: see `tidegate client ls`")
        if len(fitting) > 1:
            raise InvalidParameterError(f"{name_or_serial} fits {len(fitting)} serial numbers: give more of it")
        return fitting

    def revoke(self, name_or_serial: str, reason: str = "") -> list[IssueRecord]:
        """Take back, open invitations too; returns what was live until now, perhaps nothing.

        Raises as ``find`` does, but for a name that is only invited.
        """
        with self._authority.changing(self._records.directory):
            invited = [each for each in self._invitations.all() if each.name == name_or_serial]
            for invitation in invited:
                self._invitations.remove(invitation)
            if invited and not self._records.of(name_or_serial):
                return []
            live = [record for record in self.find(name_or_serial) if self._is_live(record)]
            for record in live:
                now = self._authority.now()
                self._records.put(msgspec.structs.replace(record, revoked_at=now, reason=reason))
            return live

    def set_role(self, name: str, role: str) -> list[IssueRecord]:
        """Give a name another role; returns its live certificates. Raises NotFoundError, InvalidParameterError."""
        parse_role_name(role)
        with self._authority.changing(self._records.directory):
            invited = [each for each in self._invitations.all() if each.name == name]
            for invitation in invited:
                self._invitations.put(msgspec.structs.replace(invitation, role=role))
            live = [record for record in self._records.of(name) if self._is_live(record)]
            for record in live:
                self._records.put(msgspec.structs.replace(record, role=role))
        if not live and not invited:
            raise NotFoundError(f"no client called {name} has a valid certificate: see `tidegate client ls`")
        return live

    def _is_live(self, record: IssueRecord) -> bool:
        return record.is_live(self._authority.now())
