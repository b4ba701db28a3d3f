"""The pooled client against the server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from http_harness import LOOPS, LoopFactory, run, serving_at

from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.http.client import UnixClient
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.messages import ProtocolError, Request, Response


async def handler(request: Request) -> Response | Hijack:
    if request.target == "/hijack":
        return Hijack(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nfirst ", cat)
    return Response(200, [], request.body.__aiter__())


async def cat(raw: Stream) -> None:
    while data := await raw.read():
        await raw.write(data)
    raw.write_eof()


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(40):
        yield bytes(100_000)


@pytest.mark.parametrize("loop", LOOPS)
def test_bodies_stream_and_connections_are_reused(loop: LoopFactory) -> None:
    async def main() -> None:
        async with serving_at(handler) as path:
            client = UnixClient(path)
            for _ in range(2):
                async with await client.request("POST", "/", body=pieces()) as response:
                    assert len(await response.read_all(5_000_000)) == 4_000_000
                async with await client.request("POST", "/", body=b"abc") as response:
                    assert await response.read_all(3) == b"abc"
            assert len(client._idle) == 1
            await client.close()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_breaks_is_no_fault_of_the_server(loop: LoopFactory) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ProtocolError("malformed chunk")

    async def slow(request: Request) -> Response:
        return Response(200, [], await request.read_all(100))

    async def main() -> None:
        async with serving_at(slow) as path:
            client = UnixClient(path)
            with pytest.raises(ProtocolError, match="malformed chunk"):
                await client.request("POST", "/", body=broken())

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_upgrade_gives_a_stream_with_half_close(loop: LoopFactory) -> None:
    async def main() -> bytes:
        async with serving_at(handler) as path:
            headers = [("Connection", "Upgrade"), ("Upgrade", "tcp")]
            response = await UnixClient(path).request("POST", "/hijack", headers)
            assert response.status == 101
            stream = response.detach()
            await stream.write(b"hello")
            stream.write_eof()
            received = b""
            while data := await stream.read():
                received += data
            stream.close()
            return received

    assert run(main(), loop) == b"first hello"


def test_absent_server_and_injection() -> None:
    async def main() -> None:
        client = UnixClient(Path("/nonexistent/socket"))
        with pytest.raises(UnavailableError):
            await client.request("GET", "/")
        with pytest.raises(InvalidParameterError):
            await client.request("GET", "/", [("X", "a\r\nY: b")])

    run(main())
