"""A netlink socket and the packing of its messages (netlink(7), rtnetlink(7)).

What the messages say about links, addresses and routes is in ``links``.

- A socket belongs to the network namespace of the thread that made it, for ever, whichever thread uses it afterwards.
- A socket is used by one thread at a time; a request is answered before the next is sent.
- A refusal is an OSError with the kernel's errno and, where it gives one, its explanation (extended ack).
"""

import os
import socket
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLA_F_NESTED = 0x8000
NETLINK_ROUTE = 0

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x100, 0x200
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
_RECEIVE_BYTES = 1 << 18
_TIMEOUT_S = 10.0


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    size = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(size, kind) + payload + bytes(-size % 4)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, bytes([value]))


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def parse_attributes(payload: bytes) -> dict[int, bytes]:
    """Attributes by type, flags taken off the type; a malformed tail is ignored, as the kernel does."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(payload):
        size, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if size < _ATTRIBUTE.size or offset + size > len(payload):
            break
        found[kind & _TYPE_MASK] = payload[offset + _ATTRIBUTE.size : offset + size]
        offset += (size + 3) & ~3
    return found


def pack_message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def parse_messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, body) of each message of a datagram."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, offset)
        if size < _HEADER.size or offset + size > len(datagram):
            break
        yield kind, flags, sequence, datagram[offset + _HEADER.size : offset + size]
        offset += (size + 3) & ~3


def parse_error(flags: int, body: bytes) -> tuple[int, str]:
    """(errno, explanation) of an NLMSG_ERROR; errno 0 is an acknowledgement."""
    number = -struct.unpack_from("=i", body)[0]
    explanation = ""
    if flags & _NLM_F_ACK_TLVS:
        echoed = _HEADER.size if flags & _NLM_F_CAPPED else struct.unpack_from("=I", body, 4)[0]
        message = parse_attributes(body[4 + ((echoed + 3) & ~3) :]).get(_NLMSGERR_ATTR_MSG, b"")
        explanation = message.rstrip(b"\0").decode(errors="replace")
    return number, explanation


class NetlinkSocket:
    """A socket in the calling thread's network namespace; ``family`` is of netlink(7)."""

    def __init__(self, family: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send a request and wait for its acknowledgement."""
        for _ in self._exchange(kind, body, flags | NLM_F_ACK):
            pass

    def query(self, kind: int, body: bytes, flags: int = NLM_F_ACK) -> list[bytes]:
        """The bodies of the answers; ``flags`` is NLM_F_DUMP for all objects of the kind."""
        return list(self._exchange(kind, body, flags))

    def _exchange(self, kind: int, body: bytes, flags: int) -> Iterator[bytes]:
        self._sequence += 1
        self._socket.send(pack_message(kind, flags | NLM_F_REQUEST, self._sequence, body))
        while True:
            for answer, answer_flags, sequence, payload in parse_messages(self._socket.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if answer == _NLMSG_DONE:
                    return
                if answer != _NLMSG_ERROR:
                    yield payload
                    continue
                number, explanation = parse_error(answer_flags, payload)
                if number:
                    raise OSError(number, explanation or os.strerror(number))
                return
