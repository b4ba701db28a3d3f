"""The path of one request through the gate, read from top to bottom.

peer -> identity; path -> operation; query and document read; permit; a line in the audit; plugins; the canonical
request to the engine; secrets left out; the outcome in the audit; a line in the log. What is no operation of the
catalogue never reaches the engine, and what cannot be audited is not carried out.
"""

import asyncio
import math
import time
from contextlib import AsyncExitStack
from urllib.parse import quote

import msgspec

from tidegate.base.errors import (
    ForbiddenError,
    InvalidParameterError,
    NotFoundError,
    TidegateError,
    UnauthorizedError,
    UnavailableError,
)
from tidegate.gate.audit.trail import Entry, Trail
from tidegate.gate.behind import ping
from tidegate.gate.behind.authz_plugins import AuthzPlugins
from tidegate.gate.behind.forward import Sending, end_to_end_headers, forward
from tidegate.gate.behind.made import made_by
from tidegate.gate.behind.ping import PingCache
from tidegate.gate.doors import Door
from tidegate.gate.enrolment import EnrolmentDoor, is_enrolment
from tidegate.gate.live import ENROLMENT, Identity, Live
from tidegate.gate.permits import Permit, Permits
from tidegate.gate.rates import Rates
from tidegate.gate.reading import NOTHING, Reading, find_operation, has_content, read_request
from tidegate.gate.screening import Screening, is_stream
from tidegate.http.client import UnixClient
from tidegate.http.errors import error_response, message_response, status_of
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Peer, ProtocolError, Request, Response
from tidegate.spec.credentials import CREDENTIAL_HEADERS
from tidegate.spec.documents import Body

CLIENT_LEFT = 499
_WRITTEN_ANEW = CREDENTIAL_HEADERS | {"content-type"}


class Behind(msgspec.Struct, frozen=True):
    """What is behind the gate: the engine, what is asked before a request goes there, and who gives certificates."""

    engine: UnixClient
    permits: Permits
    plugins: AuthzPlugins
    enrolment: EnrolmentDoor


