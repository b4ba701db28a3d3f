"""One line for every request: when, who, from where, which operation, the status, how long.

Lines are gathered and written together a moment later, since a system call for each would cost as much as the request.
What a killed gate had gathered for FLUSH_S is lost: this is a log to read, not an audit.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from tidegate.base.logs import JSON, TEXT, printable, timestamp

FLUSH_S = 0.05


class Answered(NamedTuple):
    """A request and what became of it; ``operation`` is its id, or "-"."""

    principal: str
    address: str
    method: str
    operation: str
    status: int
    elapsed_ms: float


class RequestLog:
    """``write`` takes the gathered bytes; with None no log is kept."""

    def __init__(self, write: Callable[[bytes], object] | None, log_format: str = TEXT) -> None:
        self._write = write
        self._render = _as_json if log_format == JSON else self._as_text
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""

    def record(self, answered: Answered) -> None:
        """Note a request, now."""
        if self._write is None:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(self._render(answered))

    def write_to(self, write: Callable[[bytes], object] | None) -> None:
        """From now on; what was gathered goes where it would have gone."""
        self.flush()
        self._write = write

    def flush(self) -> None:
        """Write what was gathered."""
        if self._write is not None and self._lines:
            lines, self._lines = self._lines, []
            self._write("".join(lines).encode("utf-8", "backslashreplace"))

    def _as_text(self, answered: Answered) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        principal, address, method, operation, status, elapsed_ms = answered
        told = f"{principal} {address} {method} {operation} {status} {elapsed_ms:.1f}ms"
        return f"{self._stamp} gate {printable(told)}\n"


def _as_json(answered: Answered) -> str:
    fields = {**answered._asdict(), "elapsed_ms": round(answered.elapsed_ms, 3)}
    told = f"{answered.operation} {answered.status}"
    head = {"time": timestamp(time.time()), "level": "info", "msg": told, "process": "gate", "logger": "tidegate.gate"}
    return json.dumps({**head, **fields}, ensure_ascii=False) + "\n"


def to_standard_error(data: bytes) -> None:
    """A log that cannot be written (a full disk, a closed terminal) does not stop the gate."""
    try:
        os.write(sys.stderr.fileno(), data)
    except OSError:
        return
