"""Spans: what is recorded of a piece of work, kept until it is sent, and dropped when nobody takes it.

Recording never waits and never fails: a queue that is full loses what comes, and how much that was is known.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum

from tidegate.base.tracing.context import TraceContext, carried, current_trace, new_span_id, new_trace_id

Value = str | int | float | bool
_RATIO_BITS = 56  # of a trace's identifier, which decide about it: its right-most, being the random ones


class SpanKind(IntEnum):
    """As OTLP numbers them."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Span:
    """``end`` it once. Times are of the wall clock, in nanoseconds."""

    __slots__ = ("attributes", "context", "ended_at_ns", "error", "kind", "name", "parent_id", "started_at_ns")

    def __init__(self, name: str, kind: SpanKind, context: TraceContext, parent_id: str, started_at_ns: int) -> None:
        self.name, self.kind, self.context, self.parent_id = name, kind, context, parent_id
        self.started_at_ns, self.ended_at_ns = started_at_ns, 0
        self.attributes: dict[str, Value] = {}
        self.error: str | None = None


class Tracer:
    """Makes spans, and keeps those that have ended for whoever sends them."""

    def __init__(self, ratio: float = 1.0, by_parent: bool = True, most_queued: int = 2048) -> None:
        self._bound = int(ratio * (1 << _RATIO_BITS))
        self._by_parent = by_parent
        self._ended: deque[Span] = deque()
        self._most = most_queued
        self.lost = 0

    def begin(self, name: str, kind: SpanKind, parent: TraceContext | None, started_at_ns: int | None = None) -> Span:
        """A child of ``parent``, or a new trace."""
        trace_id = new_trace_id() if parent is None else parent.trace_id
        sampled = parent.sampled if parent is not None and self._by_parent else self._takes(trace_id)
        context = TraceContext(trace_id, new_span_id(), sampled)
        return Span(name, kind, context, parent.span_id if parent else "", started_at_ns or time.time_ns())

    def end(self, span: Span, error: str | None = None) -> None:
        """It is over; ``error`` says why it failed."""
        if not span.context.sampled:
            return
        span.ended_at_ns, span.error = time.time_ns(), error
        if len(self._ended) >= self._most:
            self.lost += 1
        else:
            self._ended.append(span)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value]) -> Iterator[Span]:
        """Around a piece of work, as a child of what runs now; what raises has failed."""
        span = self.begin(name, SpanKind.INTERNAL, current_trace.get())
        span.attributes.update(attributes)
        with carried(span.context):
            try:
                yield span
            except BaseException as error:
                self.end(span, str(error) or type(error).__name__)
                raise
        self.end(span)

    def take(self, most: int) -> list[Span]:
        """The oldest that have ended; they are the caller's now."""
        return [self._ended.popleft() for _ in range(min(most, len(self._ended)))]

    def _takes(self, trace_id: str) -> bool:
        return int(trace_id[-_RATIO_BITS // 4 :], 16) < self._bound
