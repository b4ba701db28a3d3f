"""Server-side TLS on ``ssl.MemoryBIO``: the loops' own ``ssl=`` cannot half-close, and Docker's streams need it.

- ``write_eof`` sends close_notify and leaves the other direction open; the peer's close_notify is an EOF, no more.
- A FIN without close_notify is a cut connection; a FIN after it means that the peer has gone (``note_hangup``).
- Tickets are off (``OP_NO_TICKET``, ``num_tickets``): a resumed session would skip a revocation list loaded meanwhile.
- Plain HTTP on the port is drained and told so, as Go's server does; a failed handshake still delivers its alert.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

import msgspec

from tidegate.http.connection import Connection, unread_input

_RECORD_BYTES = 16 * 1024  # SSL_read(3) returns at most one record
_LINGER_S = 2.0
_LINGER_BYTES = 256 * 1024
_PLAIN_HTTP_ANSWER = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"Client sent an HTTP request to an HTTPS server.\n"
)


class TLSListener(msgspec.Struct, frozen=True):
    """How a listener speaks TLS. ``context`` is asked for each connection, so that reloading needs no restart.

    ``on_failure`` hears of each failed handshake: the peer's address (as of the socket) and the reason. ``on_success``
    hears of the others.
    """

    context: Callable[[], ssl.SSLContext]
    handshake_timeout_s: float = 10.0
    on_failure: Callable[[object, str], None] | None = None
    on_success: Callable[[], None] | None = None


class TLSTransport(asyncio.Transport):
    """What the connection above sees: plaintext in, and half-close by close_notify."""

    def __init__(self, protocol: "TLSProtocol") -> None:
        super().__init__()
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._protocol.send(data)

    def write_eof(self) -> None:
        self._protocol.send_close_notify()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self._protocol.send_close_notify()
        self._protocol.raw.close()

    def abort(self) -> None:
        self._protocol.raw.abort()

    def is_closing(self) -> bool:
        return self._protocol.raw.is_closing()

    def pause_reading(self) -> None:
        self._protocol.raw.pause_reading()

    def resume_reading(self) -> None:
        self._protocol.raw.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the raw transport, with ``ssl_object``, ``peer_certificate`` (DER) and ``peer_subject``."""
        if name == "ssl_object":
            return self._protocol.tls
        if name == "peer_certificate":
            return self._protocol.tls.getpeercert(binary_form=True)
        if name == "peer_subject":
            return self._protocol.tls.getpeercert()
        return self._protocol.raw.get_extra_info(name, default)


class TLSProtocol(asyncio.Protocol):
    """The protocol of the raw transport; ``connection`` is made when the handshake is done."""

    raw: asyncio.Transport

    def __init__(self, connection: Connection, listener: TLSListener) -> None:
        self._connection = connection
        self._listener = listener
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = listener.context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._first = True
        self._established = False
        self._peer_finished = False
        self._finished = False
        self._lingering: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.raw = cast(asyncio.Transport, transport)  # uvloop's transports have the shape, not the base
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._listener.handshake_timeout_s, self._handshake_expired)

    def data_received(self, data: bytes) -> None:
        if self._lingering is not None:
            self._drop(len(data))
            return
        if self._first and data:
            self._first = False
            if 0x41 <= data[0] <= 0x5A:  # a method's capital letter; TLS records begin with 0x14..0x18
                self._report("plain HTTP on a TLS port")
                self.raw.write(_PLAIN_HTTP_ANSWER)
                self._linger()
                return
        if self._peer_finished:
            return  # nothing counts after close_notify
        self._incoming.write(data)
        if self._established or self._handshake():
            self._decrypt()

    def eof_received(self) -> bool:
        if not self._established or not self._peer_finished or self._lingering is not None:
            self.raw.abort() if self._established else self.raw.close()
            return False
        self._connection.note_hangup()
        return False

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        if self._established:
            if exc is not None and not self._peer_finished and (unread := unread_input(self.raw)):
                self._incoming.write(unread)
                self._decrypt()
            self._connection.connection_lost(None)  # without the reason: what the socket holds is not its to read

    def send(self, data: bytes | bytearray | memoryview) -> None:
        if self._finished:
            raise ConnectionResetError("written after the end of the stream")
        if data:
            self.tls.write(data)
            self._flush()

    def send_close_notify(self) -> None:
        if self._finished or self.raw.is_closing():
            return
        self._finished = True
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass  # ours is out, theirs is still to come
        except ssl.SSLError:
            self.raw.abort()
            return
        self._flush()

    def _handshake(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()
            self._report(str(error.reason or error))
            self._linger()
            return False
        self._flush()
        self._cancel_timer()
        self._established = True
        if self._listener.on_success is not None:
            self._listener.on_success()
        self._connection.connection_made(TLSTransport(self))
        return True

    def _decrypt(self) -> None:
        try:
            while self._incoming.pending or self.tls.pending():
                data = self.tls.read(_RECORD_BYTES)
                if not data:
                    raise ssl.SSLZeroReturnError
                self._connection.data_received(data)
            self._flush()  # a key update may want an answer
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLZeroReturnError:
            self._peer_finished = True
            self._connection.eof_received()
        except ssl.SSLError:
            self._flush()
            self.raw.abort()

    def _flush(self) -> None:
        if self._outgoing.pending and not self.raw.is_closing():
            self.raw.write(self._outgoing.read())

    def _handshake_expired(self) -> None:
        self._report("handshake timeout")
        self.raw.abort()

    def _report(self, reason: str) -> None:
        if self._listener.on_failure is not None:
            self._listener.on_failure(self.raw.get_extra_info("peername"), reason)

    def _linger(self) -> None:
        """Finish writing and drop input for a while: closing on unread input would reset what was just written."""
        self._lingering = 0
        self._cancel_timer()
        self.raw.write_eof()
        self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self.raw.abort)

    def _drop(self, size_bytes: int) -> None:
        self._lingering = (self._lingering or 0) + size_bytes
        if self._lingering > _LINGER_BYTES:
            self.raw.abort()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
