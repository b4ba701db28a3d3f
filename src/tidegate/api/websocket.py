"""Attaching by WebSocket (RFC 6455): a process's streams as messages, unframed, as Docker sends them.

- Binary messages out, text below API 1.28; of what comes in only the bytes count.
- A browser that shows another site's page may hold a client certificate: an ``Origin`` other than the host is refused.
- The client's close ends its view, not the process; its ping is answered.
"""

from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tidegate.api.pipeline import COMMON_HEADERS, Call
from tidegate.api.streams import DetachFilter, Open, connect_process
from tidegate.base.errors import ForbiddenError, InvalidParameterError
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.messages import Headers
from tidegate.spec.websocket import (
    NORMAL,
    PROTOCOL_ERROR,
    VERSION,
    FrameReader,
    Opcode,
    accept_key,
    encode_close,
    encode_message,
)


class WebSocketClient:
    """Fits ``api.streams.ClientStream``: messages over a raw connection."""

    def __init__(self, stream: Stream, kind: Opcode) -> None:
        self._stream, self._kind = stream, kind
        self._frames = FrameReader()
        self._ready: deque[bytes] = deque()
        self._said_goodbye = False
        self.wait_read, self.wait_closed, self.abort = stream.wait_read, stream.wait_closed, stream.abort

    async def read(self) -> bytes:
        """The next data. The client's goodbye closes the connection, and is then b""."""
        while not self._ready:
            data = await self._stream.read()
            if not data or not await self._understand(data):
                return b""
        return self._ready.popleft()

    async def _understand(self, data: bytes) -> bool:
        try:
            received = self._frames.feed(data)
        except InvalidParameterError:
            self._say_goodbye(PROTOCOL_ERROR)
            return False
        for opcode, payload in received:
            if opcode is Opcode.CLOSE:
                self._say_goodbye(NORMAL)
                return False
            if opcode is Opcode.PING:
                await self._stream.write(encode_message(Opcode.PONG, payload))
            elif opcode is not Opcode.PONG:
                self._ready.append(payload)
        return True

    async def write(self, data: bytes) -> None:
        """One message, waiting while the client is slow. Raises ConnectionResetError when nobody listens."""
        text = data if self._kind is Opcode.BINARY else data.decode("utf-8", "replace").encode()
        await self._stream.write(encode_message(self._kind, text))

    def write_eof(self) -> None:
        """Say goodbye: nothing follows."""
        self._say_goodbye(NORMAL)

    def _say_goodbye(self, code: int) -> None:
        if not self._said_goodbye:
            self._said_goodbye = True
            self._stream.send(encode_close(code))
        self._stream.close()


def websocket_hijack(
    call: Call, open_stream: Open, *, detach: DetachFilter | None, before: AsyncIterator[bytes] | None
) -> Hijack:
    """The answer to a client's handshake; ``open_stream`` and ``before`` give bytes as the process wrote them.

    Raises InvalidParameterError for what is no handshake, ForbiddenError for another site's page.
    """
    headers = call.request.headers
    accepted = check_handshake(headers)
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accepted}", *(f"{name}: {value}" for name, value in COMMON_HEADERS)]
    kind = Opcode.BINARY if call.profile.binary_websockets else Opcode.TEXT

    async def run(stream: Stream) -> None:
        client = WebSocketClient(stream, kind)
        try:
            await connect_process(client, open_stream, True, detach, before)
            client.write_eof()
        except ConnectionResetError:
            client.abort()

    return Hijack("\r\n".join(lines).encode() + b"\r\n\r\n", run)


def check_handshake(headers: Headers) -> str:
    """The proof that the server answers with. Raises InvalidParameterError, ForbiddenError."""
    if "websocket" not in headers.tokens("upgrade") or "upgrade" not in headers.tokens("connection"):
        raise InvalidParameterError("not a WebSocket handshake: Upgrade: websocket and Connection: Upgrade are needed")
    if headers.get("sec-websocket-version") != VERSION:
        raise InvalidParameterError(f"unsupported Sec-WebSocket-Version: version {VERSION} is needed")
    origin, host = headers.get("origin"), headers.get("host")
    if origin is not None and urlsplit(origin).netloc != host:
        raise ForbiddenError(f"a page of {origin} may not open a WebSocket here")
    return accept_key(headers.get("sec-websocket-key") or "")
