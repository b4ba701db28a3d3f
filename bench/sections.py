"""Parts of docs/benchmarks.md that are made on their own, each between two markers in the text that is kept.

A part replaces itself alone; one that is not there yet is added at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """The lines that begin and end a part."""

    begin: str
    end: str

    def around(self, lines: Sequence[str]) -> str:
        """The part with its markers."""
        return "\n".join([self.begin, "", *lines, "", self.end])

    def put(self, page: str, part: str) -> str:
        """``page`` with this part of it replaced by ``part`` (``around``), or added at the end."""
        before, found, rest = page.partition(self.begin)
        if not found:
            return f"{page.rstrip()}\n\n{part}\n"
        return before + part + rest.partition(self.end)[2]
