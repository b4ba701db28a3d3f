"""Frames of RFC 6455, with its own examples."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.websocket import FrameReader, Opcode, Received, accept_key, encode_close, encode_message

MASK = bytes.fromhex("37fa213d")


def masked(first: int, payload: bytes, mask: bytes = MASK) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0x80 | 126, size)
    return bytes([first]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def test_the_proof_of_section_1_3() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for key in ("", "short", "dGhlIHNhbXBsZSBub25j", "!" * 24):
        with pytest.raises(InvalidParameterError):
            accept_key(key)


def test_the_examples_of_section_5_7() -> None:
    assert FrameReader().feed(bytes.fromhex("818537fa213d7f9f4d5158")) == [Received(Opcode.TEXT, b"Hello")]
    assert encode_message(Opcode.TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert encode_message(Opcode.BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert encode_message(Opcode.BINARY, bytes(65536))[:10] == bytes.fromhex("827f0000000000010000")
    assert encode_close(1000) == bytes.fromhex("880203e8")


@given(st.lists(st.binary(max_size=300), max_size=5), st.binary(min_size=4, max_size=4), st.integers(1, 50))
def test_data_comes_whole_however_it_is_cut(messages: Sequence[bytes], mask: bytes, step: int) -> None:
    wire = b"".join(masked(0x82, message, mask) for message in messages)
    reader, found = FrameReader(), b""
    for start in range(0, len(wire), step):
        found += b"".join(payload for _, payload in reader.feed(wire[start : start + step]))
    assert found == b"".join(messages)


def test_control_frames_within_a_message() -> None:
    wire = masked(0x02, b"one") + masked(0x89, b"ping") + masked(0x80, b"two") + masked(0x88, b"")
    assert FrameReader().feed(wire) == [
        Received(Opcode.BINARY, b"one"),
        Received(Opcode.PING, b"ping"),
        Received(Opcode.CONTINUATION, b"two"),
        Received(Opcode.CLOSE, b""),
    ]


@pytest.mark.parametrize(
    "wire",
    [
        bytes.fromhex("810548656c6c6f"),  # not masked
        masked(0xC2, b"x"),  # a reserved bit
        masked(0x83, b"x"),  # a reserved opcode
        masked(0x09, b"x"),  # a control frame in pieces
        masked(0x89, bytes(126)),  # a long control frame
        masked(0x80, b"x"),  # a continuation of nothing
        masked(0x02, b"x") + masked(0x82, b"x"),  # a message within a message
    ],
)
def test_what_breaks_the_framing_is_an_error(wire: bytes) -> None:
    with pytest.raises(InvalidParameterError):
        FrameReader().feed(wire)
