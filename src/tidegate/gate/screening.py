"""What becomes of an answer between engine and client: secrets left out, foreign objects left out, plugins asked.

An answer that is screened is read whole first, within a bound; events are screened one by one as they come. All others
pass as streams, untouched.
"""

from collections.abc import AsyncIterator

import msgspec
from msgspec.structs import replace

from tidegate.access.objects.ownership import keep_own
from tidegate.access.objects.redaction import redact, redacts
from tidegate.access.principal import CertificatePrincipal
from tidegate.access.verdict import Verdict
from tidegate.base.errors import InternalError
from tidegate.gate.behind.authz_plugins import AuthzPlugins, Question
from tidegate.gate.behind.forward import Sending
from tidegate.gate.expiry import with_warning
from tidegate.gate.live import Identity
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Headers, Request, Response

WHOLE_BYTES = 64 * 1024 * 1024
_EVENTS = "SystemEvents"
_INFO = "SystemInfo"
_JSON = "application/json"
_STREAMS = frozenset(
    {
        _EVENTS,
        "ContainerStats",
        "ContainerWait",
        "ImageBuild",
        "ImageCreate",
        "ImageLoad",
        "ImagePush",
        "PluginPull",
        "PluginPush",
        "PluginUpgrade",
    }
)
"""Operations that begin their answer long before its end: a client waits for the head of it."""


class Screening(msgspec.Struct, frozen=True):
    """Of one request's answer; ``warning`` is what its client has to be told in ``docker info``."""

    plugins: AuthzPlugins
    identity: Identity
    request: Request
    sending: Sending
    verdict: Verdict
    warning: str = ""

    async def ask_before(self) -> None:
        """Ask the plugins about the request. Raises ForbiddenError, InternalError."""
        if self.plugins:
            await self.plugins.authorize_request(self._question())

    async def screen(self, operation_id: str, response: Response | Hijack) -> Response | Hijack:
        """The answer that the client gets; a connection that was taken over is nobody's to screen.

        Raises ForbiddenError or InternalError when a plugin denies, or the answer cannot be screened.
        """
        if isinstance(response, Hijack):
            return response
        try:
            return await self._screen(operation_id, response)
        except BaseException:
            await _abandon(response)
            raise

    async def _screen(self, operation_id: str, response: Response) -> Response:
        if response.status == 200 and self.request.method != "HEAD":
            if operation_id == _EVENTS and self.verdict.own_only:
                events = _OwnEvents(response.body, self.identity.owner)
                response = Response(response.status, _without_length(response), events)
            elif self.verdict.own_only or redacts(operation_id, self.verdict.redact) or self._warns(operation_id):
                response = await self._rewritten(operation_id, response)
        if self.plugins:
            if _is_document(operation_id, response):
                response, _ = await whole_response(response)
            content = response.body if isinstance(response.body, bytes) else b""
            await self.plugins.authorize_response(self._question(), response.status, response.headers, content)
        return response

    async def _rewritten(self, operation_id: str, response: Response) -> Response:
        whole, content = await whole_response(response)
        try:
            answer = msgspec.json.decode(content)
        except msgspec.MsgspecError as error:
            raise InternalError(f"the engine's answer to {operation_id} is not JSON, and cannot be screened") from error
        if self.verdict.own_only:
            answer = keep_own(operation_id, answer, self.identity.owner)
        answer = redact(operation_id, answer, self.verdict.redact, self.identity.owner)
        if self._warns(operation_id):
            answer = with_warning(answer, self.warning)
        return replace(whole, body=msgspec.json.encode(answer) + b"\n")

    def _warns(self, operation_id: str) -> bool:
        return operation_id == _INFO and bool(self.warning)

    def _question(self) -> Question:
        principal = self.identity.principal
        return Question(
            principal.common_name if isinstance(principal, CertificatePrincipal) else "",
            self.request.peer.certificate,
            self.sending.method,
            self.sending.target,
            self.sending.headers,
            self.sending.body if isinstance(self.sending.body, bytes) else b"",
        )


def _is_document(operation_id: str, response: Response) -> bool:
    """JSON that comes to an end by itself; an engine may send it in chunks, as it sends what never would be whole."""
    media_type = (Headers(response.headers).get("content-type") or "").partition(";")[0].strip().lower()
    return isinstance(response.body, bytes) or (media_type == _JSON and operation_id not in _STREAMS)


def is_stream(operation_id: str, method: str, response: Response | Hijack) -> bool:
    """Whether the answer goes on when its head is there, and is no document whose head says all about it."""
    if isinstance(response, Hijack):
        return True
    has_body = response.status == 200 and method != "HEAD" and "content-length" not in Headers(response.headers)
    return has_body and not _is_document(operation_id, response)


async def whole_response(response: Response) -> tuple[Response, bytes]:
    """The response with its body in memory, and that body. Raises InternalError beyond WHOLE_BYTES."""
    content = bytearray()
    async for piece in _pieces(response):
        content += piece
        if len(content) > WHOLE_BYTES:
            raise InternalError(f"the engine's answer is larger than the {WHOLE_BYTES} bytes that can be screened")
    return Response(response.status, _without_length(response), bytes(content)), bytes(content)


def _without_length(response: Response) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in response.headers if name.lower() != "content-length")


async def _abandon(response: Response) -> None:
    """The engine's connection must not wait for a body that nobody will read."""
    if not isinstance(response.body, bytes):
        await close_body(response.body)


async def close_body(body: AsyncIterator[bytes]) -> None:
    """Let go of what a body holds, whether or not it was read."""
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()


async def _pieces(response: Response) -> AsyncIterator[bytes]:
    if isinstance(response.body, bytes):
        yield response.body
        return
    async for piece in response.body:
        yield piece


class _OwnEvents:
    """The events of ``owner``'s objects; each is a line."""

    def __init__(self, body: bytes | AsyncIterator[bytes], owner: str) -> None:
        self._pieces = _once(body) if isinstance(body, bytes) else body
        self._owner = owner
        self._rest = b""

    def __aiter__(self) -> "_OwnEvents":
        return self

    async def __anext__(self) -> bytes:
        while True:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if len(self._rest) > WHOLE_BYTES:
                raise InternalError("the engine sends an event without an end")
            own = b"".join(line + b"\n" for line in lines if line.strip() and _is_own(line, self._owner))
            if own:
                return own
        rest, self._rest = self._rest, b""
        if rest.strip() and _is_own(rest, self._owner):
            return rest
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let go of the engine."""
        await close_body(self._pieces)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _is_own(line: bytes, owner: str) -> bool:
    try:
        event = msgspec.json.decode(line.lstrip(b"\x1e"))
    except msgspec.MsgspecError as error:
        raise InternalError("the engine's events are not JSON lines, and cannot be screened") from error
    return keep_own(_EVENTS, event, owner) is not None
