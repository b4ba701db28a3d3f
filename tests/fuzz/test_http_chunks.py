"""Chunked bodies survive any split of the wire; arbitrary heads either parse or are refused, never crash."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.http.body import LAST_CHUNK, WireBody, chunk
from tidegate.http.connection import Connection
from tidegate.http.head import CHUNKED, parse_request_head
from tidegate.http.messages import ProtocolError


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 9))
def test_chunks_are_joined_whatever_the_split(parts: list[bytes], step: int) -> None:
    wire = b"".join(chunk(part) for part in parts) + LAST_CHUNK

    async def main() -> bytes:
        connection = Connection()
        reading = asyncio.create_task(WireBody(connection, CHUNKED, None).read_all(1000))
        for start in range(0, len(wire), step):
            await asyncio.sleep(0)
            connection.data_received(wire[start : start + step])
        return await reading

    assert asyncio.run(main()) == b"".join(parts)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="GETPOS/ :\r\n\t\x00AaHost1.0chunked,;\xff", max_size=120))
def test_heads_parse_or_are_refused(text: str) -> None:
    try:
        head = parse_request_head(text.encode("latin-1") + b"\r\n\r\n", 100)
    except ProtocolError:
        return
    assert head.version in {"1.0", "1.1"}
