"""The path of one request through the gate, read from top to bottom.

peer -> principal; path -> operation; verdict; canonical request to the engine; one line in the log with who, what, how
long and the status. What is no operation of the catalogue never reaches the engine.
"""

import json
import logging
import time
from urllib.parse import quote

from tidegate.access.decide import decide
from tidegate.access.principal import Principal, UnixPrincipal, UnknownPrincipal, principal_from_certificate
from tidegate.base.errors import InvalidParameterError, NotFoundError, UnavailableError
from tidegate.gate.forward import forward
from tidegate.http.client import UnixClient
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Peer, Request, Response, split_target
from tidegate.spec.catalogue import Match, match

_log = logging.getLogger("tidegate.gate.requests")


class Gate:
    """The handler of the gate's HTTP server."""

    def __init__(self, engine: UnixClient) -> None:
        self._engine = engine

    async def handle(self, request: Request) -> Response | Hijack:
        """Answer one request; errors of the client and of the engine become answers."""
        started_s = time.monotonic()
        principal = principal_of(request.peer)
        operation_id = "-"
        try:
            raw_path, query = split_target(request.target)
            found = match(request.method, raw_path)
            operation_id = found.operation.operation_id
            verdict = decide(principal, operation_id)
            if verdict.allowed:
                response = await forward(self._engine, request, found.operation, canonical_target(found, query))
            else:
                response = _message(403, verdict.reason)
        except InvalidParameterError as error:
            response = _message(400, error.message)
        except NotFoundError as error:
            response = _message(404, error.message)
        except UnavailableError as error:
            response = _message(503, f"the engine behind the gate does not answer: {error.message}")
        status = 101 if isinstance(response, Hijack) else response.status
        elapsed_ms = (time.monotonic() - started_s) * 1e3
        where = request.peer.address or "unix"
        _log.info("%s %s %s %s %d %.1fms", principal, where, request.method, operation_id, status, elapsed_ms)
        return response


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
