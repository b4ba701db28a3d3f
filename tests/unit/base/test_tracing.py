"""Trace contexts, the standard variables, spans, and the documents for a collector."""

import asyncio
import json
from typing import Any

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.base.tracing.context import TraceContext, carried, current_trace, parse_traceparent
from tidegate.base.tracing.otlp import encode_spans
from tidegate.base.tracing.settings import TracingSettings, read_tracing
from tidegate.base.tracing.spans import SpanKind, Tracer

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    ("header", "context"),
    [
        (f"00-{TRACE}-{SPAN}-01", PARENT),
        (f"00-{TRACE}-{SPAN}-00", TraceContext(TRACE, SPAN, False)),
        (f"42-{TRACE}-{SPAN}-03-more", PARENT),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        ("", None),
        (None, None),
    ],
)
def test_the_header_of_a_client(header: str | None, context: TraceContext | None) -> None:
    assert parse_traceparent(header) == context
    if context is not None and header is not None and header.startswith("00"):
        assert context.header == header


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert read_tracing({}) is None
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}
    assert read_tracing({**endpoint, "OTEL_SDK_DISABLED": "true"}) is None
    assert read_tracing({**endpoint, "OTEL_TRACES_EXPORTER": "none"}) is None


def test_the_standard_variables() -> None:
    assert read_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}) == TracingSettings(
        host="c", port=4318, path="/v1/traces"
    )
    assert read_tracing({
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:1",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[::1]:4319/my/traces",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x,a=b",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2000",
        "OTEL_SERVICE_NAME": "door",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,rack=4",
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }) == TracingSettings(
        host="::1", port=4319, path="/my/traces", headers={"authorization": "Bearer x", "a": "b"}, timeout_s=2.0,
        service="door", attributes={"service.name": "other", "rack": "4"}, ratio=0.25, by_parent=False, delay_s=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "nonsense"),
    ],
)
def test_what_is_not_done_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        read_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", name: value})


def test_work_within_work_is_its_child() -> None:
    tracer = Tracer()
    with carried(PARENT), tracer.span("outer", {"n": 1}) as outer, tracer.span("inner", {}):
        assert current_trace.get() != PARENT
    assert current_trace.get() is None
    inner, ended = tracer.take(10)
    assert (inner.parent_id, ended.parent_id) == (outer.context.span_id, SPAN)
    assert {inner.context.trace_id, ended.context.trace_id} == {TRACE}
    assert tracer.take(10) == []


def test_what_raises_has_failed() -> None:
    tracer = Tracer()
    with pytest.raises(InvalidParameterError), tracer.span("work", {}):
        raise InvalidParameterError("no such thing")
    assert [span.error for span in tracer.take(1)] == ["no such thing"]


def test_who_is_not_sampled_is_not_recorded() -> None:
    for tracer, parent in (
        (Tracer(), PARENT._replace(sampled=False)),
        (Tracer(ratio=0.0), None),
        (Tracer(0.0, by_parent=False), PARENT),
    ):
        span = tracer.begin("x", SpanKind.SERVER, parent)
        tracer.end(span)
        assert (tracer.take(1), span.context.sampled) == ([], False)
    half = Tracer(ratio=0.5)
    taken = sum(half.begin("x", SpanKind.SERVER, None).context.sampled for _ in range(1000))
    assert 350 < taken < 650


def test_a_queue_that_is_full_loses_what_comes() -> None:
    tracer = Tracer(most_queued=2)
    for name in "abc":
        tracer.end(tracer.begin(name, SpanKind.SERVER, None))
    assert ([span.name for span in tracer.take(5)], tracer.lost) == (["a", "b"], 1)


def test_tasks_go_on_with_the_trace() -> None:
    async def seen() -> TraceContext | None:
        with carried(PARENT):
            task = asyncio.create_task(asyncio.sleep(0, current_trace.get()))
        return await task

    assert asyncio.run(seen()) == PARENT


def test_a_document_of_the_protocol() -> None:
    tracer = Tracer()
    span = tracer.begin("ContainerStart", SpanKind.SERVER, PARENT, started_at_ns=5)
    span.attributes |= {"a": "x", "n": 1, "f": 0.5, "b": True}
    tracer.end(span, "broken")
    document: dict[str, Any] = json.loads(encode_spans(tracer.take(1), {"service.name": "tidegate"}))
    (resource,) = document["resourceSpans"]
    assert resource["resource"] == {"attributes": [{"key": "service.name", "value": {"stringValue": "tidegate"}}]}
    (shown,) = resource["scopeSpans"][0]["spans"]
    assert int(shown.pop("endTimeUnixNano")) > 5
    assert shown == {
        "traceId": TRACE, "spanId": span.context.span_id, "parentSpanId": SPAN, "name": "ContainerStart", "kind": 2,
        "startTimeUnixNano": "5", "status": {"code": 2, "message": "broken"},
        "attributes": [
            {"key": "a", "value": {"stringValue": "x"}}, {"key": "n", "value": {"intValue": "1"}},
            {"key": "f", "value": {"doubleValue": 0.5}}, {"key": "b", "value": {"boolValue": True}},
        ],
    }  # fmt: skip
