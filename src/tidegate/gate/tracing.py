"""A worker's part in traces: spans of requests and decisions, and the way to the collector.

Imported only where traces are asked for. A client that is in a trace goes on with it: its ``traceparent`` is honoured,
and the engine gets ours.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable

from tidegate.base.errors import UnavailableError
from tidegate.base.tracing.context import TRACEPARENT, TraceContext, parse_traceparent
from tidegate.base.tracing.settings import TracingSettings
from tidegate.base.tracing.spans import Span, SpanKind, Tracer
from tidegate.http.messages import Request
from tidegate.http.trace_export import TraceExporter, make_tracer

_CONNECT_TIMEOUT_S = 5.0
Headers = tuple[tuple[str, str], ...]


class RequestTrace:
    """Of one request: its own span, which ends with its answer, and one of the decision about it."""

    def __init__(self, tracer: Tracer, request: Request) -> None:
        self._tracer = tracer
        parent = parse_traceparent(request.headers.get(TRACEPARENT))
        self._span: Span | None = tracer.begin("-", SpanKind.SERVER, parent)
        self._span.attributes["http.request.method"] = request.method
        self.context: TraceContext = self._span.context
        self._deciding_since_ns = 0

    def deciding(self) -> None:
        """The request has been read."""
        self._deciding_since_ns = time.time_ns()

    def decided(self, role: str, rule: str, allowed: bool) -> None:
        """And is known to be allowed or not."""
        span = self._tracer.begin("decide", SpanKind.INTERNAL, self.context, self._deciding_since_ns or None)
        span.attributes |= {"tidegate.role": role, "tidegate.rule": rule, "tidegate.allowed": allowed}
        self._tracer.end(span)

    def answered(self, operation: str, principal: str, status: int) -> None:
        """The answer begins; what is told once more is not heard."""
        span, self._span = self._span, None
        if span is not None:
            span.name = operation
            span.attributes |= {"http.response.status_code": status, "tidegate.principal": principal}
            self._tracer.end(span, f"status {status}" if status >= 500 else None)

    def carry(self, headers: Headers) -> Headers:
        """A request's headers as the engine gets them: it is our child."""
        return (*((name, value) for name, value in headers if name != TRACEPARENT), (TRACEPARENT, self.context.header))


class WorkerTracing:
    """``dial`` opens a connection to the collector, which may still be on its way."""

    def __init__(self, settings: TracingSettings, dial: Callable[[], Awaitable[socket.socket]]) -> None:
        self._dial = dial
        self._tracer = make_tracer(settings)
        self.exporter = TraceExporter(self._tracer, settings, "gate", self._connect)

    def traces(self, request: Request) -> RequestTrace:
        """Of a request that has just arrived."""
        return RequestTrace(self._tracer, request)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = await self._dial()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await _until_writable(connection)
        except BaseException:
            connection.close()
            raise
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            connection.close()
            raise UnavailableError(os.strerror(error))
        return await asyncio.open_connection(sock=connection)


async def _until_writable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(connection.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(connection.fileno())
