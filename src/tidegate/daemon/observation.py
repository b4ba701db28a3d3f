"""The engine watched from outside: spans and figures of its API, spans of what it does to containers.

Nothing of this is there unless somebody asked for figures or traces; the engine below does not know of it.
"""

import time
from collections.abc import Awaitable, Callable

import msgspec

from tidegate.base.errors import TidegateError
from tidegate.base.tracing.context import TRACEPARENT, carried, parse_traceparent
from tidegate.base.tracing.spans import SpanKind, Tracer
from tidegate.engine.containers.actor import Effects
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Request, Response, split_target
from tidegate.model import phases as p
from tidegate.model.container import Container
from tidegate.model.phases import Effect, Event
from tidegate.spec.catalogue import match

Answer = Callable[[Request], Awaitable[Response | Hijack]]
Observe = Callable[[str, int, float], None]
_AWAITED = p.Prepare | p.Launch | p.Release | p.Remove | p.Signal | p.Freeze | p.Thaw
"""Effects that take time; what is only published or armed has no span."""


class ObservedApi:
    """An API, and who hears of each answer when it begins: figures, a tracer, or both."""

    def __init__(self, answer: Answer, observe: Observe | None, tracer: Tracer | None) -> None:
        self._answer = answer
        self._observe = observe
        self._tracer = tracer

    async def handle(self, request: Request) -> Response | Hijack:
        """As the API answers."""
        operation, began_s = operation_of(request), time.perf_counter()
        response = await self._traced(operation, request)
        if self._observe is not None:
            self._observe(operation, _status(response), time.perf_counter() - began_s)
        return response

    async def _traced(self, operation: str, request: Request) -> Response | Hijack:
        if self._tracer is None:
            return await self._answer(request)
        parent = parse_traceparent(request.headers.get(TRACEPARENT))
        span = self._tracer.begin(operation, SpanKind.SERVER, parent)
        span.attributes["http.request.method"] = request.method
        error: str | None = "no answer"
        try:
            with carried(span.context):
                response = await self._answer(request)
            span.attributes["http.response.status_code"] = _status(response)
            error = None if _status(response) < 500 else f"status {_status(response)}"
        finally:
            self._tracer.end(span, error)
        return response


class TracedEffects:
    """Fits ``engine.actor.Effects``, as what it wraps does."""

    def __init__(self, effects: Effects, tracer: Tracer) -> None:
        self._effects = effects
        self._tracer = tracer

    async def store(self, container: Container, *, passing: bool = False) -> None:
        await self._effects.store(container, passing=passing)

    async def perform(self, container: Container, effect: Effect) -> Event | None:
        if not isinstance(effect, _AWAITED):
            return await self._effects.perform(container, effect)
        with self._tracer.span(f"container {type(effect).__name__.lower()}", {"container.id": container.id}) as span:
            outcome = await self._effects.perform(container, effect)
            if isinstance(outcome, msgspec.Struct):
                span.attributes["tidegate.outcome"] = type(outcome).__name__
            return outcome

    def failed(self, effect: Effect, error: TidegateError) -> Event | None:
        return self._effects.failed(effect, error)


def operation_of(request: Request) -> str:
    """Its id, or "-" for what is none."""
    try:
        return match(request.method, split_target(request.target)[0])[1].operation_id
    except TidegateError:
        return "-"


def _status(response: Response | Hijack) -> int:
    return 101 if isinstance(response, Hijack) else response.status
