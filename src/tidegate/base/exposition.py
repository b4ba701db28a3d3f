"""Figures as Prometheus reads them: histograms that are counted up here, and its text format, version 0.0.4.

Values only: who counts what is elsewhere, and so is who serves it. ADR 12 tells why this is no library.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
"""Upper bounds of the buckets of times."""


class Sample(NamedTuple):
    """A value; ``suffix`` is what a histogram adds to the name."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """All samples of one name; ``kind`` is counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


class Spread(msgspec.Struct):
    """A histogram of seconds: ``counts`` by bucket, the last one beyond every bound."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    sum_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum_s += seconds

    def merge(self, other: "Spread") -> None:
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum_s += other.sum_s

    def samples(self, labels: Mapping[str, str]) -> Iterable[Sample]:
        total = 0
        for bound, count in zip((*(f"{each:g}" for each in SECONDS), "+Inf"), self.counts, strict=True):
            total += count
            yield Sample({**labels, "le": bound}, total, "_bucket")
        yield Sample(labels, self.sum_s, "_sum")
        yield Sample(labels, total, "_count")


def gauge(name: str, text: str, value: float, labels: Mapping[str, str] | None = None) -> Family:
    """A family of one value."""
    return Family(name, "gauge", text, [Sample(labels or {}, value)])


def render(families: Iterable[Family]) -> bytes:
    """The page; families without a sample are left out."""
    lines = []
    for family in families:
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [f"{family.name}{each.suffix}{_labels(each.labels)} {_number(each.value)}" for each in family.samples]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.17g}"
