"""What a gate worker decides on now, and who that makes a client: replaced whole by each snapshot of the registrar.

- Nothing is remembered about a client beyond what its certificate says: role, revocation and expiry are looked up at
  each request, so that a kept connection is no stronger than a new one.
- A snapshot whose TLS material or policy cannot be used changes nothing, and is logged: the last good one stays.
- After each change every open connection is asked about again, and cut when it may no longer do what it does.
"""

import logging
import ssl
import time
from collections.abc import Callable

import msgspec

from tidegate.access.asked import Asked
from tidegate.access.decision import decide
from tidegate.access.files.policy_files import parse_policy
from tidegate.access.policy import Policy
from tidegate.access.principal import (
    CertificatePrincipal,
    Principal,
    UnixPrincipal,
    UnknownPrincipal,
    owner_of,
    principal_from_certificate,
)
from tidegate.base.errors import InvalidParameterError
from tidegate.gate.doors import Door
from tidegate.gate.expiry import expiry_headers, expiry_warning
from tidegate.gate.presences import Cut, Presences
from tidegate.gate.reading import NOTHING
from tidegate.gate.standings import Standings
from tidegate.http.messages import Peer
from tidegate.http.tls_context import TLSProfile, context_of_texts
from tidegate.pki.der import CertificateFacts, certificate_facts
from tidegate.pki.snapshot import Snapshot
from tidegate.spec.audit.records import EndedBy

_MOST_REMEMBERED = 4096
_ADMIN = "admin"
_log = logging.getLogger("tidegate.gate")


class Identity(msgspec.Struct, frozen=True):
    """``refusal`` is why the client is not served at all, "" when it is; ``owner`` is what its objects are labelled.

    ``revoked`` says that the refusal is by somebody's order, and not by time or for want of trust.
    """

    principal: Principal
    role: str = ""
    owner: str = ""
    refusal: str = ""
    not_after_s: int = 0
    revoked: bool = False


class _Certificate(msgspec.Struct, frozen=True):
    principal: CertificatePrincipal
    facts: CertificateFacts


ENROLMENT = Asked("Enrolment")
"""What a connection asks that gets or renews a certificate: no operation of the API."""

Watched = Presences[tuple[Door, Peer], Asked]


