"""A connection taken over for a process's streams, over a real unix socket."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from tidegate.api.pipeline import Api, Call
from tidegate.api.streams import DetachFilter, Reframed, parse_detach_keys, process_hijack
from tidegate.base.errors import InvalidParameterError, UnavailableError
from tidegate.engine.ports import AttachStream
from tidegate.http.hijack import Hijack
from tidegate.http.server import Server
from tidegate.spec.frames import FrameDecoder, Stream, encode_frame

REQUEST = (
    b"POST /v1.43/exec/1/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
)


class Said:
    """A process's streams that say one thing."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    async def read(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    async def write(self, data: bytes) -> None:
        raise AssertionError(data)

    async def close_stdin(self) -> None:
        raise AssertionError

    async def close(self) -> None:
        self._chunks.clear()


def play(
    path: Path,
    open_process: Callable[[asyncio.Event], Awaitable[AttachStream]],
) -> tuple[bytes, bytes]:
    """(the answer's head, what follows); the event is set when the client has the head."""

    async def story() -> tuple[bytes, bytes]:
        has_head = asyncio.Event()

        async def start(call: Call) -> Hijack:
            return process_hijack(call, lambda: open_process(has_head), tty=False, detach=None)

        server = Server(Api({"ExecStart": start}).handle)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        await server.listen(listener)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        has_head.set()
        rest = await reader.read()
        writer.close()
        await server.close()
        return head, rest

    return asyncio.run(asyncio.wait_for(story(), 20))


def test_the_process_starts_after_the_head_is_out(tmp_path: Path) -> None:
    async def open_process(has_head: asyncio.Event) -> AttachStream:
        await has_head.wait()
        return Said(b"hi")

    head, rest = play(tmp_path / "s", open_process)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest == b"hi"


def test_what_keeps_it_from_starting_is_told_in_its_output(tmp_path: Path) -> None:
    async def open_process(has_head: asyncio.Event) -> AttachStream:
        raise InvalidParameterError("nope")

    head, rest = play(tmp_path / "s", open_process)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest == b"\x01\0\0\0\0\0\0\x06nope\r\n"


def test_an_exec_is_framed_as_its_start_says() -> None:
    async def read(stream: AttachStream) -> list[bytes]:
        pieces = []
        while data := await stream.read():
            pieces.append(data)
        return pieces

    frame = b"\x01\0\0\0\0\0\0\x02hi"
    assert asyncio.run(read(Reframed(Said(b"hi", b"hi"), framed=True))) == [frame, frame]
    cut = Said(frame[:3], frame[3:] + frame, b"\x02\0\0\0\0\0\0\x03err")
    assert asyncio.run(read(Reframed(cut, framed=False))) == [b"hihi", b"err"]


class SlowListener:
    """A process that says nothing and takes its input some turns of the loop later."""

    def __init__(self) -> None:
        self.heard = b""
        self.is_closed = asyncio.Event()

    async def read(self) -> bytes:
        await asyncio.get_running_loop().create_future()
        return b""

    async def write(self, data: bytes) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        self.heard += data

    async def close_stdin(self) -> None:
        """Nothing hangs on it."""

    async def close(self) -> None:
        self.is_closed.set()


def test_what_a_client_typed_before_it_left_reaches_the_process(tmp_path: Path) -> None:
    async def story() -> bytes:
        process = SlowListener()

        async def opened() -> AttachStream:
            return process

        async def start(call: Call) -> Hijack:
            return process_hijack(call, opened, tty=True, detach=None)

        server = Server(Api({"ExecStart": start}).handle)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        await server.listen(listener)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(REQUEST + b"typed")
        await process.is_closed.wait()
        await server.close()
        return process.heard

    assert asyncio.run(asyncio.wait_for(story(), 20)) == b"typed"


class CutShort(Said):
    """A process's streams whose supervisor is killed after the first words."""

    async def read(self) -> bytes:
        return await super().read() or self._break()

    @staticmethod
    def _break() -> bytes:
        raise UnavailableError("output is missing here")


def test_output_that_was_cut_ends_with_an_error(tmp_path: Path) -> None:
    async def opened(_has_head: asyncio.Event) -> AttachStream:
        return CutShort(encode_frame(Stream.STDOUT, b"hello"))

    _, rest = play(tmp_path / "s", opened)
    assert FrameDecoder().feed(rest) == [(Stream.STDOUT, b"hello"), (Stream.SYSTEM_ERROR, b"output is missing here")]


def test_detach_keys_are_found_across_reads_and_told_once() -> None:
    told: list[str] = []
    keys = DetachFilter(parse_detach_keys("ctrl-p,q"), lambda: told.append("detach"))
    assert keys.feed(b"ls\x10") == (b"ls", False)
    assert keys.feed(b"x") == (b"\x10x", False)
    assert keys.feed(b"a\x10") == (b"a", False) and not told
    assert keys.feed(b"qrest") == (b"", True)
    assert told == ["detach"]
