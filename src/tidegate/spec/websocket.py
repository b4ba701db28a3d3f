"""WebSocket frames of a server (RFC 6455): the handshake's proof, frames out of a client's bytes, frames for a client.

- A client's frames are masked; one that is not, or that breaks the framing, is an error that ends the connection.
- Data is passed on as it comes: messages have no meaning here, so that no length of a message costs memory.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from tidegate.base.errors import InvalidParameterError

VERSION = "13"
NORMAL, GOING_AWAY, PROTOCOL_ERROR = 1000, 1001, 1002
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST_CONTROL_BYTES = 125


class Opcode(IntEnum):
    """Section 5.2."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Received(NamedTuple):
    """Data, as much as has come, or a whole control frame."""

    opcode: Opcode
    payload: bytes


def accept_key(key: str) -> str:
    """``Sec-WebSocket-Accept`` for a client's key. Raises InvalidParameterError for what is not 16 bytes in base64."""
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        raise InvalidParameterError("invalid Sec-WebSocket-Key header")
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def encode_message(opcode: Opcode, payload: bytes) -> bytes:
    """A whole message in one unmasked frame."""
    size = len(payload)
    if size < 126:
        return struct.pack(">BB", 0x80 | opcode, size) + payload
    if size < 1 << 16:
        return struct.pack(">BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack(">BBQ", 0x80 | opcode, 127, size) + payload


def encode_close(code: int) -> bytes:
    """The frame that says goodbye."""
    return encode_message(Opcode.CLOSE, struct.pack(">H", code))


class FrameReader:
    """A client's frames out of chunks cut anywhere; holds at most a header or a control frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode = Opcode.CONTINUATION
        self._left = 0
        self._mask = b"\0\0\0\0"
        self._in_message = False

    def feed(self, data: bytes) -> Sequence[Received]:
        """What ``data`` completes. Raises InvalidParameterError."""
        self._buffer += data
        found = []
        while self._left or self._read_header():
            if self._opcode >= Opcode.CLOSE:
                if len(self._buffer) < self._left:
                    break
            elif not self._buffer and self._left:
                break
            payload = self._take(min(self._left, len(self._buffer)))
            if payload or self._opcode >= Opcode.CLOSE:
                found.append(Received(self._opcode, payload))
        return found

    def _read_header(self) -> bool:
        if len(self._buffer) < 2:
            return False
        first, second = self._buffer[0], self._buffer[1]
        size, header_bytes = second & 0x7F, 6
        if size >= 126:
            header_bytes = 8 if size == 126 else 14
        if len(self._buffer) < header_bytes:
            return False
        if size >= 126:
            size = int.from_bytes(self._buffer[2 : header_bytes - 4], "big")
        self._begin(first, second, size)
        self._mask = bytes(self._buffer[header_bytes - 4 : header_bytes])
        del self._buffer[:header_bytes]
        return True

    def _begin(self, first: int, second: int, size: int) -> None:
        final, number = first & 0x80, first & 0x0F
        if first & 0x70 or not second & 0x80 or size >= 1 << 63 or number not in set(Opcode):
            raise InvalidParameterError("malformed WebSocket frame")
        self._opcode, self._left = Opcode(number), size
        if self._opcode >= Opcode.CLOSE:
            if not final or size > _LONGEST_CONTROL_BYTES:
                raise InvalidParameterError("malformed WebSocket control frame")
            return
        if (self._opcode is Opcode.CONTINUATION) is not self._in_message:
            raise InvalidParameterError("a WebSocket message within a message")
        self._in_message = not final

    def _take(self, size: int) -> bytes:
        masked = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._left -= size
        pattern = self._mask * (size // 4 + 1)
        self._mask = self._mask[size % 4 :] + self._mask[: size % 4]
        plain = int.from_bytes(masked, "big") ^ int.from_bytes(pattern[:size], "big")
        return plain.to_bytes(size, "big")
