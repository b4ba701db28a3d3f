"""The part of docs/benchmarks.md about many containers, from figures. Pure: measured is in ``bench.scale_cases``."""

from dataclasses import dataclass
from statistics import median, quantiles

from bench.report import Row, figure
from bench.sections import Section

SCALE = Section("<!-- Many containers: made by the bench. -->", "<!-- The end of the part about many containers. -->")


@dataclass(frozen=True)
class Answered:
    """One request: seconds of each answer, and CPU seconds for one; ``theirs_s`` is empty of what dockerd has not."""

    title: str
    ours_s: list[float]
    theirs_s: list[float]
    ours_cpu_s: float
    theirs_cpu_s: float


@dataclass(frozen=True)
class ScaleFigures:
    """Everything measured in one run."""

    facts: list[str]
    on_record: int
    running: int
    answered: list[Answered]
    rows: list[Row]


def p99_ms(samples_s: list[float]) -> float:
    """The 99th percentile, in milliseconds; never above the slowest sample."""
    return min(quantiles(samples_s, n=100)[98], max(samples_s)) * 1e3


def scale_section(figures: ScaleFigures) -> str:
    """The part with its markers."""
    return SCALE.around([*_head(figures), *_answers(figures), *_rows(figures)])


def _head(figures: ScaleFigures) -> list[str]:
    return [
        "# Many containers",
        "",
        "Made by the same `make bench` (alone: `BENCH_OPTIONS='--only scale'`): both engines with "
        f"{figures.on_record:,} containers on record, {figures.running} of",
        "them running, half of all on the bridge. Requests are sent one after another on a kept connection; CPU time",
        "is that of all processes of an engine (of Tidegate the gate's too), without the containers. While requests,",
        "events and start-up are timed, client and engine have real-time priority: nothing else on the machine shows.",
        "",
        *(f"- {fact}" for fact in figures.facts),
        "",
    ]


def _answers(figures: ScaleFigures) -> list[str]:
    lines = [
        "| request | Tidegate p50, ms | p99 | CPU, ms | dockerd p50, ms | p99 | CPU, ms |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for each in figures.answered:
        ours = _columns(each.ours_s, each.ours_cpu_s)
        theirs = _columns(each.theirs_s, each.theirs_cpu_s) if each.theirs_s else " | | "
        lines.append(f"| {each.title} | {ours} | {theirs} |")
    return [*lines, ""]


def _columns(samples_s: list[float], cpu_s: float) -> str:
    return f"{median(samples_s) * 1e3:.2f} | {p99_ms(samples_s):.2f} | {cpu_s * 1e3:.2f}"


def _rows(figures: ScaleFigures) -> list[str]:
    lines = ["| | unit | Tidegate | dockerd | aim | |", "|---|---|---:|---:|---|---|"]
    for row in figures.rows:
        verdict = row.verdict()
        aim = "" if verdict is None else row.aim()
        lines.append(
            f"| {row.title} | {row.unit} | {figure(row.ours)} | {figure(row.theirs)} | {aim} | {verdict or ''} |"
        )
    return lines
