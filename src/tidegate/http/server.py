"""The HTTP/1.1 server: one task per connection, requests answered in order, limits on everything a stranger may send.

A handler takes a Request and returns a Response or a Hijack. Rules:

- a ProtocolError, from here or out of the handler, is answered with its status and ends the connection; any other
  exception is logged and answered 500; once a response has begun, it is cut off so that no client takes it for whole;
- the handler is cancelled when the client is gone: connection lost, unix socket fully closed, or FIN under TLS. A mere
  half-close does not cancel it;
- an unread request body is dropped up to a bound, else the connection closes after the answer.
"""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from tidegate.base.errors import InternalError
from tidegate.http.body import LAST_CHUNK, WireBody, chunk
from tidegate.http.connection import Connection
from tidegate.http.head import CHUNKED, RequestHead, parse_request_head
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.limits import Limits
from tidegate.http.messages import Headers, Peer, ProtocolError, Request, Response
from tidegate.http.response_head import BODILESS, response_head
from tidegate.http.tls import TLSListener, TLSProtocol

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response | Hijack]]
Refusal = Callable[[ProtocolError], Response]

_LINGER_S = 2.0
_TLS_HANDSHAKE = b"\x16\x03"
_UNREAD_BODY_BYTES = 256 * 1024
_ONE_PIECE_BYTES = 16 * 1024
_NO_HEADERS = Headers()


