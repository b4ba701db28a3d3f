"""What is wrong with a file of DATA_ROOT/access, where, and how to mend it."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")


class Problem(msgspec.Struct, frozen=True):
    """``warning``: the file can be used, but may not mean what was meant. ``line`` counts from 1."""

    file: str
    line: int
    message: str
    mend: str
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        return f"{self.file}:{self.line}: {kind}{self.message}; {self.mend}"


@dataclass(slots=True)
class Problems:
    """Collects them, in the order in which they are found."""

    found: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        self.found.append(problem)

    @property
    def errors(self) -> Sequence[Problem]:
        return [problem for problem in self.found if not problem.warning]


class Lines:
    """Where the keys of a TOML text stand: ``tomllib`` does not say.

    A path is ``("roles", "frontend", "quota", "cpus")``; the elements of an array of tables are numbered.
    """

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines: dict[tuple[str, ...], int] = {}
        counts: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            header = _HEADER.fullmatch(line)
            if header:
                table = _parts(header.group(2))
                if header.group(1) == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, str(counts[table]))
                self._lines.setdefault(table, number)
                continue
            key = _KEY.match(line)
            if key:
                self._lines.setdefault((*table, *_parts(key.group(1))), number)

    def line(self, path: Sequence[str]) -> int:
        """The line of the path, or of the closest thing above it."""
        for length in range(len(path), 0, -1):
            found = self._lines.get(tuple(path[:length]))
            if found:
                return found
        return 1

    def problem(self, path: Sequence[str], message: str, mend: str, *, warning: bool = False) -> Problem:
        """A problem with what stands at ``path``."""
        return Problem(self._file, self.line(path), message, mend, warning)


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that was most likely meant."""
    choices = sorted(known)
    folded = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.0)
    return folded[found[0]] if found else choices[0]


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
