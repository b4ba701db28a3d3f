"""The head of a response as bytes: status line, headers, framing and Date."""

import time
from functools import lru_cache

from tidegate.base.errors import InternalError
from tidegate.http.dates import http_date
from tidegate.http.head import CHUNKED, RequestHead
from tidegate.http.messages import REASONS, Response

BODILESS = frozenset({204, 304})


def response_head(head: RequestHead, response: Response, length: int, keep_alive: bool) -> bytes:
    """The status line and headers. Raises InternalError when a value would inject a line."""
    headers = response.headers if isinstance(response.headers, tuple) else tuple(response.headers)
    first, rest, is_dated = _encode_head(response.status, headers, length, keep_alive, head.version == "1.0")
    return first + rest if is_dated else b"%bDate: %b\r\n%b" % (first, _date(int(time.time())), rest)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    """The time as of RFC 9110, section 5.6.7. A client compares it with its own clock when a certificate fails."""
    return http_date(second).encode("ascii")


@lru_cache(maxsize=256)
def _encode_head(
    status: int, headers: tuple[tuple[str, str], ...], length: int, keep_alive: bool, is_old: bool
) -> tuple[bytes, bytes, bool]:
    """The status line, the rest, and whether that has a Date; ``is_old`` is HTTP/1.0.

    Most answers have one of a few heads, so that they are remembered.
    """
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    has_length = any(name.lower() == "content-length" for name, _ in headers)
    if status not in BODILESS and not has_length:
        if length != CHUNKED:
            lines.append(f"Content-Length: {length}")
        elif not is_old:
            lines.append("Transfer-Encoding: chunked")
    unframed = length == CHUNKED and is_old
    if not keep_alive or unframed:
        lines.append("Connection: close")
    elif is_old:
        lines.append("Connection: keep-alive")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise InternalError("a response header contains a line break")
    first, _, rest = f"{text}\r\n\r\n".encode("latin-1").partition(b"\r\n")
    return first + b"\r\n", rest, any(name.lower() == "date" for name, _ in headers)
