"""The one mapping from kinds of error to HTTP status, with its two renderers: a response, and a line in a stream."""

import logging

import msgspec

from tidegate.base.errors import (
    ConflictError,
    ForbiddenError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
    NotSupportedError,
    TidegateError,
    UnauthorizedError,
    UnavailableError,
)
from tidegate.http.messages import ProtocolError, Response

_log = logging.getLogger(__name__)

STATUS: dict[type[TidegateError], int] = {
    NotFoundError: 404,
    InvalidParameterError: 400,
    ConflictError: 409,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    UnavailableError: 503,
    NotSupportedError: 501,
    InternalError: 500,
}


def status_of(error: TidegateError) -> int:
    """The status of the nearest kind the error is of; a subclass answers as its kind."""
    if isinstance(error, ProtocolError):
        return error.status
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_response(error: Exception) -> Response:
    """The answer to a request that failed before its first byte. A fault that is no kind of ours is logged whole."""
    if not isinstance(error, TidegateError):
        _log.exception("unexpected fault", exc_info=error)
        error = InternalError(f"{type(error).__name__}: {error}")
    return message_response(status_of(error), error.message)


def message_response(status: int, text: str, *more: tuple[str, str]) -> Response:
    """Docker's ``{"message": ...}``; ``more`` are further headers."""
    body = msgspec.json.encode({"message": text}) + b"\n"
    return Response(status, (("content-type", "application/json"), *more), body)


def error_line(error: TidegateError) -> bytes:
    """A progress stream's last line, as the docker CLI reads it after a 200."""
    detail = {"message": error.message}
    return msgspec.json.encode({"errorDetail": detail, "error": error.message}) + b"\r\n"
