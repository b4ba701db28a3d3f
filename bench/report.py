"""From figures to docs/benchmarks.md. Pure: what is measured is in ``bench.cases``, what is said of it is here.

Text below the marker is kept from the page before: it is what people found when they looked for the reasons.
"""

from dataclasses import dataclass, field
from statistics import median

MARKER = "<!-- Below: written by hand, kept by the bench. -->"


@dataclass
class Row:
    """The samples of one case. ``most``: aim as ratio of Tidegate's time to dockerd's; ``limit``: aim as a figure."""

    title: str
    unit: str
    smaller_is_better: bool = True
    most: float | None = None
    limit: float | None = None
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def ratio(self) -> float | None:
        """Cost of Tidegate by the cost of dockerd: below 1 is better, whatever the unit. None unmeasured."""
        if not self.ours or not self.theirs:
            return None
        ours, theirs = median(self.ours), median(self.theirs)
        over, under = (ours, theirs) if self.smaller_is_better else (theirs, ours)
        return over / under if under else None

    def verdict(self) -> str | None:
        """``met``, ``missed`` or ``not measured``; None when there is no aim."""
        if self.most is None and self.limit is None:
            return None
        if self.limit is not None:
            reached = median(self.ours) <= self.limit if self.ours else None
        else:
            ratio = self.ratio()
            reached = None if ratio is None else ratio <= (self.most or 0)
        return "not measured" if reached is None else "met" if reached else "missed"

    def aim(self) -> str:
        """The aim in words."""
        if self.limit is not None:
            return f"at most {self.limit:g} {self.unit}"
        return f"cost at most {self.most:g} of dockerd's"


def figure(samples: list[float]) -> str:
    """A median for the table, with three digits."""
    if not samples:
        return "not measured"
    value = median(samples)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def page(rows: list[Row], machine: list[str], memory: dict[str, dict[str, int]], kept: str) -> str:
    """The whole page."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench` (as root): both engines on this machine in one run, each in its own network namespace",
        "with its own roots, driven by the same docker CLI; samples alternate, figures are medians. Cost is",
        "Tidegate's time by dockerd's (for rates dockerd's by Tidegate's): below 1, Tidegate is ahead.",
        "",
        *(f"- {each}" for each in machine),
        "",
        "| | unit | Tidegate | dockerd | cost |",
        "|---|---|---:|---:|---:|",
    ]
    for row in rows:
        ratio = row.ratio()
        cost = "" if ratio is None else f"{ratio:.2f}"
        lines.append(f"| {row.title} | {row.unit} | {figure(row.ours)} | {figure(row.theirs)} | {cost} |")
    lines += ["", "Idle memory by program (PSS, MiB):", ""]
    for name, sizes in memory.items():
        programs = ", ".join(f"{program} {size / 1024:.1f}" for program, size in sorted(sizes.items()))
        lines.append(f"- {name}: {programs}")
    lines += ["", "## Against the aims", "", "| | aim | is | |", "|---|---|---:|---|"]
    for row in rows:
        verdict = row.verdict()
        if verdict is not None:
            ratio = row.ratio()
            value = (
                f"{figure(row.ours)} {row.unit}" if row.limit is not None else "" if ratio is None else f"{ratio:.2f}"
            )
            lines.append(f"| {row.title} | {row.aim()} | {value} | {verdict} |")
    failures = [failure for row in rows for failure in row.failures]
    if failures:
        lines += ["", "Failed samples of this run:", "", *(f"- {failure}" for failure in failures)]
    return "\n".join([*lines, "", MARKER]) + (kept or "\n")


def kept_text(page_before: str) -> str:
    """What people wrote below the marker."""
    return page_before.partition(MARKER)[2]
