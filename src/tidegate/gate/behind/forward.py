"""Sending a request on to the engine, and carrying both directions of a connection that was taken over.

- Hop-by-hop headers end here (RFC 9110, section 7.6.1); framing is made anew from what was parsed, never copied.
- After a take-over a half-close on one side becomes a half-close on the other, and nothing more.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec

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


def end_to_end_headers(request: Request) -> list[tuple[str, str]]:
    """What a request's headers say beyond this connection; what ``Connection`` names is of it (RFC 9110, 7.6.1)."""
    dropped = _HOP_BY_HOP | {"upgrade", *request.headers.tokens("connection")}
    return [(name, value) for name, value in request.headers if name not in dropped]


async def forward(client: UnixClient, sending: Sending) -> Response | Hijack:
    """Ask the engine. Raises UnavailableError when it does not answer."""
    headers = list(sending.headers)
    if sending.hijack and sending.upgrade:
        headers += [("connection", "Upgrade"), ("upgrade", sending.upgrade)]
    answer = await client.request(sending.method, sending.target, headers, sending.body)
    kept = [(name, value) for name, value in answer.headers if name not in _HOP_BY_HOP]
    if answer.status == _SWITCHING:
        return _take_over(answer, "HTTP/1.1 101 UPGRADED", [*kept, ("connection", "Upgrade")])
    unframed = "content-length" not in answer.headers and "transfer-encoding" not in answer.headers
    if sending.hijack and answer.status == 200 and unframed:
        return _take_over(answer, f"HTTP/1.1 200 {REASONS[200]}", kept)
    length = answer.headers.get("content-length")
    if length is not None:
        kept.append(("content-length", length))
    return Response(answer.status, kept, _body(answer))


async def _body(answer: ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for data in answer.body:
            yield data
    finally:
        await answer.close()


def _take_over(answer: ClientResponse, status_line: str, headers: list[tuple[str, str]]) -> Hijack:
    lines = [status_line, *(f"{name}: {value}" for name, value in headers)]
    upstream = answer.detach()

    async def run(client: Stream) -> None:
        await splice(client, upstream)

    return Hijack("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n", run)


async def splice(client: Stream, engine: Stream) -> None:
    """Carry bytes both ways until the engine has finished, or the client is gone and all it had sent is passed on."""
    to_engine = asyncio.create_task(_pump(client, engine), name="splice-to-engine")
    to_client = asyncio.create_task(_pump(engine, client), name="splice-to-client")
    gone = asyncio.create_task(client.wait_closed(), name="splice-client-gone")
    try:
        await asyncio.wait({to_client, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() or not to_client.result():
            await asyncio.wait({to_engine}, timeout=LEFT_INPUT_TIMEOUT_S)
    finally:
        for task in (to_engine, to_client, gone):
            task.cancel()
        await asyncio.gather(to_engine, to_client, gone, return_exceptions=True)
        engine.close()
        client.close()


async def _pump(source: Stream, sink: Stream) -> bool:
    """Whether the sink took everything up to the source's end."""
    try:
        while data := await source.read():
            await sink.write(data)
        sink.write_eof()
    except ConnectionResetError:
        return False
    return True