class Gate:
    """The handler of the gate's HTTP servers."""

    def __init__(self, behind: Behind, live: Live, trail: Trail, rates: Rates) -> None:
        self._behind = behind
        self._live = live
        self._trail = trail
        self._pings = PingCache()
        self._rates = rates

    async def handle(self, door: Door, request: Request) -> Response | Hijack:
        """Answer one request; errors of the client and of the engine become answers."""
        await self._live.learn(request.peer)
        identity = self._live.identify(door, request.peer)
        entry = self._trail.open(door, identity, request)
        try:
            response = await self._answer(door, identity, request, entry)
        except TidegateError as error:
            entry.close(status_of(error), error.message)
            if isinstance(error, ProtocolError):
                raise
            return error_response(error)
        except asyncio.CancelledError:
            entry.close(CLIENT_LEFT)
            raise
        if isinstance(response, Hijack):
            return response
        entry.close(response.status)
        expiry = self._live.expiry_headers(request.peer)
        return msgspec.structs.replace(response, headers=(*response.headers, *expiry)) if expiry else response

    async def _answer(self, door: Door, identity: Identity, request: Request, entry: Entry) -> Response | Hijack:
        if door.secured and is_enrolment(request.target) and not (identity.refusal and request.peer.certificate):
            self._live.presences.note((door, request.peer), request.abort, ENROLMENT)
            entry.named(ENROLMENT.operation_id)
            await entry.allow("enrolment")
            return await self._behind.enrolment.answer(request, self._live.snapshot)
        self._live.presences.note((door, request.peer), request.abort, NOTHING)
        await _admit(identity, entry)
        wait_s = self._wait_s(identity)
        if wait_s:
            await entry.refuse("rate", f"next request in {wait_s:.1f} s")
            return _too_fast(identity, wait_s)
        known = self._known_ping(request.method, entry)
        if known is not None:
            return known
        identity, reading = await self._settle(door, request.peer, await _read(request, entry))
        entry.identified(identity)
        await _admit(identity, entry)
        self._live.presences.note((door, request.peer), request.abort, reading.asked)
        async with AsyncExitStack() as stack:
            policy = self._live.policy
            permit = await self._behind.permits.permit(policy, identity, reading, stack)
            if not permit.allowed:
                # It does nothing that it could be cut for.
                self._live.presences.note((door, request.peer), request.abort, NOTHING)
            await entry.decide(reading, permit)
            if permit.missing:
                raise NotFoundError(permit.missing)
            if not permit.verdict.allowed:
                raise ForbiddenError(permit.verdict.reason)
            if reading.operation_id in ping.OPERATIONS:
                entry.stands(policy, canonical_target(reading, permit))
            response = await self._carry_out(identity, request, reading, permit, entry)
            response, made = await made_by(reading.operation_id, response)
        entry.made(made)
        if is_stream(reading.operation_id, request.method, response):
            presence = self._live.presences.current()
            entry.begin(response, lambda: presence.cut)
        return response

    def _known_ping(self, method: str, entry: Entry) -> Response | None:
        """The answer to a ping that was decided before, on this connection, for this client and by this policy.

        Health checks send little else; plugins want to be asked each time.
        """
        run = None if self._behind.plugins else entry.repeats(self._live.policy)
        if run is None or run.standing is None:
            return None
        known = self._pings.known(method, run.standing.target)
        if known is not None:
            entry.counted(run)
        return known

    async def _settle(self, door: Door, peer: Peer, reading: Reading) -> tuple[Identity, Reading]:
        """Who asks by now, since reading took the client's own time, and what rules may know of the object.

        Both are of one moment: after a change meanwhile it begins anew. Later changes find the presence.
        """
        while True:
            policy, identity = self._live.policy, self._live.identify(door, peer)
            described = await self._behind.permits.with_subject(policy, identity.role, reading)
            if policy is self._live.policy and identity == self._live.identify(door, peer):
                return identity, described

    def _wait_s(self, identity: Identity) -> float:
        role = self._live.policy.roles.get(identity.role)
        if role is None or role.rate is None:
            return 0.0
        return self._rates.wait_s(identity.owner, role.rate, time.monotonic())

    async def _carry_out(
        self, identity: Identity, request: Request, reading: Reading, permit: Permit, entry: Entry
    ) -> Response | Hijack:
        sending, carriage = _sending(request, reading, permit), entry.carriage
        sending = msgspec.structs.replace(sending, headers=entry.carry(sending.headers))
        warning = self._live.expiry_warning(request.peer)
        screening = Screening(self._behind.plugins, identity, request, sending, permit.verdict, warning)
        await screening.ask_before()
        await self._behind.permits.make_volumes(permit, identity.owner)
        try:
            if reading.operation_id in ping.OPERATIONS:
                response = await self._pings.answer(
                    sending.method, sending.target, lambda: forward(self._behind.engine, sending, carriage)
                )
            else:
                response = await forward(self._behind.engine, sending, carriage)
        except UnavailableError as error:
            raise UnavailableError(f"the engine behind the gate does not answer: {error.message}") from error
        return await screening.screen(reading.operation_id, response)


def _too_fast(identity: Identity, wait_s: float) -> Response:
    text = f"tidegate: {identity.principal} asks faster than role {identity.role} may; try again in {wait_s:.1f} s"
    return message_response(429, text, ("retry-after", str(math.ceil(wait_s))))


async def _admit(identity: Identity, entry: Entry) -> None:
    """Raises UnauthorizedError for a client that is not served at all."""
    if identity.refusal:
        await entry.refuse("identity", identity.refusal)
        raise UnauthorizedError(identity.refusal)


async def _read(request: Request, entry: Entry) -> Reading:
    try:
        found, raw_query = find_operation(request)
        entry.found(found)
        return await read_request(request, found, raw_query)
    except (InvalidParameterError, NotFoundError) as error:
        await entry.refuse("unreadable", error.message)
        raise


def _sending(request: Request, reading: Reading, permit: Permit) -> Sending:
    headers = [(name, value) for name, value in end_to_end_headers(request) if name not in _WRITTEN_ANEW]
    if reading.content_type is not None:
        headers.append(("content-type", reading.content_type))
    if permit.credentials.header:
        headers.append((permit.credentials.header, permit.credentials.encode()))
    body = permit.document.encode() or None if reading.body is Body.DOCUMENT else None
    operation = reading.found.operation
    return Sending(
        request.method,
        canonical_target(reading, permit),
        tuple(headers),
        aiter(request.body) if reading.body is Body.STREAM and has_content(request) else body,
        operation.hijack,
        reading.upgrade,
    )


def canonical_target(reading: Reading, permit: Permit) -> str:
    """The request target as it was read, encoded once: the engine cannot read another operation in it."""
    path = reading.found.operation.template
    for name, value in permit.parameters.items():
        path = path.replace("{" + name + "}", quote(value, safe="/:@-._~"))
    prefix = f"/v{reading.found.version}" if reading.found.version else ""
    query = permit.query.encode()
    return f"{prefix}{path}?{query}" if query else f"{prefix}{path}"
