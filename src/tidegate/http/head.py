"""Parsing of message heads, strictly, by llhttp; and the framing of the body that follows.

The parser sees exactly one head, cut at its empty line, and never the body: so the byte after a request is always
known, which taking over a connection needs. What two parsers could read differently is refused (RFC 9112, sections 5.2
and 6.3): bare CR or LF, folded lines, repeated or signed lengths, a length beside a transfer coding, other codings.
"""

import re
from functools import lru_cache

import httptools
import msgspec

from tidegate.http.messages import Headers, ProtocolError

CHUNKED = -1
UNTIL_EOF = -2
_REMEMBERED_BYTES = 1024

_FOLD_OR_BARE = re.compile(rb"\r\n[ \t]|\r(?!\n)|(?<!\r)\n|\x00")
_SPACE_BEFORE_COLON = re.compile(rb"\r\n[^:\r\n]*[ \t]:")
_FRAMING = frozenset({"content-length", "transfer-encoding", "trailer"})
_LENGTH = re.compile(r"[0-9]{1,18}")


class RequestHead(msgspec.Struct, frozen=True):
    """``length`` is the body's length in bytes, or CHUNKED."""

    method: str
    target: str
    version: str
    headers: Headers
    length: int
    keep_alive: bool
    expects_continue: bool


class ResponseHead(msgspec.Struct, frozen=True):
    """``length`` is the body's length in bytes, CHUNKED or UNTIL_EOF."""

    status: int
    headers: Headers
    length: int
    keep_alive: bool


class _Collector:
    """The parser's callbacks."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.complete = False
        self.extra = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        self.extra |= self.complete
        self.complete = True


def parse_request_head(head: bytes, max_headers: int) -> RequestHead:
    """Read one request head, its empty line included. Raises ProtocolError with 400, 417, 431, 501 or 505."""
    if len(head) <= _REMEMBERED_BYTES:
        return _remembered_head(head, max_headers)
    return _read_request_head(head, max_headers)


@lru_cache(maxsize=256)
def _remembered_head(head: bytes, max_headers: int) -> RequestHead:
    """A client repeats its heads to the letter: reading is pure, its result immutable."""
    return _read_request_head(head, max_headers)


def _read_request_head(head: bytes, max_headers: int) -> RequestHead:
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    _feed(parser, collector, head)
    version = parser.get_http_version()
    if version not in {"1.0", "1.1"}:
        raise ProtocolError("unsupported protocol version", 505)
    if len(collector.headers) > max_headers:
        raise ProtocolError("too many header fields", 431)
    headers = Headers(collector.headers)
    hosts = headers.get_all("host")
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise ProtocolError("exactly one Host header is required")
    length = _body_length(headers, version)
    target = _decode_target(collector.target)
    return RequestHead(
        method=parser.get_method().decode("ascii"),
        target=target,
        version=version,
        headers=headers,
        length=0 if length is None else length,
        keep_alive=_keep_alive(headers, version),
        expects_continue=_expects_continue(headers, version),
    )


def parse_response_head(head: bytes, method: str) -> ResponseHead:
    """Read one response head to a request of ``method``. Raises ProtocolError (502)."""
    if len(head) <= _REMEMBERED_BYTES:
        return _remembered_response_head(head, method)
    return _read_response_head(head, method)


@lru_cache(maxsize=256)
def _remembered_response_head(head: bytes, method: str) -> ResponseHead:
    """As ``_remembered_head``: an engine repeats itself too."""
    return _read_response_head(head, method)


def _read_response_head(head: bytes, method: str) -> ResponseHead:
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    try:
        _feed(parser, collector, head)
        version = parser.get_http_version()
        headers = Headers(collector.headers)
        length = _body_length(headers, version)
    except ProtocolError as error:
        raise ProtocolError(f"bad response: {error.message}", 502) from error
    status = parser.get_status_code()
    if method == "HEAD" or status < 200 or status in {204, 304}:
        length = 0
    keep_alive = _keep_alive(headers, version) and length is not None
    return ResponseHead(status, headers, UNTIL_EOF if length is None else length, keep_alive)


def _feed(parser: httptools.HttpRequestParser | httptools.HttpResponseParser, into: _Collector, head: bytes) -> None:
    if _FOLD_OR_BARE.search(head) or _SPACE_BEFORE_COLON.search(head):
        raise ProtocolError("malformed header line")
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # the head ends here and what follows is the caller's to interpret
    except httptools.HttpParserError as error:
        raise ProtocolError(f"malformed HTTP message: {error}") from error
    if not into.complete or into.extra:
        raise ProtocolError("malformed HTTP message")


def _decode_target(target: bytes) -> str:
    try:
        return target.decode("ascii")
    except UnicodeDecodeError as error:
        raise ProtocolError("request target is not ASCII") from error


def _body_length(headers: Headers, version: str) -> int | None:
    """The length, CHUNKED, or None when the head states neither."""
    lengths = headers.get_all("content-length")
    if "transfer-encoding" in headers:
        if lengths:
            raise ProtocolError("Transfer-Encoding together with Content-Length")
        if version == "1.0":
            raise ProtocolError("Transfer-Encoding in HTTP/1.0")
        if [coding.lower() for coding in headers.get_all("transfer-encoding")] != ["chunked"]:
            raise ProtocolError("unsupported transfer coding", 501)
        if not _FRAMING.isdisjoint(headers.tokens("trailer")):
            raise ProtocolError("a trailer cannot frame the body")
        return CHUNKED
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise ProtocolError("invalid Content-Length")
    return int(lengths[0])


def _keep_alive(headers: Headers, version: str) -> bool:
    tokens = headers.tokens("connection")
    return "close" not in tokens if version == "1.1" else "keep-alive" in tokens


def _expects_continue(headers: Headers, version: str) -> bool:
    expectation = headers.get("expect")
    if expectation is None or version == "1.0":
        return False
    if expectation.lower() != "100-continue":
        raise ProtocolError("unknown expectation", 417)
    return True
