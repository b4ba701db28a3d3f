"""Sending a request on to the engine, and carrying both directions of a connection that was taken over.

- Hop-by-hop headers end here (RFC 9110, section 7.6.1); framing is made anew from what was parsed, never copied.
- After a take-over a half-close on one side becomes a half-close on the other, and nothing more.
- Whatever becomes of an answer, its side of the engine is closed, also when nobody has read of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec

from tidegate.base.errors import TidegateError
from tidegate.http.client import ClientResponse, UnixClient
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.messages import REASONS, Request, Response

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "content-length", "expect"}
)
_SWITCHING = 101
LEFT_INPUT_TIMEOUT_S = 10.0


class Sending(msgspec.Struct, frozen=True):
    """A request as it goes to the engine: ``target`` is canonical, ``headers`` have neither framing nor hops in them.

    ``upgrade`` is the protocol that a connection is offered to be taken over for, "" for none.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | AsyncIterator[bytes] | None
    hijack: bool = False
    upgrade: str = ""


def _nobody_asked() -> None:
    """Most answers are over when they are there."""


@dataclass(slots=True)
class Carriage:
    """What one request and its answer have carried so far, in bytes; ``at_end`` is called once, when all is carried.

    ``finished`` says that the engine's side came to its end and the client got all of it, ``broken`` that it broke.
    """

    from_client: int = 0
    from_engine: int = 0
    finished: bool = False
    broken: str = ""
    at_end: Callable[[], None] = _nobody_asked

    def end(self) -> None:
        """Nothing is carried any more. Idempotent."""
        at_end, self.at_end = self.at_end, _nobody_asked
        at_end()


def end_to_end_headers(request: Request) -> list[tuple[str, str]]:
    """What a request's headers say beyond this connection; what ``Connection`` names is of it (RFC 9110, 7.6.1)."""
    dropped = _HOP_BY_HOP | {"upgrade", *request.headers.tokens("connection")}
    return [(name, value) for name, value in request.headers if name not in dropped]


async def forward(client: UnixClient, sending: Sending, carriage: Carriage | None = None) -> Response | Hijack:
    """Ask the engine. Raises UnavailableError when it does not answer."""
    carriage = carriage or Carriage()
    headers = list(sending.headers)
    if sending.hijack and sending.upgrade:
        headers += [("connection", "Upgrade"), ("upgrade", sending.upgrade)]
    body = sending.body
    if body is not None and not isinstance(body, bytes):
        body = _counted(body, carriage)
    answer = await client.request(sending.method, sending.target, headers, body)
    kept = [(name, value) for name, value in answer.headers if name not in _HOP_BY_HOP]
    if answer.status == _SWITCHING:
        return _take_over(answer, "HTTP/1.1 101 UPGRADED", [*kept, ("connection", "Upgrade")], carriage)
    unframed = "content-length" not in answer.headers and "transfer-encoding" not in answer.headers
    if sending.hijack and answer.status == 200 and unframed:
        return _take_over(answer, f"HTTP/1.1 200 {REASONS[200]}", kept, carriage)
    length = answer.headers.get("content-length")
    if length is not None:
        kept.append(("content-length", length))
    return Response(answer.status, kept, AnswerBody(answer, carriage))


async def _counted(body: AsyncIterator[bytes], carriage: Carriage) -> AsyncIterator[bytes]:
    async for data in body:
        carriage.from_client += len(data)
        yield data


class AnswerBody:
    """The engine's answer as it comes. ``aclose`` is owed, and needs no byte to have been read before."""

    def __init__(self, answer: ClientResponse, carriage: Carriage) -> None:
        self._answer = answer
        self._carriage = carriage

    def __aiter__(self) -> "AnswerBody":
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._answer.body.read()
        except TidegateError as error:
            self._carriage.broken = error.message
            raise
        if not data:
            self._carriage.finished = True
            raise StopAsyncIteration
        self._carriage.from_engine += len(data)
        return data

    async def aclose(self) -> None:
        """Let go of the engine. Idempotent."""
        try:
            await self._answer.close()
        finally:
            self._carriage.end()


def _take_over(answer: ClientResponse, status_line: str, headers: list[tuple[str, str]], carriage: Carriage) -> Hijack:
    lines = [status_line, *(f"{name}: {value}" for name, value in headers)]
    engine = answer.detach()

    async def run(client: Stream) -> None:
        try:
            await splice(client, engine, carriage)
        finally:
            carriage.end()

    def abandon() -> None:
        engine.close()
        carriage.end()

    return Hijack("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n", run, abandon)


async def splice(client: Stream, engine: Stream, carriage: Carriage) -> None:
    """Carry bytes both ways until the engine has finished, or the client is gone and all it had sent is passed on."""
    to_engine = asyncio.create_task(_to_engine(client, engine, carriage), name="splice-to-engine")
    to_client = asyncio.create_task(_to_client(engine, client, carriage), name="splice-to-client")
    gone = asyncio.create_task(client.wait_closed(), name="splice-client-gone")
    try:
        await asyncio.wait({to_client, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() or not carriage.finished:
            await asyncio.wait({to_engine}, timeout=LEFT_INPUT_TIMEOUT_S)
    finally:
        for task in (to_engine, to_client, gone):
            task.cancel()
        await asyncio.gather(to_engine, to_client, gone, return_exceptions=True)
        engine.close()
        client.close()


async def _to_engine(client: Stream, engine: Stream, carriage: Carriage) -> None:
    """Until the client has finished, or the engine takes no more."""
    try:
        while data := await client.read():
            carriage.from_client += len(data)
            await engine.write(data)
        engine.write_eof()
    except ConnectionResetError:
        return


async def _to_client(engine: Stream, client: Stream, carriage: Carriage) -> None:
    """Until the engine has finished, or the client is gone."""
    try:
        while data := await engine.read():
            carriage.from_engine += len(data)
            await client.write(data)
        client.write_eof()
    except ConnectionResetError:
        return
    carriage.finished = True
