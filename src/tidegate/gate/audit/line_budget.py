"""How much of the audit a stranger may fill: a store of bytes that refills slowly.

A full disk stops every request, so that whoever could fill it with refused ones could stop them all. What is beyond the
budget is counted, and the next line that is written says how many were left out.
"""

from collections.abc import Callable


class LineBudget:
    """``most_bytes`` at once, ``per_second`` on average."""

    def __init__(self, now_s: Callable[[], float], most_bytes: float, per_second: float) -> None:
        self.suppressed = 0
        self._now_s = now_s
        self._most_bytes = most_bytes
        self._per_second = per_second
        self._left = most_bytes
        self._at_s = now_s()

    def take(self, size_bytes: int) -> bool:
        """Whether a line of that size may be written; one that may not is counted."""
        now_s = self._now_s()
        self._left = min(self._most_bytes, self._left + max(0.0, now_s - self._at_s) * self._per_second)
        self._at_s = now_s
        if size_bytes > self._left:
            self.suppressed += 1
            return False
        self._left -= size_bytes
        return True

    def told(self, count: int) -> None:
        """A line has said that ``count`` were left out."""
        self.suppressed -= count
