"""A policy: the roles there are, and who has which.

A role comes, in this order, from the record of the client's own certificate, from the first binding that fits, from the
default. Nothing of it: no role, and every request is refused.

- Immutable; a change is a new policy.
- A binding fits when all it says fits; one that says nothing fits nobody.
- ``rules`` are the administrator's own, beyond what roles can say.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tidegate.access.grants import text_fits
from tidegate.access.principal import CertificatePrincipal, Principal, UnixPrincipal
from tidegate.access.reach import QUOTAED, path_kind
from tidegate.access.references import ObjectKind
from tidegate.access.roles import BUILT_IN_ROLES, NO_QUOTA, Role
from tidegate.access.rules import Rules


class Binding(msgspec.Struct, frozen=True):
    """``role`` for certificates whose subject fits the given patterns (``*`` stands for any text), or unix peers."""

    role: str
    common_name: str = ""
    organization: str = ""
    organizational_unit: str = ""
    uri: str = ""
    uid: int | None = None
    gid: int | None = None

    def fits(self, principal: Principal) -> bool:
        """Whether all that the binding says is true of ``principal``."""
        if isinstance(principal, CertificatePrincipal):
            return self._fits_certificate(principal)
        if isinstance(principal, UnixPrincipal):
            demands = [(self.uid, principal.uid), (self.gid, principal.gid)]
            said = [(wanted, found) for wanted, found in demands if wanted is not None]
            return bool(said) and not self._subject() and all(wanted == found for wanted, found in said)
        return False

    def _subject(self) -> Sequence[str]:
        return [
            pattern for pattern in (self.common_name, self.organization, self.organizational_unit, self.uri) if pattern
        ]

    def _fits_certificate(self, principal: CertificatePrincipal) -> bool:
        demands = [
            (self.common_name, (principal.common_name,)),
            (self.organization, principal.organizations),
            (self.organizational_unit, principal.organizational_units),
            (self.uri, principal.uris),
        ]
        if self.uid is not None or self.gid is not None or not self._subject():
            return False
        return all(_any_fits(pattern, values) for pattern, values in demands if pattern)


def _any_fits(pattern: str, values: Sequence[str]) -> bool:
    return any(value and text_fits(pattern, value) for value in values)


class Policy(msgspec.Struct, frozen=True):
    """``roles`` by name: the built-in ones and the administrator's own."""

    roles: Mapping[str, Role]
    bindings: tuple[Binding, ...] = ()
    default_role: str = ""
    rules: Rules | None = None

    def role_of(self, principal: Principal, recorded: str = "") -> str:
        """The name of the role, "" for none; ``recorded`` is what the certificate's issue record says."""
        if recorded:
            return recorded
        for binding in self.bindings:
            if binding.fits(principal):
                return binding.role
        return self.default_role

    def needs_usage(self, role_name: str, operation_id: str) -> bool:
        """Whether ``decide`` wants to know what the client's objects take already."""
        role = self.roles.get(role_name)
        return role is not None and operation_id in QUOTAED and role.quota != NO_QUOTA

    def subject_kind(self, role_name: str, operation_id: str) -> ObjectKind | None:
        """The kind of the object in the path, where rules may ask for its name and labels."""
        role = self.roles.get(role_name)
        if self.rules is None or role is None or role.unconfined:
            return None
        return path_kind(operation_id)


def built_in_policy(default_role: str = "") -> Policy:
    """The policy of an engine without access files."""
    return Policy(BUILT_IN_ROLES, default_role=default_role)
