"""The few shapes of answer that handlers share."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import msgspec

from tidegate.base.errors import TidegateError
from tidegate.http.errors import error_line
from tidegate.http.messages import Response

_JSON = (("Content-Type", "application/json"),)


def json_response(value: object, status: int = 200) -> Response:
    """A document as the answer, with the newline that dockerd ends it with."""
    return Response(status, _JSON, msgspec.json.encode(value) + b"\n")


def no_content(status: int = 204) -> Response:
    """Done, and nothing to say."""
    return Response(status)


async def progress_response(messages: AsyncGenerator[Mapping[str, Any], None]) -> Response:
    """Progress as newline-delimited JSON. What fails before the first message raises; later it is a line of its own."""
    first = await anext(messages, None)
    return Response(200, _JSON, _progress_lines(messages, *(() if first is None else (first,))))


def stream_response(messages: AsyncGenerator[Mapping[str, Any], None]) -> Response:
    """The same where clients look for every failure in the stream."""
    return Response(200, _JSON, _progress_lines(messages))


async def _progress_lines(
    messages: AsyncGenerator[Mapping[str, Any], None], *first: Mapping[str, Any]
) -> AsyncIterator[bytes]:
    try:
        for message in first:
            yield msgspec.json.encode(message) + b"\r\n"
        async with contextlib.aclosing(messages):
            async for message in messages:
                yield msgspec.json.encode(message) + b"\r\n"
    except TidegateError as error:
        yield error_line(error)


async def later_document(waiting: "asyncio.Future[Any]", view: Any) -> AsyncIterator[bytes]:
    """A document that comes when something happens; the head of the answer goes out at once."""
    try:
        yield msgspec.json.encode(view(await waiting)) + b"\n"
    finally:
        waiting.cancel()
