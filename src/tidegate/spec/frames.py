"""Docker's framing of output streams ("stdcopy"): what attach, logs and exec send when there is no terminal.

A frame is an 8-byte header, ``[stream, 0, 0, 0, length]`` with a big-endian 32-bit length, and its payload.

Specification: operation ContainerAttach, "Stream format".
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from tidegate.base.errors import InvalidParameterError

HEADER_BYTES = 8
MAX_PAYLOAD_BYTES = 2**32 - 1

_HEADER = struct.Struct(">B3xI")


class Stream(IntEnum):
    """The first byte of a header; SYSTEM_ERROR carries text of the engine's own."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    SYSTEM_ERROR = 3


class Frame(NamedTuple):
    """One frame."""

    stream: Stream
    payload: bytes


def encode_header(stream: Stream, length: int) -> bytes:
    """Raises ValueError for a length that has no header."""
    if not 0 <= length <= MAX_PAYLOAD_BYTES:
        raise ValueError("a frame's payload is at most 4 GiB")
    return _HEADER.pack(stream, length)


def encode_frame(stream: Stream, payload: bytes) -> bytes:
    """A header and its payload."""
    return encode_header(stream, len(payload)) + payload


def decode_header(header: bytes) -> tuple[Stream, int]:
    """Stream and payload length. Raises InvalidParameterError."""
    if len(header) != HEADER_BYTES or header[0] > Stream.SYSTEM_ERROR or header[1:4] != b"\0\0\0":
        raise InvalidParameterError(f"Unrecognized input header: {header[:1].hex()}")
    kind, length = _HEADER.unpack(header)
    return Stream(kind), length


class FrameDecoder:
    """Frames out of chunks cut anywhere; holds at most one unfinished frame of ``max_payload_bytes``."""

    def __init__(self, max_payload_bytes: int = 16 * 1024 * 1024) -> None:
        self._buffer = bytearray()
        self._max_payload_bytes = max_payload_bytes

    def feed(self, chunk: bytes) -> Sequence[Frame]:
        """The frames that ``chunk`` completes. Raises InvalidParameterError."""
        self._buffer += chunk
        frames = []
        while len(self._buffer) >= HEADER_BYTES:
            stream, length = decode_header(bytes(self._buffer[:HEADER_BYTES]))
            if length > self._max_payload_bytes:
                raise InvalidParameterError(f"a frame of {length} bytes is too long")
            if len(self._buffer) < HEADER_BYTES + length:
                break
            payload = bytes(self._buffer[HEADER_BYTES : HEADER_BYTES + length])
            del self._buffer[: HEADER_BYTES + length]
            frames.append(Frame(stream, payload))
        return frames

    @property
    def pending_bytes(self) -> int:
        """Bytes of an unfinished frame; not zero at the end of a stream means it was cut."""
        return len(self._buffer)
