"""Sending spans to a collector, now and then, on a connection of its own each time.

Nobody waits for it: a collector that is slow, dead or unwilling costs the spans it was to have, and one line in the log
while that lasts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from tidegate.base.errors import TidegateError, UnavailableError
from tidegate.base.tracing.otlp import encode_spans
from tidegate.base.tracing.settings import TracingSettings
from tidegate.base.tracing.spans import Span, Tracer, Value

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""A connection to the collector. Raises OSError, UnavailableError."""

_ANSWER_BYTES = 64 * 1024
_LAST_S = 1.0
_log = logging.getLogger("tidegate.tracing")


class TraceExporter:
    """Of one process; ``run`` is a task for its life, ``close`` sends what is left at the end."""

    def __init__(self, tracer: Tracer, settings: TracingSettings, process: str, connect: Connect) -> None:
        self._tracer = tracer
        self._settings = settings
        self._connect = connect
        self._resource: Mapping[str, Value] = {
            "service.name": settings.service,
            "service.namespace": "tidegate",
            "tidegate.process": process,
            **settings.attributes,
        }
        self._failure = ""

    async def run(self) -> None:
        """Send what has ended, every ``delay_s``, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.delay_s)
            await self.flush()

    async def close(self) -> None:
        """Send what is left, if that is soon done: nobody ends later for want of a collector."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self.flush()

    async def flush(self) -> None:
        """Send everything that has ended; what cannot be sent is gone. Raises nothing."""
        while spans := self._tracer.take(self._settings.most_at_once):
            failure = await self._send(spans)
            if failure and failure != self._failure:
                _log.warning("traces are lost: %s", failure)
            self._failure = failure
            if failure:
                return

    async def _send(self, spans: list[Span]) -> str:
        """Why it failed; "" when it did not."""
        document = encode_spans(spans, self._resource)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                status = await self._post(document)
        except (OSError, TidegateError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            return f"the collector cannot be asked: {str(error) or type(error).__name__}"
        return "" if 200 <= status < 300 else f"the collector answered {status}"

    async def _post(self, document: bytes) -> int:
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        headers = {"Host": f"{host}:{settings.port}", "Content-Type": "application/json", **settings.headers}
        headers |= {"Content-Length": str(len(document)), "Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        reader, writer = await self._connect()
        try:
            writer.write(f"POST {settings.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + document)
            await writer.drain()
            words = (await reader.read(_ANSWER_BYTES)).split(b" ", 2)
        finally:
            writer.close()
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1][:3].isdigit():
            raise UnavailableError("it does not speak HTTP")
        return int(words[1][:3])


def make_tracer(settings: TracingSettings) -> Tracer:
    """As ``settings`` say."""
    return Tracer(settings.ratio, settings.by_parent, settings.most_queued)


def connect_to(host: str, port: int) -> Connect:
    """For a process that may make connections."""
    return lambda: asyncio.open_connection(host, port)
