"""The server, spoken to in raw bytes over a unix socket."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime

import pytest
from http_harness import LOOPS, LoopFactory, Pair, exchange, run, serving, serving_at

from tidegate.http.hijack import Hijack, Stream
from tidegate.http.limits import Limits
from tidegate.http.messages import Request, Response
from tidegate.http.server import Handler

HOST = b"Host: docker\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


async def echo(request: Request) -> Response:
    body = await request.read_all(1 << 20)
    return Response(200, [], f"{request.method} {request.target} ".encode() + body)


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"ab", b"", b"cde"):
        yield piece


async def stream(request: Request) -> Response:
    return Response(200, [("X-A", "1")], pieces())


@pytest.mark.parametrize("loop", LOOPS)
def test_pipelined_requests_are_answered_in_order(loop: LoopFactory) -> None:
    async def main() -> bytes:
        post = b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nxyz"
        chunked = b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nT: v\r\n\r\n"
        async with serving(echo) as connect:
            return await exchange(connect, post + chunked + GET)

    answer = run(main(), loop)
    assert [part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"POST /b xyz",
        b"POST /c hi",
        b"GET / ",
    ]


@pytest.mark.parametrize("loop", LOOPS)
def test_streamed_response_is_chunked(loop: LoopFactory) -> None:
    async def main() -> bytes:
        async with serving(stream) as connect:
            return await exchange(connect, GET)

    head, _, body = run(main(), loop).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("stated", "body"),
    [(5, b"abcde"), (4, b""), (6, b""), (100_000, b"abcde")],
    ids=["as stated", "longer", "shorter", "much shorter"],
)
def test_a_stated_length_is_kept_or_the_answer_is_cut(stated: int, body: bytes) -> None:
    """Nothing follows what was stated: the next answer begins there. A short body goes out when it is whole."""

    async def handler(request: Request) -> Response:
        return Response(200, [("Content-Length", str(stated))], pieces())

    async def main() -> bytes:
        async with serving(handler) as connect:
            reader, writer = await connect()
            writer.write(GET)
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < 5 and (data := await reader.read(4096)):
                received += data
            writer.close()
            return received

    assert run(main()).partition(b"\r\n\r\n")[2] == body


def test_tls_on_a_plain_port_is_answered_in_http_at_once() -> None:
    """Or the docker CLI hangs until the header times out."""

    async def main() -> bytes:
        async with serving(echo) as connect:
            hello = ssl.MemoryBIO()
            client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="docker")
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            return await asyncio.wait_for(exchange(connect, hello.read()), 2)

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"client sent a TLS handshake to a port that speaks plain HTTP" in answer


def test_an_answer_has_one_date() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [("Date", "yesterday")] if request.target == "/dated" else [], b"x")

    async def main() -> tuple[bytes, bytes]:
        async with serving(handler) as connect:
            return await exchange(connect, GET), await exchange(connect, GET.replace(b" / ", b" /dated "))

    ours, theirs = (answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n") for answer in run(main()))
    (date,) = (line.removeprefix(b"date: ") for line in ours if line.startswith(b"date:"))
    assert abs(parsedate_to_datetime(date.decode()).timestamp() - time.time()) < 60
    assert [line for line in theirs if line.startswith(b"date:")] == [b"date: yesterday"]


def test_http_1_0_streams_until_close_and_head_has_no_body() -> None:
    async def main() -> tuple[bytes, bytes]:
        async with serving(stream) as connect:
            old = await exchange(connect, b"GET / HTTP/1.0\r\n\r\n")
            return old, await exchange(connect, GET.replace(b"GET", b"HEAD"))

    old, head = run(main())
    assert old.endswith(b"Connection: close\r\n\r\nabcde")
    assert head.endswith(b"Transfer-Encoding: chunked\r\n\r\n")


REFUSED = [
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40000, 431),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nshort", 400),
    (b"GARBAGE\r\n\r\n", 400),
]


@pytest.mark.parametrize(("data", "status"), REFUSED)
def test_what_parsers_could_read_differently_is_refused(data: bytes, status: int) -> None:
    async def main() -> bytes:
        async with serving(echo) as connect:
            return await exchange(connect, data + GET)

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answer


def test_http_2_preface_is_refused() -> None:
    async def main() -> bytes:
        async with serving(echo) as connect:
            return await exchange(connect, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert run(main())[9:12] in {b"400", b"505"}


def test_slow_head_is_answered_408_and_idle_is_closed() -> None:
    async def main() -> tuple[bytes, bytes]:
        async with serving(echo, Limits(header_timeout_s=0.02, idle_timeout_s=0.02)) as connect:
            reader, writer = await connect()
            writer.write(b"GET / HT")
            slow = await reader.read()
            writer.close()
            reader, writer = await connect()
            idle = await reader.read()
            writer.close()
            return slow, idle

    slow, idle = run(main())
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert idle == b""


POST = b"POST / HTTP/1.1\r\n" + HOST


async def upload(request: Request) -> Response:
    size = 0
    async for data in request.body:
        size += len(data)
    return Response(200, [], b"%d" % size)


async def trickle(connect: Callable[[], Awaitable[Pair]], head: bytes, pieces: int) -> bytes:
    """Send the head, then a byte of the body every 20 ms; the whole answer."""
    reader, writer = await connect()
    writer.write(head)
    for _ in range(pieces):
        await asyncio.sleep(0.02)
        writer.write(b"1\r\n{\r\n" if b"chunked" in head else b"{")
    if pieces and b"chunked" in head:
        writer.write(b"0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
@pytest.mark.parametrize("handler", [echo, upload])
def test_a_body_that_stalls_is_answered_408(framing: bytes, handler: Handler) -> None:
    async def main() -> bytes:
        async with serving(handler, Limits(stall_timeout_s=0.02)) as connect:
            return await trickle(connect, POST + framing, 0)

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b'{"message": "the request\'s body took too long"}\n')


def test_an_upload_may_take_its_time_and_a_document_may_not() -> None:
    async def main(handler: Handler) -> bytes:
        async with serving(handler, Limits(stall_timeout_s=5, document_timeout_s=0.1)) as connect:
            head = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            return await trickle(connect, head, 15)

    assert run(main(upload)).endswith(b"\r\n\r\n15")
    assert run(main(echo)).startswith(b"HTTP/1.1 408 ")


def test_continue_is_sent_when_the_body_is_wanted() -> None:
    async def main() -> tuple[bytes, bytes]:
        async with serving(echo) as connect:
            reader, writer = await connect()
            writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            first = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"ok")
            writer.write_eof()
            answer = first, await reader.read()
            writer.close()
            return answer

    first, rest = run(main())
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.endswith(b"POST / ok")


def test_handler_failure_is_500_and_a_begun_stream_is_cut() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise RuntimeError("broken")

    async def handler(request: Request) -> Response:
        if request.target == "/stream":
            return Response(200, [], broken())
        raise RuntimeError("bug")

    async def main() -> tuple[bytes, bytes]:
        async with serving(handler) as connect:
            failed = await exchange(connect, GET)
            reader, writer = await connect()
            writer.write(GET.replace(b"/ ", b"/stream "))
            cut = b""
            try:
                while data := await reader.read(100):
                    cut += data
            except ConnectionResetError:
                pass
            writer.close()
            return failed, cut

    failed, cut = run(main())
    assert failed.startswith(b"HTTP/1.1 500 ")
    assert b"0\r\n\r\n" not in cut


@pytest.mark.parametrize("loop", LOOPS)
def test_full_close_cancels_the_handler(loop: LoopFactory) -> None:
    async def main() -> None:
        entered, cancelled = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return Response()

        async with serving(handler) as connect:
            _, writer = await connect()
            writer.write(GET)
            await entered.wait()
            writer.close()
            await cancelled.wait()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("upgrade", [b"Connection: Upgrade\r\nUpgrade: tcp\r\n", b""])
def test_hijack_keeps_early_bytes_and_the_other_half(loop: LoopFactory, upgrade: bytes) -> None:
    async def cat(raw: Stream) -> None:
        received = b""
        while data := await raw.read():
            received += data
        await raw.write(received.upper())
        raw.write_eof()

    async def handler(request: Request) -> Hijack:
        assert await request.read_all(10) == b"{}"
        return Hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n", cat)

    async def main() -> bytes:
        async with serving(handler) as connect:
            head = b"POST /exec HTTP/1.1\r\n" + HOST + upgrade + b"Content-Length: 2\r\n\r\n{}"
            return await exchange(connect, head + b"early GET / HTTP/1.1\r\n\r\n")

    assert run(main(), loop) == b"HTTP/1.1 101 UPGRADED\r\n\r\nEARLY GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("loop", LOOPS)
def test_what_was_held_for_a_take_over_is_let_go_when_the_client_is_gone_before_it(loop: LoopFactory) -> None:
    abandoned: list[bool] = []

    async def shell(_raw: Stream) -> None:
        raise AssertionError

    async def handler(_request: Request) -> Hijack:
        return Hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n", shell, lambda: abandoned.append(True))

    async def main() -> bytes:
        async with serving(handler) as connect:
            return await exchange(connect, b"POST /exec HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\ncut")

    assert b"101" not in run(main(), loop)
    assert abandoned == [True]


@pytest.mark.parametrize("loop", LOOPS)
def test_what_a_client_sent_before_it_left_is_read_after_a_failed_write(loop: LoopFactory) -> None:
    async def main() -> bytes:
        is_over, read = asyncio.Event(), bytearray()
        with socket.socket(socket.AF_UNIX) as client:

            async def shell(raw: Stream) -> None:
                await raw.read()
                client.sendall(b"typed")  # on the loop's own thread, so that nothing is read before the write fails
                client.close()
                with pytest.raises(ConnectionResetError):
                    while True:
                        await raw.write(b"prompt")
                while data := await raw.read():
                    read.extend(data)
                is_over.set()

            async def handler(request: Request) -> Hijack:
                return Hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n", shell)

            async with serving_at(handler) as path:
                client.connect(str(path))
                client.sendall(b"POST /exec HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n.")
                await is_over.wait()
        return bytes(read)

    assert run(main(), loop) == b"typed"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_can_wait_until_the_head_was_read(loop: LoopFactory) -> None:
    async def main() -> tuple[bytes, bytes]:
        is_over = asyncio.Event()
        heard: list[bytes] = []
        with socket.socket(socket.AF_UNIX) as client:

            async def speak(raw: Stream) -> None:
                waiting = asyncio.create_task(raw.wait_read(10))
                await asyncio.wait({waiting}, timeout=0.01)
                assert not waiting.done()
                heard.append(client.recv(4096))
                await waiting
                await raw.write(b"after")
                is_over.set()

            async def handler(request: Request) -> Hijack:
                return Hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n", speak)

            async with serving_at(handler) as path:
                client.connect(str(path))
                client.sendall(b"POST /exec HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                await is_over.wait()
                await asyncio.sleep(0)
            heard.append(client.recv(4096))
        return heard[0], heard[1]

    assert run(main(), loop) == (b"HTTP/1.1 101 UPGRADED\r\n\r\n", b"after")


def test_request_after_a_refused_upgrade_is_still_served() -> None:
    async def main() -> bytes:
        async with serving(echo) as connect:
            upgrade = b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            return await exchange(connect, upgrade + GET)

    answer = run(main())
    assert b"GET /a " in answer
    assert answer.endswith(b"GET / ")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_reader_that_stops_stops_the_producer(loop: LoopFactory) -> None:
    async def main() -> int:
        sent = 0
        blocked = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 65536
                handle = asyncio.get_running_loop().call_later(0.2, blocked.set)
                yield bytes(65536)
                handle.cancel()

        async def handler(request: Request) -> Response:
            return Response(200, [], endless())

        async with serving(handler) as connect:
            _, writer = await connect()
            writer.write(GET)
            await blocked.wait()
            writer.transport.abort()
            return sent

    assert run(main(), loop) < 8 << 20
