"""Spans as a collector takes them: OTLP in JSON. Pure.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding; opentelemetry/proto/trace/v1/trace.proto.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tidegate.base.tracing.spans import Span, Value

_ERROR = 2
_SCOPE = {"name": "tidegate"}


def encode_spans(spans: Iterable[Span], resource: Mapping[str, Value]) -> bytes:
    """An ExportTraceServiceRequest; ``resource`` tells who sends."""
    scope = {"scope": _SCOPE, "spans": [_span(each) for each in spans]}
    document = {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}
    return msgspec.json.encode(document)


def _span(span: Span) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "traceId": span.context.trace_id,
        "spanId": span.context.span_id,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.started_at_ns),
        "endTimeUnixNano": str(span.ended_at_ns),
        "attributes": _attributes(span.attributes),
    }
    if span.parent_id:
        shown["parentSpanId"] = span.parent_id
    if span.error is not None:
        shown["status"] = {"code": _ERROR, "message": span.error}
    return shown


def _attributes(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
