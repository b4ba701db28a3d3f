"""The gate's part of docs/benchmarks.md, from figures. Pure: what is measured is in ``bench.gate_cases``."""

from dataclasses import dataclass
from statistics import median, quantiles

from bench.sections import Section

GATE = Section("<!-- The gate: made by the bench. -->", "<!-- The end of the gate's part. -->")
MOST_ADDED_MS = 0.5
LEAST_MB_PER_CORE_S = 500
MOST_CUT_MS = 100


@dataclass(frozen=True)
class Answers:
    """One request: seconds of each answer by the gate and by dockerd itself, and the gate's CPU time for one."""

    title: str
    ours_s: list[float]
    theirs_s: list[float]
    cpu_s: float


@dataclass(frozen=True)
class Flow:
    """A bulk stream: bytes in seconds past the gate (0: there is no other way) and through it; its CPU seconds."""

    title: str
    size_bytes: int
    through_s: float
    cpu_s: float
    past_s: float = 0.0


@dataclass(frozen=True)
class GateFigures:
    """Everything measured in one run."""

    facts: list[str]
    answers: list[Answers]
    flows: list[Flow]
    handshakes_per_core_s: tuple[float, float]
    cuts_s: list[float]


def percentiles_ms(samples_s: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    return median(samples_s) * 1e3, quantiles(samples_s, n=100)[98] * 1e3


def gate_section(figures: GateFigures) -> str:
    """The part with its markers."""
    return GATE.around([*_head(figures), *_answers(figures), *_flows(figures), *_rest(figures)])


def _head(figures: GateFigures) -> list[str]:
    return [
        "# The gate",
        "",
        "Made by the same `make bench` (alone: `BENCH_OPTIONS='--only gate'`): `tidegate gate` with one worker before",
        "Debian's dockerd, beside that dockerd's own TLS listener, with the same certificates. Requests are sent one",
        "after another, to both in turn. CPU time is the worker's alone, dockerd's of all its threads; per core is",
        "per second of such time.",
        "",
        *(f"- {fact}" for fact in figures.facts),
        "",
    ]


def _answers(figures: GateFigures) -> list[str]:
    lines = [
        "| request | gate p50, ms | p99 | dockerd p50, ms | p99 | added p50, ms | p99 | gate's CPU, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in figures.answers:
        (ours, ours_99), (theirs, theirs_99) = percentiles_ms(each.ours_s), percentiles_ms(each.theirs_s)
        columns = (ours, ours_99, theirs, theirs_99, ours - theirs, ours_99 - theirs_99, each.cpu_s * 1e3)
        lines.append(f"| {each.title} | " + " | ".join(f"{value:.2f}" for value in columns) + " |")
    return [*lines, ""]


def _flows(figures: GateFigures) -> list[str]:
    lines = [
        "| bulk stream over mTLS | past the gate, MB/s | through it, MB/s | gate, MB/s per core |",
        "|---|---:|---:|---:|",
    ]
    for each in figures.flows:
        size = each.size_bytes / 1e6
        past = f"{size / each.past_s:.0f}" if each.past_s else ""
        lines.append(f"| {each.title} | {past} | {size / each.through_s:.0f} | {size / each.cpu_s:.0f} |")
    return [*lines, ""]


def _rest(figures: GateFigures) -> list[str]:
    ours, theirs = figures.handshakes_per_core_s
    cut, cut_99 = percentiles_ms(figures.cuts_s)
    added = max(percentiles_ms(each.ours_s)[0] - percentiles_ms(each.theirs_s)[0] for each in figures.answers)
    slowest = min(each.size_bytes / 1e6 / each.cpu_s for each in figures.flows)
    rows = [
        (
            "added to a request at p50, the worst",
            f"at most {MOST_ADDED_MS} ms",
            f"{added:.2f} ms",
            added <= MOST_ADDED_MS,
        ),
        (
            "bulk stream, the slowest",
            f"at least {LEAST_MB_PER_CORE_S} MB/s per core",
            f"{slowest:.0f} MB/s",
            slowest >= LEAST_MB_PER_CORE_S,
        ),
        (
            "new mTLS connections with one `/_ping`",
            f"at least dockerd's {theirs:.0f} per core",
            f"{ours:.0f}",
            ours >= theirs,
        ),
        (
            f"{len(figures.cuts_s)} of {2 * len(figures.cuts_s)} streams cut, from the revocation's writing on",
            f"p99 at most {MOST_CUT_MS} ms",
            f"p50 {cut:.0f} ms, p99 {cut_99:.0f} ms",
            cut_99 <= MOST_CUT_MS,
        ),
    ]
    lines = ["| | aim | is | |", "|---|---|---|---|"]
    return lines + [f"| {what} | {aim} | {value} | {'met' if met else 'missed'} |" for what, aim, value, met in rows]
