"""The path of one request through the gate, read from top to bottom.

peer -> principal; path -> operation; verdict; canonical request to the engine; one line in the log with who, what, how
long and the status. What is no operation of the catalogue never reaches the engine.
"""

import json
import time
from collections.abc import Awaitable
from urllib.parse import quote

from tidegate.access.decide import decide
from tidegate.access.principal import Principal, UnixPrincipal, UnknownPrincipal, principal_from_certificate
from tidegate.base.errors import ForbiddenError, InvalidParameterError, NotFoundError, UnavailableError
from tidegate.gate import ping
from tidegate.gate.doors import Door
from tidegate.gate.forward import forward
from tidegate.gate.ping import PingCache
from tidegate.gate.request_log import RequestLog
from tidegate.http.client import UnixClient
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Peer, Request, Response, split_target
from tidegate.spec.catalogue import Match, match

MOST_PRINCIPALS = 4096


class Gate:
    """The handler of the gate's HTTP server."""

    def __init__(self, engine: UnixClient, log: RequestLog) -> None:
        self._engine = engine
        self._log = log
        self._pings = PingCache()
        self._principals: dict[bytes, Principal] = {}

    async def handle(self, door: Door, request: Request) -> Response | Hijack:
        """Answer one request; errors of the client and of the engine become answers."""
        started_s = time.monotonic()
        principal = self._principal(request.peer)
        operation_id = "-"
        try:
            raw_path, query = split_target(request.target)
            found = match(request.method, raw_path)
            operation_id = found.operation.operation_id
            if door.role not in (None, "admin"):
                raise ForbiddenError(f"tidegate: the role {door.role!r} of this socket is not known")
            verdict = decide(principal, operation_id)
            if verdict.allowed:
                response = await self._forward(request, found, query)
            else:
                response = _message(403, verdict.reason)
        except ForbiddenError as error:
            response = _message(403, error.message)
        except InvalidParameterError as error:
            response = _message(400, error.message)
        except NotFoundError as error:
            response = _message(404, error.message)
        except UnavailableError as error:
            response = _message(503, f"the engine behind the gate does not answer: {error.message}")
        status = 101 if isinstance(response, Hijack) else response.status
        elapsed_ms = (time.monotonic() - started_s) * 1e3
        where = request.peer.address or door.name
        self._log.record(f"{principal} {where} {request.method} {operation_id} {status} {elapsed_ms:.1f}ms")
        return response

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
