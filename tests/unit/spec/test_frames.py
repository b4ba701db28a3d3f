"""Framing of output streams."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.frames import Frame, FrameDecoder, Stream, decode_header, encode_frame, encode_header


def test_header() -> None:
    assert encode_header(Stream.STDERR, 258) == b"\x02\0\0\0\0\0\x01\x02"
    assert decode_header(b"\x02\0\0\0\0\0\x01\x02") == (Stream.STDERR, 258)
    with pytest.raises(ValueError, match="4 GiB"):
        encode_header(Stream.STDOUT, 2**32)


@pytest.mark.parametrize("header", [b"", b"\x04" + bytes(7), b"\x01\x01" + bytes(6), bytes(9)])
def test_bad_header(header: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="Unrecognized input header"):
        decode_header(header)


def test_frames_cut_anywhere() -> None:
    frames = [Frame(Stream.STDOUT, b"one"), Frame(Stream.STDERR, b""), Frame(Stream.STDOUT, b"x" * 300)]
    wire = b"".join(encode_frame(*frame) for frame in frames)
    for size in (1, 2, 7, 8, 9, len(wire)):
        decoder = FrameDecoder()
        cut = [wire[i : i + size] for i in range(0, len(wire), size)]
        assert [frame for chunk in cut for frame in decoder.feed(chunk)] == frames
        assert decoder.pending_bytes == 0


def test_a_long_frame_is_refused_before_it_is_held() -> None:
    with pytest.raises(InvalidParameterError, match="too long"):
        list(FrameDecoder(10).feed(encode_header(Stream.STDOUT, 11)))
