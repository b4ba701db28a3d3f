"""Streams of processes on a connection that was taken over: attach and exec.

- The answer is ``101`` when the client asked to upgrade, else ``200`` without a length (docker-py).
- Reading EOF from the client is a half-close, never a detach; the detach keys are, and end this client's view only.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from tidegate.api.pipeline import COMMON_HEADERS, Call
from tidegate.base.errors import InvalidParameterError, TidegateError
from tidegate.engine.ports import AttachStream
from tidegate.http.hijack import Hijack, Stream
from tidegate.spec.frames import FrameDecoder, encode_frame
from tidegate.spec.frames import Stream as StreamNumber

DEFAULT_DETACH_KEYS = b"\x10\x11"  # ctrl-p, ctrl-q
LEFT_INPUT_TIMEOUT_S = 10.0
HEAD_TIMEOUT_S = 1.0
_CONTROL_KEY = re.compile(r"ctrl-([a-z@\[\\\]^_])")


def parse_detach_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` as bytes. Raises InvalidParameterError."""
    if not text:
        return DEFAULT_DETACH_KEYS
    keys = bytearray()
    for key in text.split(","):
        found = _CONTROL_KEY.fullmatch(key)
        if found:
            keys.append(ord(found[1].upper()) & 0x1F)
        elif len(key) == 1 and key.isascii():
            keys.append(ord(key))
        else:
            raise InvalidParameterError(f"Invalid detach keys ({text}): unknown character: '{key}'")
    return bytes(keys)


class DetachFilter:
    """Finds the detach keys in what a client types, across reads; holds back a beginning of them.

    ``on_detach`` is called when they are complete.
    """

    def __init__(self, keys: bytes, on_detach: Callable[[], None]) -> None:
        self._keys = keys
        self._on_detach = on_detach
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what to pass on, whether the keys were complete)."""
        data = self._held + data
        self._held = b""
        found = data.find(self._keys)
        if found >= 0:
            self._on_detach()
            return data[:found], True
        for size in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:size]):
                self._held = data[-size:]
                return data[:-size], False
        return data, False


class Reframed:
    """A process's streams in the framing that the client asks for, where that is not what the process's terminal asks.

    ``exec start`` says ``Tty`` by itself, and docker-py says it there only if it is told twice.
    """

    def __init__(self, stream: AttachStream, *, framed: bool) -> None:
        self._stream, self._framed = stream, framed
        self._decoder = FrameDecoder()
        self.write, self.close_stdin, self.close = stream.write, stream.close_stdin, stream.close

    async def read(self) -> bytes:
        while data := await self._stream.read():
            if self._framed:
                return encode_frame(StreamNumber.STDOUT, data)
            if payload := b"".join(frame.payload for frame in self._decoder.feed(data)):
                return payload
        return b""


class EndedStream:
    """The stream of a client that wants recorded output only: nothing comes, and nothing is taken."""

    async def read(self) -> bytes:
        return b""

    async def write(self, data: bytes) -> None:
        raise BrokenPipeError

    async def close_stdin(self) -> None:
        """There is none."""

    async def close(self) -> None:
        """Nothing is open."""


class ClientStream(Protocol):
    """A client's side of a connection that was taken over; see ``http.hijack.Stream``."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def wait_read(self, limit_s: float) -> None: ...
    async def wait_closed(self) -> None: ...
    def write_eof(self) -> None: ...


Open = Callable[[], Awaitable[AttachStream]]


def process_hijack(
    call: Call, open_stream: Open, *, tty: bool, detach: DetachFilter | None, before: AsyncIterator[bytes] | None = None
) -> Hijack:
    """The answer that connects the client and the process; ``before`` is sent first (recorded output).

    ``open_stream`` is called when the head is out, so that a failure is told in the stream. docker-py loses output that
    arrives together with the head: an exec starts only then, and output that is there already waits for the client.
    """
    multiplexed = not tty and call.profile.multiplexed_content_type
    kind = "multiplexed-stream" if multiplexed else "raw-stream"
    headers = [f"{name}: {value}" for name, value in COMMON_HEADERS]
    content_type = f"Content-Type: application/vnd.docker.{kind}"
    if call.request.headers.get("upgrade"):
        lines = ["HTTP/1.1 101 UPGRADED", content_type, "Connection: Upgrade", "Upgrade: tcp", *headers]
    else:
        lines = ["HTTP/1.1 200 OK", content_type, *headers]

    async def run(client: Stream) -> None:
        try:
            await connect_process(client, open_stream, tty, detach, before)
        except ConnectionResetError:
            client.abort()

    return Hijack("\r\n".join(lines).encode() + b"\r\n\r\n", run)


async def connect_process(
    client: ClientStream, open_stream: Open, tty: bool, detach: DetachFilter | None, before: AsyncIterator[bytes] | None
) -> None:
    """Until one of them ends it. Raises ConnectionResetError when the client is gone."""
    try:
        stream = await open_stream()
    except TidegateError as error:
        text = f"{error.message}\r\n".encode()
        await client.write(text if tty else encode_frame(StreamNumber.STDOUT, text))
        return
    try:
        await client.wait_read(HEAD_TIMEOUT_S)
        if before is not None:
            async for data in before:
                await client.write(data)
        await _carry(client, stream, detach, tty=tty)
    finally:
        await stream.close()


async def _carry(client: ClientStream, process: AttachStream, detach: DetachFilter | None, *, tty: bool) -> None:
    """Until the output ends, the client detaches, or it is gone and the process has what it had typed."""
    typing = asyncio.create_task(_pump_input(client, process, detach), name="attach-input")
    showing = asyncio.create_task(_pump_output(process, client, tty=tty), name="attach-output")
    gone = asyncio.create_task(client.wait_closed(), name="attach-client-gone")
    pending = {typing, showing, gone}
    try:
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if typing in done and typing.result():
                return
            if showing in done and showing.exception() is None:
                return
            if done - {typing}:  # nobody is there to show it to
                await asyncio.wait({typing}, timeout=LEFT_INPUT_TIMEOUT_S)
                return
    finally:
        for task in (typing, showing, gone):
            task.cancel()
        await asyncio.gather(typing, showing, gone, return_exceptions=True)


async def _pump_input(client: ClientStream, process: AttachStream, detach: DetachFilter | None) -> bool:
    """Whether the client detached; a half-close, or a process that reads no more, ends nothing."""
    try:
        while data := await client.read():
            detached = False
            if detach is not None:
                data, detached = detach.feed(data)
            if data:
                await process.write(data)
            if detached:
                return True
        await process.close_stdin()
    except (BrokenPipeError, ConnectionResetError):
        await process.close_stdin()
    return False


async def _pump_output(process: AttachStream, client: ClientStream, *, tty: bool) -> None:
    """What is missing in the output is told as an error, which makes the docker CLI fail, and not as its end."""
    try:
        while data := await process.read():
            await client.write(data)
    except TidegateError as error:
        text = error.message.encode()
        await client.write(b"\r\n" + text + b"\r\n" if tty else encode_frame(StreamNumber.SYSTEM_ERROR, text))
    client.write_eof()
