"""The trail of one request: its decision in the audit before it is carried out, its outcome, its line in the log.

An answer that is a stream has a line of its own when it ends; the pings of a connection share one (``ping_runs``).
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from tidegate.access.policy import Policy
from tidegate.access.principal import CertificatePrincipal
from tidegate.gate.audit.line_budget import LineBudget
from tidegate.gate.audit.log import AuditLog
from tidegate.gate.audit.ping_runs import Ping, PingRun, PingRuns, Standing
from tidegate.gate.behind.forward import Carriage
from tidegate.gate.behind.ping import OPERATIONS as PINGS
from tidegate.gate.doors import Door
from tidegate.gate.live import Identity
from tidegate.gate.permits import Permit
from tidegate.gate.presences import Cut
from tidegate.gate.reading import Reading, has_content
from tidegate.gate.request_log import Answered, RequestLog
from tidegate.http.hijack import Hijack
from tidegate.http.messages import ProtocolError, Request, Response
from tidegate.spec.audit.records import Decision, End, EndedBy, Kind, Outcome
from tidegate.spec.catalogue import Match

BUDGET_BYTES = 4 * 1024 * 1024
BUDGET_BYTES_PER_S = 4096.0
"""For lines about those who are nobody here, or ask faster than they may."""

_LINES_BYTES = 1000
_CHEAP = frozenset({"identity", "rate"})


class Tally(Protocol):
    """What counts requests, where figures are asked for; ``gate.figures.tally`` fits."""

    streams: int

    def answered(self, operation: str, status: int, elapsed_s: float) -> None: ...
    def decided(self, role: str, allowed: bool) -> None: ...


class RequestTrace(Protocol):
    """The spans of a request, where traces are asked for; ``gate.tracing`` fits."""

    def deciding(self) -> None: ...
    def decided(self, role: str, rule: str, allowed: bool) -> None: ...
    def answered(self, operation: str, principal: str, status: int) -> None: ...
    def carry(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]: ...


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
        self._run: PingRun | None = None
        self._made = ""
        self._has_begun = False
        self.carriage = Carriage()
        self._trace = None if trail.traces is None else trail.traces(request)

    def identified(self, identity: Identity) -> None:
        """Who the client is by now; its request has been read."""
        self._identity = identity
        if self._trace is not None:
            self._trace.deciding()

    def carry(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """The request's headers as the engine gets them."""
        return headers if self._trace is None else self._trace.carry(headers)

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
        self._count_decision(allowed=False)
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
        self._count_decision(allowed=True)
        if not decision.certificate and not self._trail.enrolments.take(_LINES_BYTES + len(decision.object)):
            raise ProtocolError("tidegate: too many strangers ask at once; try again later", 429)
        await self._write(decision)

    async def decide(self, reading: Reading, permit: Permit) -> None:
        """The audit's line for what the policy and the owners said. Raises UnavailableError: do not carry it out.

        An allowed ping that is like those before it is only counted.
        """
        self._count_decision(allowed=permit.allowed)
        if self._trace is not None:
            self._trace.decided(self._identity.role, permit.verdict.rule, permit.allowed)
        ping = None
        if permit.allowed and reading.operation_id in PINGS:
            ping = Ping(self._identity, self._request.method, self._request.target, permit.verdict.rule)
            self._run = self._trail.pings.find(ping)
            if self._run is not None:
                return
        verdict = permit.verdict
        rule = "not-owned" if permit.missing else verdict.rule
        decision = self._decision(allowed=permit.allowed, rule=rule, reason=permit.missing or verdict.reason)
        digests = {"document": reading.document_digest, "query": reading.query_digest}
        seq = await self._write(replace(decision, **digests, facts=dict(verdict.facts)))
        if ping is not None:
            self._run = self._trail.pings.begin(ping, seq, decision)

    def repeats(self, policy: Policy) -> PingRun | None:
        """The run of which this is the last ping over again. Raises UnavailableError: do not answer it."""
        return self._trail.pings.repeated(self._identity, self._request, policy)

    def counted(self, run: PingRun) -> None:
        """It is one more of ``run``."""
        self._count_decision(allowed=True)
        self._run, self._operation = run, run.operation_id

    def stands(self, policy: Policy, target: str) -> None:
        """An allowed ping without content was decided by ``policy`` and sent as ``target``."""
        if self._run is not None and not has_content(self._request):
            self._run.standing = Standing(policy, list(self._request.headers), target)

    def begin(self, response: Response | Hijack, why_cut: Callable[[], Cut | None]) -> None:
        """The outcome of what is answered by a stream; how that ends is told when its ``carriage`` does.

        ``why_cut`` is asked then.
        """
        self._close(101 if isinstance(response, Hijack) else response.status, stream=True)
        self.carriage.at_end = partial(self._end, why_cut)
        if self._trail.tally is not None:
            self._trail.tally.streams += 1

    def close(self, status: int, error: str = "") -> None:
        """The outcome: what the client was answered, if that did not begin as a stream."""
        if not self._has_begun:
            self._close(status, error)

    def _close(self, status: int, error: str = "", *, stream: bool = False) -> None:
        self._has_begun = stream
        elapsed_ms = self._elapsed_ms()
        if self._decided is None:
            if self._run is not None:
                self._run.note(status)
        else:
            received_bytes = 0 if stream else self.carriage.from_client
            outcome = Outcome(self._decided, status, elapsed_ms, self._made, error, stream, received_bytes)
            self._trail.audit.outcome(outcome)
        if self._trail.tally is not None:
            self._trail.tally.answered(self._operation, status, elapsed_ms / 1e3)
        if self._trace is not None:
            self._trace.answered(self._operation, str(self._identity.principal), status)
        who, method = str(self._identity.principal), self._request.method
        self._trail.log.record(Answered(who, self._where, method, self._operation, status, elapsed_ms))

    def _count_decision(self, *, allowed: bool) -> None:
        if self._trail.tally is not None:
            self._trail.tally.decided(self._identity.role, allowed)

    def _end(self, why_cut: Callable[[], Cut | None]) -> None:
        if self._trail.tally is not None:
            self._trail.tally.streams -= 1
        if self._decided is not None:
            carriage = self.carriage
            by, reason = _ended_by(carriage, why_cut())
            sizes = carriage.from_client, carriage.from_engine
            self._trail.audit.note(Kind.END, End(self._decided, self._elapsed_ms(), by, *sizes, reason))

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._started_s) * 1e3, 3)

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

    async def _write(self, decision: Decision) -> int:
        self._decided = await self._trail.audit.decision(decision)
        return self._decided


class Trail:
    """Where entries go."""

    def __init__(
        self,
        audit: AuditLog,
        log: RequestLog,
        now_s: Callable[[], float] = time.monotonic,
        tally: Tally | None = None,
        traces: Callable[[Request], RequestTrace] | None = None,
    ) -> None:
        self.audit = audit
        self.log = log
        self.tally = tally
        self.traces = traces
        self.pings = PingRuns(audit)
        self.refusals = LineBudget(now_s, BUDGET_BYTES, BUDGET_BYTES_PER_S)
        self.enrolments = LineBudget(now_s, BUDGET_BYTES, BUDGET_BYTES_PER_S)

    def open(self, door: Door, identity: Identity, request: Request) -> Entry:
        """The entry of a request that has just arrived."""
        return Entry(self, door, identity, request)


def _ended_by(carriage: Carriage, cut: Cut | None) -> tuple[EndedBy, str]:
    if carriage.finished or carriage.broken:
        return EndedBy.ENGINE, carriage.broken
    return (cut.by, cut.reason) if cut is not None else (EndedBy.CLIENT, "")


def _serial(identity: Identity) -> str:
    return identity.principal.serial_number if isinstance(identity.principal, CertificatePrincipal) else ""
