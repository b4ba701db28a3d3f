"""Pings that are equal, on one connection: the first is a line of its own, the others are counted in one line later.

Every command of a client begins with a ping, health checks send little else, and a ping costs little more than the two
lines about it would. A run ends with its connection, with a ping unlike the first, and after RUN_S: what a killed gate
had counted is at most the pings of that time.

A ping that is the last one to the letter needs no other look either, while client and policy are what they were.
"""

import asyncio
import time

import msgspec

from tidegate.access.policy import Policy
from tidegate.gate.audit.log import AuditLog
from tidegate.gate.live import Identity
from tidegate.gate.presences import connection_task
from tidegate.http.messages import Request
from tidegate.spec.audit.chain import stamp
from tidegate.spec.audit.records import Decision, Kind, Repeated

RUN_S = 60.0
_FAILED = 400


class Ping(msgspec.Struct, frozen=True):
    """What makes pings equal: the same client, of the same role, asks the same and may by the same rule."""

    identity: Identity
    method: str
    target: str
    rule: str


class Standing(msgspec.Struct, frozen=True):
    """What a ping was decided by and sent as: ``target`` is what the engine was asked."""

    policy: Policy
    headers: list[tuple[str, str]]
    target: str


class PingRun:
    """Those that came after the decision on line ``of``."""

    def __init__(self, ping: Ping, of: int, decision: Decision, until_s: float) -> None:
        self._ping = ping
        self._of = of
        self._decision = decision
        self._until_s = until_s
        self.standing: Standing | None = None
        self._count = 0
        self._failed = 0
        self._last_ns = 0

    @property
    def operation_id(self) -> str:
        return self._decision.operation

    def covers(self, ping: Ping, now_s: float) -> bool:
        return now_s < self._until_s and ping == self._ping

    def repeats(self, identity: Identity, request: Request, policy: Policy, now_s: float) -> bool:
        """Whether the request is the last one over again, under the same policy."""
        standing, ping = self.standing, self._ping
        return (
            now_s < self._until_s
            and standing is not None
            and standing.policy is policy
            and (request.method, request.target) == (ping.method, ping.target)
            and standing.headers == list(request.headers)
            and identity == ping.identity
        )

    def note(self, status: int) -> None:
        """One more was answered."""
        self._count += 1
        self._failed += status >= _FAILED
        self._last_ns = time.time_ns()

    def close(self, audit: AuditLog) -> None:
        """Tell how many there were, if there were any."""
        if not self._count:
            return
        first = self._decision
        record = Repeated(
            self._of,
            first.principal,
            first.operation,
            self._count,
            stamp(self._last_ns),
            self._failed,
            first.role,
            first.certificate,
            first.address,
        )
        audit.note(Kind.REPEATED, record)
        self._count = 0


class PingRuns:
    """The present run of each connection; a connection is the task that serves it."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._by_task: dict[asyncio.Task[object], PingRun] = {}

    def find(self, ping: Ping) -> PingRun | None:
        """The run of this connection, if ``ping`` is one of it; else that is over. Raises AuditUnavailableError."""
        run = self._by_task.get(connection_task())
        if run is None:
            return None
        if not run.covers(ping, time.monotonic()):
            run.close(self._audit)
            return None
        self._audit.refuse_while_behind()
        return run

    def repeated(self, identity: Identity, request: Request, policy: Policy) -> PingRun | None:
        """The run of this connection, if the request is its last ping over again. Raises as ``find``."""
        run = self._by_task.get(connection_task())
        if run is None or not run.repeats(identity, request, policy, time.monotonic()):
            return None
        self._audit.refuse_while_behind()
        return run

    def begin(self, ping: Ping, of: int, decision: Decision) -> PingRun:
        """The run of this connection is a new one, from the decision on line ``of``."""
        task = connection_task()
        if task not in self._by_task:
            task.add_done_callback(self._end)
        run = self._by_task[task] = PingRun(ping, of, decision, time.monotonic() + RUN_S)
        return run

    def _end(self, task: asyncio.Task[object]) -> None:
        self._by_task.pop(task).close(self._audit)
