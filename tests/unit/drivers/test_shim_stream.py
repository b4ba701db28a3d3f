"""A client's view of a process's streams: the end is the shim's word, and only that."""

import asyncio
import itertools

import pytest

from tidegate.base.errors import UnavailableError
from tidegate.drivers.shim.stream import SocketStream
from tidegate.shim.protocol import STREAM_END


class Unused(asyncio.Transport):
    """Nothing is written here."""

    def is_closing(self) -> bool:
        return True


@pytest.mark.parametrize("output", [b"", b"hello", STREAM_END, STREAM_END[:5], b"a" + STREAM_END[:-1] + b"b"])
def test_output_is_told_without_its_end_wherever_it_is_cut(output: bytes) -> None:
    whole = output + STREAM_END
    for first, second in itertools.combinations_with_replacement(range(1, len(whole) + 1), 2):
        parts = [part for part in (whole[:first], whole[first:second], whole[second:]) if part]
        assert asyncio.run(feed(parts)) == output


async def feed(parts: list[bytes]) -> bytes:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    stream = SocketStream(reader, asyncio.StreamWriter(Unused(), protocol, reader, asyncio.get_running_loop()))
    reading = asyncio.ensure_future(gather(stream))
    for part in parts:
        reader.feed_data(part)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    reader.feed_eof()
    return await reading


async def gather(stream: SocketStream) -> bytes:
    output = b""
    while data := await stream.read():
        output += data
    assert await stream.read() == b""
    return output


@pytest.mark.parametrize("received", [b"", b"hello", b"hello" + STREAM_END[:-1]])
def test_a_stream_that_was_cut_is_an_error_at_its_end(received: bytes) -> None:
    with pytest.raises(UnavailableError, match="output is missing"):
        asyncio.run(feed([received] if received else []))
