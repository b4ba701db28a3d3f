"""Figures and traces of an engine, as far as they were asked for; only then anything of it is loaded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.daemon.wiring import Engine
from tidegate.http.hijack import Hijack
from tidegate.http.listeners import bind_unix
from tidegate.http.messages import Request, Response
from tidegate.http.server import Server

if TYPE_CHECKING:
    from tidegate.base.tracing.spans import Tracer
    from tidegate.http.trace_export import TraceExporter

Answer = Callable[[Request], Awaitable[Response | Hijack]]


class Watching:
    """Made before the engine starts."""

    def __init__(self, engine: Engine, settings: EngineProcessSettings) -> None:
        self._figures = engine.figures() if settings.figures_socket is not None else None
        self._figures_socket = settings.figures_socket
        self._tracer: Tracer | None = None
        self._exporter: TraceExporter | None = None
        self._exporting: asyncio.Task[None] | None = None
        if settings.tracing is not None:
            from tidegate.http import trace_export

            self._tracer = trace_export.make_tracer(settings.tracing)
            connect = trace_export.connect_to(settings.tracing.host, settings.tracing.port)
            self._exporter = trace_export.TraceExporter(self._tracer, settings.tracing, "engine", connect)
            engine.trace_with(self._tracer)

    def answer(self, answer: Answer) -> Answer:
        """The API as it is served."""
        if self._figures is None and self._tracer is None:
            return answer
        from tidegate.daemon.observation import ObservedApi

        return ObservedApi(answer, None if self._figures is None else self._figures.observe, self._tracer).handle

    async def begin(self) -> list[Server]:
        """What is served besides. Raises OSError, ConflictError."""
        if self._exporter is not None:
            self._exporting = asyncio.create_task(self._exporter.run(), name="engine-traces")
        if self._figures is None or self._figures_socket is None:
            return []
        server = Server(self._figures.handle)
        await server.listen(bind_unix(self._figures_socket, 0o600))
        return [server]

    async def end(self) -> None:
        """Send what was recorded last."""
        if self._exporting is not None and self._exporter is not None:
            self._exporting.cancel()
            await self._exporter.close()
