"""The path of one request through the engine, read from top to bottom.

target -> operation of the catalogue -> profile of the client's version -> handler -> response with Docker's headers.
An operation that has no handler answers 501 with its name; an error becomes its status in ``api/errors.py``.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from tidegate import __version__
from tidegate.api.profile import ApiProfile, decide_profile
from tidegate.api.query import Query
from tidegate.api.versions.parameters import unknown_parameters
from tidegate.base.errors import InvalidParameterError, NotSupportedError
from tidegate.http.errors import error_response
from tidegate.http.hijack import Hijack
from tidegate.http.messages import ProtocolError, Request, Response, split_target
from tidegate.spec.api_version import NEWEST, text
from tidegate.spec.catalogue import Operation, match

COMMON_HEADERS: tuple[tuple[str, str], ...] = (
    ("Api-Version", text(NEWEST)),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Docker/{__version__} (linux) Tidegate"),
)
JSON_BODY_LIMIT_BYTES = 16 * 1024 * 1024


class Call(msgspec.Struct, frozen=True):
    """A request whose operation and version are known; what a handler gets."""

    request: Request
    operation: Operation
    profile: ApiProfile
    parameters: Mapping[str, str]
    query: Query

    async def document_bytes(self) -> bytes:
        """The JSON body. Raises BodyTooLargeError, and InvalidParameterError for another content type."""
        content_type = (self.request.headers.get("content-type") or "").partition(";")[0].strip().lower()
        data = await self.request.read_all(JSON_BODY_LIMIT_BYTES)
        if data and content_type not in ("application/json", ""):
            raise InvalidParameterError(f"unsupported Content-Type header ({content_type}): must be 'application/json'")
        return data


Handler = Callable[[Call], Awaitable[Response | Hijack]]


class Api:
    """The handler of the engine's HTTP server."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        """``handlers`` by operation id."""
        self._handlers = handlers

    async def handle(self, request: Request) -> Response | Hijack:
        """Answer one request; never raises but for what ends the connection."""
        try:
            response = await self._answer(request)
        except ProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - the one place where every error becomes an answer
            response = error_response(error)
        if isinstance(response, Hijack):
            return response
        return Response(response.status, (*COMMON_HEADERS, *response.headers), response.body)

    async def _answer(self, request: Request) -> Response | Hijack:
        raw_path, query = split_target(request.target)
        version, operation, parameters = match(request.method, raw_path)
        profile = decide_profile(version)
        unread = unknown_parameters(profile, operation.operation_id)
        call = Call(request, operation, profile, parameters, Query(query, unread))
        handler = self._handlers.get(operation.operation_id)
        if handler is None:
            raise NotSupportedError(f"{operation.operation_id} is not implemented by this engine yet")
        return await handler(call)
