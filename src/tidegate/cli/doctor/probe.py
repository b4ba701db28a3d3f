"""What answers at a TCP address to a stranger: a plaintext ``GET /_ping``, then TLS without a certificate.

Nothing else is asked, and an answer is read up to a few kilobytes.
"""

import contextlib
import socket
import ssl
from enum import Enum

TIMEOUT_S = 2.0
_MOST_BYTES = 16 * 1024
_REQUEST = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: tidegate-doctor\r\nConnection: close\r\n\r\n"
_MARKS = (b"\napi-version:", b"\ndocker-experimental:", b"\nlibpod-api-version:", b"\nserver: docker/")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_TLS_RECORDS = (b"\x15", b"\x16")


class Answer(Enum):
    """What a stranger gets."""

    PLAIN_API = "the Docker API, without TLS"
    OPEN_TLS_API = "the Docker API, over TLS without a client certificate"
    LOCKED = "TLS that wants a client certificate"
    OTHER = "something that is no Docker API"
    NOTHING = "no answer"


def probe(address: str, port: int, timeout_s: float = TIMEOUT_S) -> Answer:
    """Ask as a stranger would. Never raises: what cannot be reached does not answer."""
    plain = _exchange(address, port, timeout_s)
    if plain is None:
        return Answer.NOTHING
    if _is_api(plain):
        return Answer.PLAIN_API
    speaks_tls = plain[:1] in _TLS_RECORDS or b"HTTP request to an HTTPS server" in plain or not plain
    return _probe_tls(address, port, timeout_s) if speaks_tls else Answer.OTHER


def _probe_tls(address: str, port: int, timeout_s: float) -> Answer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who it is does not matter here: it is asked what it lets a stranger do
    try:
        with (
            socket.create_connection((address, port), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=None) as stream,
        ):
            stream.sendall(_REQUEST)
            answer = _read(stream)
    except ssl.SSLError as error:
        return Answer.OTHER if error.reason in _NO_TLS else Answer.LOCKED
    except OSError:
        return Answer.LOCKED  # a handshake that was cut off is one that was refused
    if answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 403", b"HTTP/1.0 401", b"HTTP/1.0 403")) or not answer:
        return Answer.LOCKED
    return Answer.OPEN_TLS_API if _is_api(answer) else Answer.OTHER


def _exchange(address: str, port: int, timeout_s: float) -> bytes | None:
    """The answer to a plaintext ping; b"" when the connection was cut or nothing came; None when there is none."""
    try:
        connection = socket.create_connection((address, port), timeout_s)
    except OSError:
        return None
    with connection, contextlib.suppress(OSError):
        connection.sendall(_REQUEST)
        return _read(connection)
    return b""


def _read(connection: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(TimeoutError):  # what has come by then is the answer
        while len(answer) < _MOST_BYTES and (data := connection.recv(4096)):
            answer += data
            if b"\r\n\r\n" in answer:
                break
    return answer


def _is_api(answer: bytes) -> bool:
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return answer.startswith(b"HTTP/1.") and any(mark in head for mark in _MARKS)
