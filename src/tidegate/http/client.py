"""A pooled HTTP/1.1 client to one unix socket: what a gate sends on to its engine.

- Bodies stream both ways with back pressure; closing an early answer ends the sending of the body.
- A connection returns to the pool only when both bodies are through. GET and HEAD are sent once more when a pooled
  connection turns out to be dead before any byte of an answer.
- ``detach`` makes the connection a raw Stream, after a ``101`` or where the caller knows that the answer is one.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.http.body import LAST_CHUNK, WireBody, chunk
from tidegate.http.connection import Connection
from tidegate.http.head import UNTIL_EOF, ResponseHead, parse_response_head
from tidegate.http.hijack import Stream
from tidegate.http.messages import Headers, ProtocolError

logger = logging.getLogger(__name__)

_HEAD_BYTES = 64 * 1024
_SWITCHING = 101
_FIRST_FINAL = 200

RequestBody = bytes | AsyncIterator[bytes] | None
Connect = Callable[[], Awaitable[socket.socket]]
"""Opens a connection for a client that may not open one itself; raises UnavailableError."""


class ClientResponse:
    """An answer whose body is still to be read. ``close`` is owed, unless detached; ``async with`` does it."""

    def __init__(
        self, client: "UnixClient", connection: Connection, head: ResponseHead, sender: asyncio.Task[None] | None
    ) -> None:
        self.status = head.status
        self.headers: Headers = head.headers
        self.body = WireBody(connection, head.length, None)
        self._client = client
        self._connection: Connection | None = connection
        self._sender = sender
        self._reusable = head.keep_alive and head.status != _SWITCHING and head.length != UNTIL_EOF

    async def __aenter__(self) -> "ClientResponse":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def read_all(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLargeError, or ProtocolError when it is cut."""
        return await self.body.read_all(limit_bytes)

    def detach(self) -> Stream:
        """The raw connection, with what was read beyond the head first. The caller closes it."""
        if self._connection is None:
            raise InvalidParameterError("the response is already closed or detached")
        connection, self._connection = self._connection, None
        return Stream(connection)

    async def close(self) -> None:
        """Return the connection to the pool, or drop it when something is unread or unsent. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        sent = self._sender is None or (self._sender.done() and not self._sender.cancelled())
        if self._reusable and self.body.finished and sent and not connection.buffer:
            self._client.keep(connection)
            return
        await _stop(self._sender)
        connection.abort()


class UnixClient:
    """Connections to the server at ``where``: a path, or whatever opens a connection to it."""

    def __init__(self, where: Path | Connect, max_idle: int = 32, connect_timeout_s: float = 5.0) -> None:
        self._where = where
        self._max_idle = max_idle
        self._connect_timeout_s = connect_timeout_s
        self._idle: list[Connection] = []

    async def request(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: RequestBody = None
    ) -> ClientResponse:
        """Send a request; the answer's head is read, its body not.

        Framing headers are added here. Raises UnavailableError when the server cannot be reached or drops the request,
        ProtocolError (502) for a malformed answer, InvalidParameterError for a header that would inject a line; and
        what the body itself raises.
        """
        head = _request_head(method, target, list(headers), body)
        pooled = self._take()
        if pooled is not None:
            try:
                return await self._exchange(pooled, method, head, body)
            except UnavailableError:
                if method not in {"GET", "HEAD"} or not (body is None or isinstance(body, bytes)):
                    raise
        return await self._exchange(await self._connect(), method, head, body)

    async def close(self) -> None:
        """Close idle connections; those in use belong to their responses."""
        self.retire()

    def retire(self) -> None:
        """Keep no connection from now on."""
        self._max_idle = 0
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def keep(self, connection: Connection) -> None:
        """Take a connection back that is between requests."""
        if connection.at_eof or connection.hung_up or len(self._idle) >= self._max_idle:
            connection.close()
        else:
            self._idle.append(connection)

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.at_eof and not connection.hung_up and not connection.buffer:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if isinstance(self._where, Path):
                    _, connection = await loop.create_unix_connection(Connection, str(self._where))
                else:
                    _, connection = await loop.create_unix_connection(Connection, sock=await self._where())
        except (OSError, TimeoutError) as error:
            where = f"unix://{self._where}" if isinstance(self._where, Path) else "its socket"
            raise UnavailableError(f"cannot connect to the engine at {where}: {error}") from error
        return connection

    async def _exchange(self, connection: Connection, method: str, head: bytes, body: RequestBody) -> ClientResponse:
        sender: asyncio.Task[None] | None = None
        try:
            connection.write(head + body if isinstance(body, bytes) else head)
            if body is not None and not isinstance(body, bytes):
                sender = asyncio.get_running_loop().create_task(_send_pieces(connection, body), name="http-send")
            answer = await _next_response_head(connection, method)
        except ConnectionResetError as error:
            connection.abort()
            if (broken := await _stop(sender)) is not None:
                raise broken from error
            raise UnavailableError("the engine closed the connection") from error
        except BaseException:
            await _stop(sender)
            connection.abort()
            raise
        return ClientResponse(self, connection, answer, sender)


async def _send_pieces(connection: Connection, body: AsyncIterator[bytes]) -> None:
    try:
        async for data in body:
            if data:
                connection.write(chunk(data))
                await connection.drain()
        connection.write(LAST_CHUNK)
    except ConnectionResetError:
        logger.debug("the engine stopped reading a request body")  # its answer, or its absence, tells why
    except BaseException:
        connection.abort()  # a body cut short must not pass for a whole one
        raise


async def _stop(sender: asyncio.Task[None] | None) -> BaseException | None:
    """End the sending of a body; what broke it, if something did before."""
    if sender is None:
        return None
    sender.cancel()
    await asyncio.wait({sender})
    if sender.cancelled():
        return None
    error = sender.exception()
    if error is not None:
        logger.debug("sending a request body failed: %s", error)
    return error


async def _next_response_head(connection: Connection, method: str) -> ResponseHead:
    while True:
        buffer = connection.buffer
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if len(buffer) > _HEAD_BYTES:
                raise ProtocolError("bad response: header fields too large", 502)
            if not await connection.fill():
                raise ConnectionResetError("closed before an answer")
        head = parse_response_head(connection.take(end + 4), method)
        if head.status == _SWITCHING or head.status >= _FIRST_FINAL:
            return head


def _request_head(method: str, target: str, headers: list[tuple[str, str]], body: RequestBody) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    names = {name.lower() for name, _ in headers}
    if names & {"content-length", "transfer-encoding"}:
        raise InvalidParameterError("framing headers belong to the client")
    if "host" not in names:
        lines.append("Host: docker")
    if isinstance(body, bytes):
        lines.append(f"Content-Length: {len(body)}")
    elif body is not None:
        lines.append("Transfer-Encoding: chunked")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or " " in method + target:
        raise InvalidParameterError("a request line or header contains a separator")
    return text.encode("latin-1") + b"\r\n\r\n"