class Live:
    """The present snapshot and policy; ``adopt`` one before the first question."""

    def __init__(
        self,
        presences: Watched,
        default_role: str = "",
        clock_s: Callable[[], float] = time.time,
        standings: Standings | None = None,
        profile: TLSProfile = TLSProfile.MODERN,
    ) -> None:
        self.presences = presences
        self._profile = profile
        self._default_role = default_role
        self._clock_s = clock_s
        self._standings = standings
        self._certificates: dict[bytes, _Certificate] = {}
        self.snapshot = Snapshot(generation=0)
        self.cuts = 0
        self._context: ssl.SSLContext | None = None
        self.policy = Policy({})

    def adopt(self, snapshot: Snapshot) -> None:
        """Decide on ``snapshot`` from now on. Raises InvalidParameterError when it cannot be used; nothing changes."""
        policy, context = self._policy_for(snapshot), self._context_for(snapshot)
        self.snapshot, self.policy, self._context = snapshot, policy, context

    def apply(self, snapshot: Snapshot) -> int:
        """``adopt`` a later one, or keep the last good one; how many connections that cut."""
        try:
            self.adopt(snapshot)
        except InvalidParameterError as error:
            _log.error("what the registrar sent cannot be used, and nothing changes: %s", error.message)
            return 0
        return self._cut(self._why_not)

    def cut_refused(self) -> int:
        """End the connections of clients that time alone has made strangers: what they may do changes by ``apply``."""
        return self._cut(self._why_not_served)

    def _cut(self, why_not: Callable[[tuple[Door, Peer], Asked], Cut | None]) -> int:
        count = self.presences.cut(why_not)
        if count:
            self.cuts += count
            _log.warning("%d open connections were cut", count, extra={"fields": {"connections": count}})
        return count

    def context(self) -> ssl.SSLContext:
        """For the next handshake. Raises InvalidParameterError before the first snapshot with TLS."""
        if self._context is None:
            raise InvalidParameterError("there is no TLS material")
        return self._context

    async def learn(self, peer: Peer) -> None:
        """Ask about a certificate of another CA what ``identify`` must know and no snapshot says."""
        if peer.certificate is None or self._standings is None or not self.snapshot.ocsp:
            return
        if self._read_certificate(peer).facts.issuer not in self.snapshot.own_issuers:
            await self._standings.learn(peer.certificate)

    def identify(self, door: Door, peer: Peer) -> Identity:
        """Who is at ``door``, at this moment."""
        if peer.certificate is not None:
            return self._of_certificate(peer)
        if peer.credentials is not None:
            pid, uid, gid = peer.credentials
            unix = UnixPrincipal(uid, gid, pid)
            return Identity(unix, door.role or self.policy.role_of(unix), owner_of(unix))
        unknown = UnknownPrincipal(peer.address)
        if door.secured:
            return Identity(unknown, refusal=_NO_CERTIFICATE)
        # Whoever insisted on plaintext has given root to everybody who can reach it, but for what --default-role says.
        return Identity(unknown, self.policy.role_of(unknown) or _ADMIN, owner_of(unknown))

    def expiry_headers(self, peer: Peer) -> tuple[tuple[str, str], ...]:
        """When the client's certificate ends, for its answers; nothing where it has none."""
        if peer.certificate is None:
            return ()
        return expiry_headers(self._read_certificate(peer).facts, self._clock_s())

    def expiry_warning(self, peer: Peer) -> str:
        """What the client shall do about the end of its certificate; "" for nothing yet."""
        if peer.certificate is None:
            return ""
        return expiry_warning(self._read_certificate(peer).facts, self._clock_s())

    def _of_certificate(self, peer: Peer) -> Identity:
        known = self._read_certificate(peer)
        facts, snapshot, now_s = known.facts, self.snapshot, self._clock_s()
        identity = Identity(known.principal, owner=owner_of(known.principal), not_after_s=facts.not_after_s)
        if facts.not_after_s <= now_s:
            return _refused(identity, "has expired: renew it with `tidegate client renew`")
        record = snapshot.clients.get(facts.serial)
        if record is not None and record.fingerprint == facts.fingerprint:
            if record.revoked_at_s is not None:
                reason = f" ({record.reason})" if record.reason else ""
                why = f"was revoked{reason}: ask an administrator for a new one"
                return _refused(identity, why, revoked=True)
            return Identity(
                known.principal, self.policy.role_of(known.principal, record.role), record.name, "", facts.not_after_s
            )
        if facts.issuer in snapshot.own_issuers:
            return _refused(identity, "is not on record here: ask an administrator for a new one")
        if facts.issuer not in snapshot.trusted_issuers:
            return _refused(
                identity, "is of a CA that is not trusted here; an intermediate CA must be in the CA file too"
            )
        if facts.key in snapshot.revoked:
            return _refused(identity, "was revoked by its CA", revoked=True)
        until_s = snapshot.crl_until_s.get(facts.issuer)
        if until_s is not None and until_s <= now_s:
            return _refused(identity, "cannot be checked: its CA's revocation list is out of date")
        if snapshot.ocsp and (refusal := self._ocsp_refusal(peer)):
            return _refused(identity, refusal)
        return Identity(known.principal, self.policy.role_of(known.principal), identity.owner, "", facts.not_after_s)

    def _ocsp_refusal(self, peer: Peer) -> str:
        if self._standings is None or peer.certificate is None:
            return "could not be checked: nobody asks the OCSP responder"
        return self._standings.refusal(peer.certificate)

    def _read_certificate(self, peer: Peer) -> _Certificate:
        der = peer.certificate or b""
        known = self._certificates.get(der)
        if known is None:
            if len(self._certificates) >= _MOST_REMEMBERED:
                self._certificates.clear()
            principal = principal_from_certificate(peer.subject or {})
            known = self._certificates[der] = _Certificate(principal, certificate_facts(der))
        return known

    def _policy_for(self, snapshot: Snapshot) -> Policy:
        if self.snapshot.generation and snapshot.access == self.snapshot.access:
            return self.policy
        try:
            return parse_policy(snapshot.access, self._default_role)
        except ImportError as error:
            # The engine of rules is loaded when there are some at the start; later this process may not read its files.
            raise InvalidParameterError(f"rules need a restart to take effect: {error}") from error

    def _context_for(self, snapshot: Snapshot) -> ssl.SSLContext | None:
        texts = (snapshot.ca_pem, snapshot.certificate_pem, snapshot.key_pem)
        if not any(texts):
            return None
        if self._context is not None and texts == (
            self.snapshot.ca_pem,
            self.snapshot.certificate_pem,
            self.snapshot.key_pem,
        ):
            return self._context
        return context_of_texts(*texts, optional=True, profile=self._profile)

    def _why_not_served(self, who: tuple[Door, Peer], asked: Asked) -> Cut | None:
        """Enrolment needs no identity, and its very success is a change."""
        return None if asked is ENROLMENT else _cut_of(self.identify(*who))

    def _why_not(self, who: tuple[Door, Peer], asked: Asked) -> Cut | None:
        if asked is ENROLMENT or asked is NOTHING:
            return self._why_not_served(who, asked)
        identity = self.identify(*who)
        if identity.refusal:
            return _cut_of(identity)
        verdict = decide(self.policy, identity.principal, identity.role, asked)
        return None if verdict.allowed else Cut(EndedBy.CUT, verdict.reason)


def _cut_of(identity: Identity) -> Cut | None:
    if not identity.refusal:
        return None
    return Cut(EndedBy.REVOKED if identity.revoked else EndedBy.CUT, identity.refusal)


def _refused(identity: Identity, why: str, *, revoked: bool = False) -> Identity:
    refusal = f"tidegate: the client certificate of {identity.principal} {why}"
    return Identity(identity.principal, "", identity.owner, refusal, identity.not_after_s, revoked)


_NO_CERTIFICATE = (
    "tidegate: this port wants a client certificate and none was sent: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to "
    "the folder with ca.pem, cert.pem and key.pem (default ~/.docker), or join with `tidegate client join`"
)
