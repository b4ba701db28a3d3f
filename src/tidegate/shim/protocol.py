"""The lines of the control socket: JSON in, JSON out, errors by kind.

A request is ``{"id": n, "op": ...}``; its answer ``{"id": n, "ok": {...}}`` or ``{"id": n, "error": {"kind",
"message"}}``. Exits are pushed as ``{"event": "exited", ...}`` to connections that subscribed.
"""

import json
from collections.abc import Mapping
from typing import Any

from tidegate.base.errors import (
    ConflictError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
    NotSupportedError,
    TidegateError,
    UnavailableError,
)

STREAM_END = b"\xff\0end of stream\0\xff"
"""The last bytes of an attached stream that lacks nothing: one that ends without them was cut by a killed worker."""

LINE_LIMIT_BYTES = 64 * 1024 * 1024
KINDS: Mapping[type[TidegateError], str] = {
    NotFoundError: "not_found",
    InvalidParameterError: "invalid_parameter",
    ConflictError: "conflict",
    NotSupportedError: "not_supported",
    UnavailableError: "unavailable",
    InternalError: "internal",
}


def encode(message: Mapping[str, object]) -> bytes:
    """One message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def parse_request(line: bytes) -> dict[str, Any]:
    """Raises InvalidParameterError when the line is not an object with an ``op``."""
    try:
        request = json.loads(line)
    except ValueError as error:
        raise InvalidParameterError(f"the request is not JSON: {error}") from error
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        raise InvalidParameterError("the request is not an object with an op")
    return request


def error_body(error: TidegateError) -> dict[str, str]:
    """What stands under ``error`` in an answer."""
    return {"kind": KINDS.get(type(error), "internal"), "message": error.message}


def text(request: Mapping[str, Any], field: str) -> str:
    """A required text of a request; raises InvalidParameterError."""
    value = request.get(field)
    if not isinstance(value, str) or not value or ("/" in value and field.endswith("_id")):
        raise InvalidParameterError(f"{field}: a non-empty text is required")
    return value


def number(request: Mapping[str, Any], field: str) -> int:
    """A required integer of a request; raises InvalidParameterError."""
    value = request.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidParameterError(f"{field}: an integer is required")
    return value