class Server:
    """Listeners and the tasks of their connections."""

    def __init__(self, handler: Handler, limits: Limits | None = None, refusal: Refusal | None = None) -> None:
        """``refusal`` says how a broken request is answered; by default as Docker's errors are."""
        self._handler = handler
        self._refusal = refusal or _refusal
        self._limits = limits or Limits()
        self._patience = self._limits.patience
        self._listeners: list[asyncio.Server] = []  # uvloop drops a listener that nobody holds
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: set[Connection] = set()
        self._connections: set[Connection] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._closing = False

    async def listen(self, sock: socket.socket, tls: TLSListener | None = None) -> None:
        """Serve a bound socket, unix or TCP; its listener is closed by ``close``."""
        loop = asyncio.get_running_loop()
        self._loop_time = loop.time
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep(), name="http-sweeper")

        is_unix = sock.family == socket.AF_UNIX
        begin = partial(self._begin, _unix_peer if is_unix else _tcp_peer)

        def protocol() -> asyncio.Protocol:
            connection = Connection(begin)
            return connection if tls is None else TLSProtocol(connection, tls)

        if is_unix:
            self._listeners.append(await loop.create_unix_server(protocol, sock=sock, backlog=1024))
        else:
            self._listeners.append(await loop.create_server(protocol, sock=sock, backlog=1024))

    async def close(self, grace_s: float = 5.0) -> None:
        """Stop listening, drop idle connections, let requests finish for ``grace_s``, then cancel them."""
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for listener in self._listeners:
            listener.close()
        for connection in list(self._idle):
            connection.abort()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, peer_of: Callable[[asyncio.Transport], Peer], connection: Connection) -> None:
        if self._limits.connections is not None and len(self._tasks) >= self._limits.connections:
            connection.abort()
            return
        peer = peer_of(connection.transport)
        task = asyncio.get_running_loop().create_task(self._serve(connection, peer), name="http-connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection.on_hangup = task.cancel

    async def _serve(self, connection: Connection, peer: Peer) -> None:
        self._connections.add(connection)
        try:
            while not self._closing and await self._serve_one(connection, peer):
                pass
            connection.close()
        except ProtocolError as error:
            await _refuse(connection, self._refusal(error))
        except ConnectionResetError:
            connection.abort()
        except BaseException as error:
            connection.abort()
            if not isinstance(error, asyncio.CancelledError):
                logger.exception("connection failed")
                return
            raise
        finally:
            self._connections.discard(connection)

    async def _serve_one(self, connection: Connection, peer: Peer) -> bool:
        """Answer one request; False when the connection shall close."""
        head = await self._next_head(connection)
        if head is None:
            return False
        limit = self._limits.body_bytes
        if limit is not None and head.length > limit:
            raise ProtocolError(f"request body is larger than {limit} bytes", 413)
        body = WireBody(connection, head.length, limit, _continuation(connection, head), self._patience)
        request = Request(head.method, head.target, head.headers, body, peer, head.version, connection.abort)
        try:
            response = await self._handler(request)
        except ProtocolError:
            raise
        except Exception:
            logger.exception("handler failed: %s %s", head.method, head.target)
            response = _message(500, "internal error")
        if isinstance(response, Hijack):
            await _hijack(connection, body, response)
            return False
        keep_alive = head.keep_alive and not self._closing and _can_skip(body, head)
        await _send(connection, head, response, keep_alive)
        if keep_alive:
            return await _skip(body)
        await _linger(connection, body.finished)
        return False

    async def _next_head(self, connection: Connection) -> RequestHead | None:
        """The next request's head; None at the end of a connection that is between requests."""
        buffer = connection.buffer
        if not buffer and not await self._wait_for_request(connection):
            return None
        size = _whole_head_size(buffer, self._limits.head_bytes)
        if size == 0:
            connection.deadline_s = self._loop_time() + self._limits.header_timeout_s
            size = await _head_size(connection, self._limits.head_bytes)
            connection.deadline_s = None
        return None if size == 0 else parse_request_head(connection.take(size), self._limits.headers)

    async def _wait_for_request(self, connection: Connection) -> bool:
        connection.deadline_s = self._loop_time() + self._limits.idle_timeout_s
        self._idle.add(connection)
        try:
            return await connection.fill()
        finally:
            self._idle.discard(connection)
            connection.deadline_s = None

    async def _sweep(self) -> None:
        """End the waits that took too long: one look at all connections costs less than a timer for each request."""
        while True:
            await asyncio.sleep(min(1.0, self._limits.shortest_s / 4))
            now = self._loop_time()
            for connection in list(self._connections):
                if connection.deadline_s is not None and connection.deadline_s <= now:
                    connection.expire()


def _whole_head_size(buffer: bytearray, limit_bytes: int) -> int:
    """The size of a head that has arrived whole, the usual case; 0 for whatever needs a closer look."""
    end = buffer.find(b"\r\n\r\n", 0, limit_bytes) + 4
    return end if end >= 4 and not buffer.startswith(b"\r\n") else 0


async def _head_size(connection: Connection, limit_bytes: int) -> int:
    """Bytes of the head that starts the buffer, empty line included; 0 at a clean end."""
    buffer = connection.buffer
    searched = 0
    while True:
        while buffer.startswith(b"\r\n"):  # empty lines before a request: RFC 9112, section 2.2
            connection.take(2)
            searched = 0
        if buffer.startswith(_TLS_HANDSHAKE):
            raise ProtocolError("client sent a TLS handshake to a port that speaks plain HTTP")
        end = buffer.find(b"\r\n\r\n", searched)
        if end >= 0 and end + 4 <= limit_bytes:
            return end + 4
        if end >= 0 or len(buffer) > limit_bytes:
            raise ProtocolError("request header fields too large", 431)
        searched = max(0, len(buffer) - 3)
        if not await connection.fill():
            if not buffer:
                return 0
            if connection.expired:
                raise ProtocolError("the request's headers took too long", 408)
            raise ProtocolError("unexpected EOF in the request's headers")


def _continuation(connection: Connection, head: RequestHead) -> Callable[[], None] | None:
    """What sends ``100 Continue`` when the handler first waits for the body."""
    if not head.expects_continue:
        return None
    return lambda: connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _can_skip(body: WireBody, head: RequestHead) -> bool:
    """Whether the rest of an unread body may be read away to reuse the connection."""
    if body.finished:
        return True
    if head.expects_continue and not body.started:
        return False
    return head.length == CHUNKED or head.length <= _UNREAD_BODY_BYTES


async def _skip(body: WireBody) -> bool:
    if body.finished:
        return True
    skipped = 0
    try:
        async with asyncio.timeout(_LINGER_S):
            while not body.finished and skipped <= _UNREAD_BODY_BYTES:
                skipped += len(await body.read())
    except (TimeoutError, ProtocolError):
        return False  # the answer is already out; the connection just closes
    return body.finished


async def _linger(connection: Connection, all_read: bool) -> None:
    """Close so that the answer arrives: unread input would turn the close into a reset that overtakes it."""
    if all_read and not connection.buffer:
        return
    connection.write_eof()
    connection.expired = False
    dropped = 0
    try:
        async with asyncio.timeout(_LINGER_S):
            while dropped <= 4 * _UNREAD_BODY_BYTES:
                dropped += len(connection.take(len(connection.buffer)))
                if not await connection.fill():
                    return
    except TimeoutError:
        return


async def _refuse(connection: Connection, answer: Response) -> None:
    head = RequestHead("GET", "", "1.1", _NO_HEADERS, 0, False, False)
    try:
        await _send(connection, head, answer, keep_alive=False)
        await _linger(connection, all_read=False)
    except ConnectionResetError:
        logger.debug("the client left before it was refused")
    finally:
        connection.close()


def _refusal(error: ProtocolError) -> Response:
    return _message(error.status, error.message)


def _message(status: int, text: str) -> Response:
    return Response(status, [("Content-Type", "application/json")], json.dumps({"message": text}).encode() + b"\n")


async def _hijack(connection: Connection, body: WireBody, hijack: Hijack) -> None:
    try:
        if not body.finished:
            await body.read_all(_UNREAD_BODY_BYTES)
        connection.on_hangup = None
        connection.write(hijack.head)
    except BaseException:
        hijack.abandon()
        raise
    await hijack.run(Stream(connection))


async def _send(connection: Connection, head: RequestHead, response: Response, keep_alive: bool) -> None:
    bodiless = response.status in BODILESS or head.method == "HEAD"
    content = response.body
    if isinstance(content, bytes):
        out = response_head(head, response, len(content), keep_alive)
        connection.write(out if bodiless else out + content)
        await connection.drain()
        return
    stated = next((int(value) for name, value in response.headers if name.lower() == "content-length"), None)
    try:
        out = response_head(head, response, CHUNKED if stated is None else stated, keep_alive)
        if bodiless:
            connection.write(out)
        elif stated is None:
            await _send_unstated(connection, out, content, head.version != "1.0")
        else:
            await _send_stated(connection, out, content, stated)
        await connection.drain()
    except ProtocolError as error:  # too late for a status: cut the response off
        raise ConnectionResetError(error.message) from error
    finally:
        aclose = getattr(content, "aclose", None)
        if aclose is not None:
            await aclose()


async def _send_stated(connection: Connection, out: bytes, content: AsyncIterator[bytes], stated: int) -> None:
    """The head ``out`` and a body of ``stated`` bytes; what is short goes out in one piece."""
    is_short = stated <= _ONE_PIECE_BYTES
    if not is_short:
        connection.write(out)
    sent = 0
    async for data in content:
        sent += len(data)
        if sent > stated:
            break
        if is_short:
            out += data
        else:
            connection.write(data)
            await connection.drain()
    if sent != stated:
        raise InternalError(f"a body of {sent} bytes was announced as {stated}")
    if is_short:
        connection.write(out)


async def _send_unstated(connection: Connection, out: bytes, content: AsyncIterator[bytes], chunked: bool) -> None:
    """The head ``out`` at once: a stream may have nothing to say for long."""
    connection.write(out)
    async for data in content:
        if data:
            connection.write(chunk(data) if chunked else data)
            await connection.drain()
    if chunked:
        connection.write(LAST_CHUNK)
    else:
        connection.write_eof()


def _unix_peer(transport: asyncio.Transport) -> Peer:
    raw = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return Peer(credentials=struct.unpack("3i", raw))


def _tcp_peer(transport: asyncio.Transport) -> Peer:
    name = transport.get_extra_info("peername")
    address = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else ""
    certificate, subject = (transport.get_extra_info(name) for name in ("peer_certificate", "peer_subject"))
    return Peer(address, certificate, subject=subject)
