"""Whose child a piece of work is: the W3C's ``traceparent`` header, and the context of what runs now.

Source: https://www.w3.org/TR/trace-context/
"""

import re
import secrets
from contextvars import ContextVar
from types import TracebackType
from typing import NamedTuple

TRACEPARENT = "traceparent"
_VERSION_0 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LATER = re.compile(r"(?!ff|00)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1


class TraceContext(NamedTuple):
    """Identifiers in lower-case hexadecimal; ``sampled``: the one who began it records."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """As ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


current_trace: ContextVar[TraceContext | None] = ContextVar("current_trace", default=None)
"""Of what runs now; tasks inherit it, and messages between tasks carry it."""


def parse_traceparent(text: str | None) -> TraceContext | None:
    """None for what is no such header: a new trace begins then."""
    found = None if text is None else _VERSION_0.fullmatch(text) or _LATER.fullmatch(text)
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return TraceContext(found[1], found[2], bool(int(found[3], 16) & _SAMPLED))


def new_trace_id() -> str:
    return secrets.token_hex(16)


def new_span_id() -> str:
    return secrets.token_hex(8)


class carried:  # noqa: N801 - used as a function is
    """What runs inside belongs to ``context``."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: TraceContext | None) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = current_trace.set(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current_trace.reset(self._token)
