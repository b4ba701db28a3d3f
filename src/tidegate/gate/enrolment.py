"""The part of the gate that a client without a certificate may reach: how it gets one, and how it renews it.

    GET  /tidegate/v1/ca       the trusted CAs in PEM; whoever joins compares them with the digest in its token
    POST /tidegate/v1/enrol    {"invitation", "csr", "proof"}: 201 {"certificate", "ca"}
    POST /tidegate/v1/renew    {"csr", "proof"}, over a connection with the present certificate: the same
    POST /tidegate/v1/retire   {"serial", "proof"}, over a connection with the new certificate: 200 {}

- Nothing here decides: proofs are the registrar's to judge, which alone holds what they are made with.
- Whoever asks too often is told so before the registrar hears of it: each address by itself, all strangers together.
"""

import math
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from tidegate.access.roles import Rate
from tidegate.base.errors import InvalidParameterError, NotFoundError, NotSupportedError, UnauthorizedError
from tidegate.gate.behind.registrar_client import RegistrarClient
from tidegate.gate.rates import Rates
from tidegate.http.messages import Peer, ProtocolError, Request, Response, split_target
from tidegate.pki.registrar_messages import Enrol, Issued, Renew, Retire
from tidegate.pki.snapshot import Snapshot
from tidegate.spec.enrolment import (
    AUTHORITY,
    ENROL,
    PREFIX,
    RENEW,
    RETIRE,
    EnrolBody,
    IssuedBody,
    RenewBody,
    RetireBody,
)

_METHODS = {AUTHORITY: "GET", ENROL: "POST", RENEW: "POST", RETIRE: "POST"}
_BODY_BYTES = 64 * 1024
_EACH = Rate(per_second=1.0, burst=10)
_TOGETHER = Rate(per_second=20.0, burst=100)
_EVERYBODY = "*"
_TOO_MANY_REQUESTS = 429

T = TypeVar("T")


def is_enrolment(target: str) -> bool:
    """Whether a request is for this module; if so it needs no certificate."""
    return target.startswith(PREFIX)


class EnrolmentDoor:
    """Answers what ``is_enrolment`` says is for it. The registrar is asked at most once for each request."""

    def __init__(self, registrar: RegistrarClient, rates: Rates, clock_s: Callable[[], float] = time.monotonic) -> None:
        """``rates`` is of strangers alone: a crowd of them must not make a client forgotten."""
        self._registrar = registrar
        self._rates = rates
        self._clock_s = clock_s

    async def answer(self, request: Request, snapshot: Snapshot) -> Response:
        """Raises what the client is to be told: TidegateError, ProtocolError for too many requests."""
        path, query = split_target(request.target)
        if path not in _METHODS or query:
            raise NotFoundError(f"tidegate: there is no {path} here")
        if request.method != _METHODS[path]:
            raise ProtocolError(f"tidegate: {path} wants {_METHODS[path]}", 405)
        if not snapshot.ca_pem:
            raise NotSupportedError("tidegate: nothing can be joined here, no listener has TLS")
        if path == AUTHORITY:
            return Response(200, (("content-type", "application/x-pem-file"),), snapshot.ca_pem.encode())
        self._take_turn(request.peer)
        body = await request.read_all(_BODY_BYTES)
        if path == ENROL:
            return _issued(await self._enrol(body))
        if path == RENEW:
            return _issued(await self._renew(body, _present(request.peer)))
        asked = _decode(body, RetireBody)
        await self._registrar.retire(Retire(_present(request.peer), asked.serial, asked.proof))
        return Response(200, (("content-type", "application/json"),), b"{}\n")

    async def _enrol(self, body: bytes) -> Issued:
        asked = _decode(body, EnrolBody)
        return await self._registrar.enrol(Enrol(asked.invitation, asked.csr, asked.proof))

    async def _renew(self, body: bytes, present: str) -> Issued:
        asked = _decode(body, RenewBody)
        return await self._registrar.renew(Renew(present, asked.csr, asked.proof))

    def _take_turn(self, peer: Peer) -> None:
        now_s = self._clock_s()
        wait_s = self._rates.wait_s(peer.address.rpartition(":")[0], _EACH, now_s)
        if not wait_s and peer.certificate is None:  # strangers in a crowd keep no client from renewing
            wait_s = self._rates.wait_s(_EVERYBODY, _TOGETHER, now_s)
        if wait_s:
            text = f"tidegate: too many requests, try again in {math.ceil(wait_s)} s"
            raise ProtocolError(text, _TOO_MANY_REQUESTS)


def _present(peer: Peer) -> str:
    if peer.certificate is None:
        raise UnauthorizedError("tidegate: this comes with the present certificate, and none was sent")
    return ssl.DER_cert_to_PEM_cert(peer.certificate)


def _issued(issued: Issued) -> Response:
    document = msgspec.json.encode(IssuedBody(issued.certificate_pem, issued.ca_pem))
    return Response(201, (("content-type", "application/json"),), document + b"\n")


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise InvalidParameterError(f"tidegate: {error}") from error
