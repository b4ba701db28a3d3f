"""The trail of one request: its decision in the audit before it is carried out, its outcome, its line in the log."""

import time
from collections.abc import Callable

from msgspec.structs import replace

from tidegate.access.principal import CertificatePrincipal
from tidegate.gate.audit.line_budget import LineBudget
from tidegate.gate.audit.log import AuditLog
from tidegate.gate.doors import Door
from tidegate.gate.live import Identity
from tidegate.gate.permits import Permit
from tidegate.gate.reading import Reading
from tidegate.gate.request_log import RequestLog
from tidegate.http.messages import ProtocolError, Request
from tidegate.spec.audit.records import Decision, Outcome
from tidegate.spec.catalogue import Match

BUDGET_BYTES = 4 * 1024 * 1024
BUDGET_BYTES_PER_S = 4096.0
"""For lines about those who are nobody here, or ask faster than they may."""

_LINES_BYTES = 1000
_CHEAP = frozenset({"identity", "rate"})


class Entry:
    """The object is the path until it is known which operation the path names."""

    def __init__(self, trail: "Trail", door: Door, identity: Identity, request: Request) -> None:
        self._trail = trail
        self._door = door
        self._identity = identity
        self._request = request
        self._started_s = time.monotonic()
        self._operation = "-"
        self._version = ""
        self._object = request.target.partition("?")[0]
        self._decided: int | None = None
        self._made = ""

    def identified(self, identity: Identity) -> None:
        """Who the client is by now."""
        self._identity = identity

    def found(self, found: Match) -> None:
        """The operation that the request names."""
        self._operation = found.operation.operation_id
        self._version = found.version or ""
        self._object = next(iter(found.parameters.values()), "")

    def named(self, operation: str) -> None:
        """An operation of the gate's own."""
        self._operation = operation

    def made(self, name_or_id: str) -> None:
        """What came of it, "" for nothing."""
        self._made = name_or_id

    async def refuse(self, rule: str, reason: str) -> None:
        """The audit's line for what is refused before the policy is asked. Raises UnavailableError."""
        decision = self._decision(allowed=False, rule=rule, reason=reason)
        if rule not in _CHEAP:
            await self._write(decision)
            return
        budget = self._trail.refusals
        if budget.take(_LINES_BYTES + len(decision.object)):
            decision = replace(decision, suppressed=budget.suppressed)
            budget.told(decision.suppressed)
            await self._write(decision)

    async def allow(self, rule: str) -> None:
        """The audit's line for an operation of the gate's own.

        Raises UnavailableError; ProtocolError (429) when strangers have asked for too many.
        """
        decision = self._decision(allowed=True, rule=rule)
        if not decision.certificate and not self._trail.enrolments.take(_LINES_BYTES + len(decision.object)):
            raise ProtocolError("tidegate: too many strangers ask at once; try again later", 429)
        await self._write(decision)

    async def decide(self, reading: Reading, permit: Permit) -> None:
        """The audit's line for what the policy and the owners said. Raises UnavailableError: do not carry it out."""
        verdict = permit.verdict
        rule = "not-owned" if permit.missing else verdict.rule
        decision = self._decision(allowed=permit.allowed, rule=rule, reason=permit.missing or verdict.reason)
        digests = {"document": reading.document_digest, "query": reading.query_digest}
        await self._write(replace(decision, **digests, facts=dict(verdict.facts)))

    def close(self, status: int, error: str = "") -> None:
        """The outcome: what the client was answered."""
        elapsed_ms = (time.monotonic() - self._started_s) * 1e3
        if self._decided is not None:
            outcome = Outcome(self._decided, status, round(elapsed_ms, 3), object=self._made, error=error)
            self._trail.audit.outcome(outcome)
        line = f"{self._identity.principal} {self._where} {self._request.method} {self._operation} {status}"
        self._trail.log.record(f"{line} {elapsed_ms:.1f}ms")

    @property
    def _where(self) -> str:
        return self._request.peer.address or self._door.name

    def _decision(self, *, allowed: bool, rule: str, reason: str = "") -> Decision:
        return Decision(
            principal=str(self._identity.principal),
            operation=self._operation,
            allowed=allowed,
            rule=rule,
            role=self._identity.role,
            certificate=_serial(self._identity),
            address=self._where,
            method=self._request.method,
            version=self._version,
            object=self._object,
            reason=reason,
        )

    async def _write(self, decision: Decision) -> None:
        self._decided = await self._trail.audit.decision(decision)


class Trail:
    """Where entries go."""

    def __init__(self, audit: AuditLog, log: RequestLog, now_s: Callable[[], float] = time.monotonic) -> None:
        self.audit = audit
        self.log = log
        self.refusals = LineBudget(now_s, BUDGET_BYTES, BUDGET_BYTES_PER_S)
        self.enrolments = LineBudget(now_s, BUDGET_BYTES, BUDGET_BYTES_PER_S)

    def open(self, door: Door, identity: Identity, request: Request) -> Entry:
        """The entry of a request that has just arrived."""
        return Entry(self, door, identity, request)


def _serial(identity: Identity) -> str:
    return identity.principal.serial_number if isinstance(identity.principal, CertificatePrincipal) else ""
