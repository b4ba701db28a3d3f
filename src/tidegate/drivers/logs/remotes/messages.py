"""What is sent of a log: its records as messages, with the parts of long lines told apart."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from tidegate.engine.ports import LogRecord
from tidegate.spec.timestamps import parse_time

PART_SIZE_BYTES = 16 * 1024
"""A record of this length without an end of line is a part of a longer line (``shim/json_log.py``)."""


class Part(NamedTuple):
    """Which part of a line: counted from 1; all parts of the line have the ``id``."""

    id: str
    ordinal: int
    is_last: bool


class Message(NamedTuple):
    """``text`` is without its end of line."""

    text: str
    stream: str
    time_ns: int
    part: Part | None = None


class Remote(Protocol):
    """The other side of one container's log."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns when they are delivered, as far as the protocol tells. Raises OSError: nothing, some or all were."""
        ...

    def close(self) -> None: ...


class MessageReader:
    """Makes messages of records, in order; remembers unfinished lines."""

    def __init__(self) -> None:
        self._unfinished: dict[str, tuple[str, int]] = {}

    def read(self, records: Iterable[LogRecord]) -> Iterator[Message]:
        for record in records:
            text = record.log.removesuffix("\n")
            yield Message(text, record.stream, _time_ns(record.time), self._part(record))

    def _part(self, record: LogRecord) -> Part | None:
        ends = record.log.endswith("\n") or len(record.log.encode()) < PART_SIZE_BYTES
        identity, ordinal = self._unfinished.pop(record.stream, ("", 0))
        if ends and not ordinal:
            return None
        part = Part(identity or secrets.token_hex(32), ordinal + 1, ends)
        if not ends:
            self._unfinished[record.stream] = part.id, part.ordinal
        return part


@lru_cache(maxsize=64)  # the records of one write have the same time
def _time_ns(text: str) -> int:
    return parse_time(text, 0)
