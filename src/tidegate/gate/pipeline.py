"""The path of one request through the gate, read from top to bottom.

peer -> principal; path -> operation; verdict, into the audit; canonical request to the engine; its outcome, into the
audit; one line in the log with who, what, how long and the status. What is no operation of the catalogue never reaches
the engine.
"""

import asyncio
import json
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from urllib.parse import quote

from tidegate.access.decide import Verdict, decide
from tidegate.access.principal import (
    CertificatePrincipal,
    Principal,
    UnixPrincipal,
    UnknownPrincipal,
    principal_from_certificate,
)
from tidegate.base.errors import ForbiddenError, InvalidParameterError, NotFoundError, UnavailableError
from tidegate.gate import ping
from tidegate.gate.audit import AuditLog, AuditUnavailableError
from tidegate.gate.doors import Door
from tidegate.gate.forward import forward
from tidegate.gate.ping import PingCache
from tidegate.gate.request_log import RequestLog
from tidegate.http.client import UnixClient
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Peer, Request, Response, split_target
from tidegate.spec.audit_records import Decision, Outcome
from tidegate.spec.catalogue import Match, match

MOST_PRINCIPALS = 4096
_CLIENT_LEFT = 499


@dataclass(slots=True)
class _Asked:
    """A request under way; ``decided`` is the number of its decision in the audit."""

    principal: Principal
    request: Request
    where: str
    operation_id: str = "-"
    version: str = ""
    decided: int | None = None


class Gate:
    """The handler of the gate's HTTP server."""

    def __init__(self, engine: UnixClient, log: RequestLog, audit: AuditLog) -> None:
        self._engine = engine
        self._log = log
        self._audit = audit
        self._pings = PingCache()
        self._principals: dict[bytes, Principal] = {}

    async def handle(self, door: Door, request: Request) -> Response | Hijack:
        """Answer one request; errors of the client and of the engine become answers."""
        started_s = time.monotonic()
        asked = _Asked(self._principal(request.peer), request, request.peer.address or door.name)
        try:
            response = await self._answer(door, asked)
        except ForbiddenError as error:
            response = _message(403, error.message)
        except InvalidParameterError as error:
            response = _message(400, error.message)
        except NotFoundError as error:
            response = _message(404, error.message)
        except AuditUnavailableError as error:
            response = _message(503, f"tidegate: {error.message}")
        except UnavailableError as error:
            response = _message(503, f"the engine behind the gate does not answer: {error.message}")
        except asyncio.CancelledError:
            self._note_end(asked, _CLIENT_LEFT, started_s)
            raise
        self._note_end(asked, 101 if isinstance(response, Hijack) else response.status, started_s)
        return response

    async def _answer(self, door: Door, asked: _Asked) -> Response | Hijack:
        raw_path, query = split_target(asked.request.target)
        try:
            found = match(asked.request.method, raw_path)
        except (NotFoundError, InvalidParameterError) as error:
            await self._record(asked, raw_path, Verdict(False, "unknown-operation", error.message))
            raise
        asked.operation_id, asked.version = found.operation.operation_id, found.version or ""
        if door.role not in (None, "admin"):
            raise ForbiddenError(f"tidegate: the role {door.role!r} of this socket is not known")
        verdict = decide(asked.principal, asked.operation_id)
        await self._record(asked, next(iter(found.parameters.values()), ""), verdict)
        if not verdict.allowed:
            raise ForbiddenError(verdict.reason)
        return await self._forward(asked.request, found, query)

    async def _record(self, asked: _Asked, object_id: str, verdict: Verdict) -> None:
        """Into the audit. An allowed ping says nothing there, and every command of a client begins with one."""
        if verdict.allowed and asked.operation_id in ping.OPERATIONS:
            return
        principal = asked.principal
        asked.decided = await self._audit.decision(
            Decision(
                principal=str(principal),
                operation=asked.operation_id,
                allowed=verdict.allowed,
                rule=verdict.rule,
                certificate=principal.serial_number if isinstance(principal, CertificatePrincipal) else "",
                address=asked.where,
                method=asked.request.method,
                version=asked.version,
                object=object_id,
                reason=verdict.reason,
            )
        )

    def _note_end(self, asked: _Asked, status: int, started_s: float) -> None:
        elapsed_ms = (time.monotonic() - started_s) * 1e3
        if asked.decided is not None:
            self._audit.outcome(Outcome(asked.decided, status, round(elapsed_ms, 3)))
        who = f"{asked.principal} {asked.where}"
        self._log.record(f"{who} {asked.request.method} {asked.operation_id} {status} {elapsed_ms:.1f}ms")

    def _principal(self, peer: Peer) -> Principal:
        """Read once for each certificate; what it may do is decided anew for each request."""
        if peer.certificate is None:
            return principal_of(peer)
        known = self._principals.get(peer.certificate)
        if known is None:
            if len(self._principals) >= MOST_PRINCIPALS:
                self._principals.clear()
            known = self._principals[peer.certificate] = principal_of(peer)
        return known

    async def _forward(self, request: Request, found: Match, query: str) -> Response | Hijack:
        target = canonical_target(found, query)

        def ask() -> Awaitable[Response | Hijack]:
            return forward(self._engine, request, found.operation, target)

        if found.operation.operation_id in ping.OPERATIONS:
            return await self._pings.answer(request.method, target, ask)
        return await ask()


def principal_of(peer: Peer) -> Principal:
    """Who the listener says is there."""
    if peer.subject is not None:
        return principal_from_certificate(peer.subject)
    if peer.credentials is not None:
        pid, uid, gid = peer.credentials
        return UnixPrincipal(uid, gid, pid)
    return UnknownPrincipal(peer.address)


def canonical_target(found: Match, query: str) -> str:
    """The request target as we read it, encoded once: the engine cannot read another operation in it."""
    path = found.operation.template
    for name, value in found.parameters.items():
        path = path.replace("{" + name + "}", quote(value, safe="/:@-._~"))
    prefix = f"/v{found.version}" if found.version else ""
    return f"{prefix}{path}?{query}" if query else f"{prefix}{path}"


def _message(status: int, text: str) -> Response:
    return Response(status, (("Content-Type", "application/json"),), json.dumps({"message": text}).encode() + b"\n")
