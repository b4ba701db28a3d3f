"""Requests and responses as values: what handlers receive and return.

Framing of bodies is ``http/body.py``; parsing of heads is ``http/head.py``. Header names are lower case everywhere;
repeated headers stay repeated. A body is read once. (Structs: a frozen dataclass takes ten times as long to make.)
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from tidegate.base.errors import InvalidParameterError

REASONS = {
    101: "UPGRADED",
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


class ProtocolError(InvalidParameterError):
    """The peer broke HTTP or a limit; ``status`` is the answer it deserves and the connection closes after it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class BodyTooLargeError(ProtocolError):
    """A body is longer than the reader accepts (413)."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"request body is larger than {limit_bytes} bytes", 413)


class Headers:
    """An ordered multimap of lower-case names to values."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = [(name.lower(), value) for name, value in items]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of ``name`` (lower case)."""
        return next((value for key, value in self._items if key == name), default)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self._items if key == name]

    def tokens(self, name: str) -> list[str]:
        """The comma-separated elements of every ``name``, lower-cased, as of Connection and Transfer-Encoding."""
        parts = ",".join(self.get_all(name)).split(",")
        return [part.strip().lower() for part in parts if part.strip()]

    def __contains__(self, name: object) -> bool:
        return any(key == name for key, _ in self._items)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"


class Body(Protocol):
    """A stream of bytes that is read once; not reading it is what slows the sender down."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def read_all(self, limit_bytes: int) -> bytes: ...


class BytesBody:
    """A body already in memory, for tests and for requests made inside the process."""

    def __init__(self, content: bytes = b"") -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._content:
            yield self._content

    async def read_all(self, limit_bytes: int) -> bytes:
        if len(self._content) > limit_bytes:
            raise BodyTooLargeError(limit_bytes)
        return self._content


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end.

    ``certificate`` is the verified client certificate (DER) of a TLS connection and ``subject`` its names, in the shape
    of ``ssl.SSLSocket.getpeercert``; ``credentials`` is (pid, uid, gid) as the kernel reports it on a unix socket;
    ``address`` is "host:port", or "" on a unix socket.
    """

    address: str = ""
    certificate: bytes | None = None
    credentials: tuple[int, int, int] | None = None
    subject: Mapping[str, Any] | None = None


def _no_connection() -> None:
    """A request made inside the process has nothing to abort."""


class Request(msgspec.Struct, frozen=True):
    """One request. ``target`` is as sent (origin-form, absolute-form or ``*``); ``version`` is "1.0" or "1.1".

    ``abort`` closes the client's connection now, dropping what is queued; it stays good after a take-over.
    """

    method: str
    target: str
    headers: Headers = msgspec.field(default_factory=Headers)
    body: Body = msgspec.field(default_factory=BytesBody)
    peer: Peer = msgspec.field(default_factory=Peer)
    version: str = "1.1"
    abort: Callable[[], None] = _no_connection

    async def read_all(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLargeError beyond the limit, ProtocolError when it is cut or malformed."""
        return await self.body.read_all(limit_bytes)


class Response(msgspec.Struct, frozen=True):
    """One response. A body that is an async iterator is sent chunked unless ``headers`` states its Content-Length."""

    status: int = 200
    headers: Iterable[tuple[str, str]] = ()
    body: bytes | AsyncIterator[bytes] = b""


def split_target(target: str) -> tuple[str, str]:
    """Path (still encoded) and query of an origin-form or absolute-form target. Raises InvalidParameterError."""
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return path, query
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidParameterError("invalid request target")
    return parts.path or "/", parts.query
