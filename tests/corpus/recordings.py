"""What real clients were seen to send: the one collection, for whoever reads requests and for whoever decides on them.

A file for each client, a line ``{"method", "target", "body"}`` for each request. ``sessions/`` is everyday work that
``record.py`` makes from ``scripts/``: a developer may do all of it. ``flags/`` are commands with every flag that there
is: they have to be read, whoever may do them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Recorded(NamedTuple):
    """A request; ``body`` is "" when there was none, or when it was a stream."""

    method: str
    target: str
    body: str


def everyday() -> Iterator[Recorded]:
    """Of everyday sessions."""
    return _read(HERE / "sessions")


def everything() -> Iterator[Recorded]:
    """Of sessions and of every flag."""
    yield from everyday()
    yield from _read(HERE / "flags")


def _read(directory: Path) -> Iterator[Recorded]:
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            request = json.loads(line)
            yield Recorded(request["method"], request["target"], request.get("body", ""))
