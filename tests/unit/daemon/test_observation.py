"""The engine watched from outside: what is told of answers, and of what is done to containers."""

import asyncio

import pytest

from tidegate.base.errors import ConflictError, TidegateError
from tidegate.base.tracing.context import TraceContext, current_trace
from tidegate.base.tracing.spans import Tracer
from tidegate.daemon.observation import ObservedApi, TracedEffects
from tidegate.http.hijack import Hijack
from tidegate.http.messages import Headers, ProtocolError, Request, Response
from tidegate.model import phases as p
from tidegate.model.container import Container
from tidegate.model.phases import Effect, Event

PARENT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
START = Request("POST", "/v1.45/containers/a/start", Headers([("traceparent", PARENT.header)]))
CONTAINER = Container("1" * 64, "one", 0, "image", "sha256:1")


def observed(request: Request, answer: Response | ProtocolError) -> tuple[list[tuple[str, int]], Tracer]:
    """What was told of the answer, and the tracer; the API sees itself inside the span."""
    told: list[tuple[str, int]] = []
    tracer = Tracer()

    async def handle(_request: Request) -> Response | Hijack:
        context = current_trace.get()
        assert context is not None and context.span_id != PARENT.span_id
        if isinstance(answer, ProtocolError):
            raise answer
        return answer

    async def play() -> None:
        api = ObservedApi(handle, lambda operation, status, _elapsed_s: told.append((operation, status)), tracer)
        await api.handle(request)

    asyncio.run(play())
    return told, tracer


def test_an_answer_is_counted_and_is_a_child_of_the_client_s_span() -> None:
    told, tracer = observed(START, Response(204))
    assert told == [("ContainerStart", 204)]
    (span,) = tracer.take(5)
    assert (span.name, span.parent_id, span.context.trace_id) == ("ContainerStart", PARENT.span_id, PARENT.trace_id)
    assert (span.attributes["http.response.status_code"], span.error) == (204, None)


def test_what_names_no_operation_and_what_fails() -> None:
    told, tracer = observed(Request("GET", "/nothing"), Response(500))
    assert (told, [span.error for span in tracer.take(5)]) == ([("-", 500)], ["status 500"])
    with pytest.raises(ProtocolError):
        observed(START, ProtocolError("broken"))


class Doing:
    """Effects that do nothing but fail to launch."""

    async def store(self, container: Container, *, passing: bool = False) -> None:
        assert container is CONTAINER and passing

    async def perform(self, _container: Container, effect: Effect) -> Event | None:
        if isinstance(effect, p.Launch):
            raise ConflictError("no such network")
        return p.Released(clean=True) if isinstance(effect, p.Release) else None

    def failed(self, _effect: Effect, error: TidegateError) -> Event | None:
        return p.EffectFailed(error.message)


def test_what_takes_time_has_a_span_and_the_rest_has_none() -> None:
    tracer = Tracer()
    effects = TracedEffects(Doing(), tracer)

    async def play() -> None:
        await effects.store(CONTAINER, passing=True)
        assert await effects.perform(CONTAINER, p.Publish("start")) is None
        assert await effects.perform(CONTAINER, p.Release()) == p.Released(clean=True)
        with pytest.raises(ConflictError):
            await effects.perform(CONTAINER, p.Launch())

    asyncio.run(play())
    assert [(span.name, span.error) for span in tracer.take(5)] == [
        ("container release", None), ("container launch", "no such network"),
    ]  # fmt: skip
    assert effects.failed(p.Release(), ConflictError("x")) == p.EffectFailed("x")
