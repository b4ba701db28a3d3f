"""One line for every request: when, who, from where, which operation, the status, how long.

Lines are gathered and written together a moment later, since a system call for each would cost as much as the request.
What a killed gate had gathered for FLUSH_S is lost: this is a log to read, not an audit.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable

FLUSH_S = 0.05


class RequestLog:
    """``write`` takes the gathered bytes; None keeps no log."""

    def __init__(self, write: Callable[[bytes], object] | None) -> None:
        self._write = write
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""

    def record(self, line: str) -> None:
        """Note a request, now."""
        if self._write is None:
            return
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(f"{self._stamp} gate {line}\n")

    def flush(self) -> None:
        """Write what was gathered."""
        if self._write is not None and self._lines:
            lines, self._lines = self._lines, []
            self._write("".join(lines).encode("utf-8", "backslashreplace"))


def to_standard_error(data: bytes) -> None:
    """A log that cannot be written (a full disk, a closed terminal) does not stop the gate."""
    try:
        os.write(sys.stderr.fileno(), data)
    except OSError:
        return
