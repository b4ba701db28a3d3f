"""The lines that are appended to the audits of a directory, as they come, from whichever file."""

import os
import select
from collections.abc import Iterable, Iterator
from pathlib import Path

from tidegate.base.errors import InvalidParameterError
from tidegate.kernel.inotify import Watch
from tidegate.pki.audit.files import audit_files
from tidegate.spec.audit.chain import Line, parse_line
from tidegate.spec.audit.query import Entries, Entry


class Follower:
    """What is appended from the moment it is made. Raises OSError when the directory cannot be watched."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._watch = Watch(directory)
        self._read_bytes = {path: path.stat().st_size for path in audit_files(directory)}
        self._rests: dict[Path, bytes] = {}

    def batches(self) -> Iterator[list[Line]]:
        """Whole lines, by time; waits for more, for ever."""
        with self._watch:
            while True:
                select.select([self._watch.fd], [], [])
                self._watch.drain()
                lines = [line for path in audit_files(self._directory) for line in self._new_lines(path)]
                if lines:
                    yield sorted(lines, key=lambda line: line.time)

    def _new_lines(self, path: Path) -> Iterator[Line]:
        start = self._read_bytes.get(path, 0)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, "rb") as stream:
            stream.seek(start)
            content = stream.read()
        self._read_bytes[path] = start + len(content)
        *whole, self._rests[path] = (self._rests.get(path, b"") + content).split(b"\n")
        for raw in whole:
            try:
                yield parse_line(raw)
            except InvalidParameterError:
                continue  # what is no line is for ``verify`` to find


def news(batches: Iterable[list[Line]]) -> Iterator[list[Entry]]:
    """What each batch says that is new: a stream is told of when it begins and, days later perhaps, when it ends."""
    joining = Entries()
    told: dict[tuple[str, int], Entry] = {}
    for batch in batches:
        over = [entry for line in batch if (entry := joining.add(line)) is not None]
        known, told = told, {(entry.line.chain, entry.line.seq): entry for entry in joining.under_way()}
        yield [*over, *(entry for place, entry in told.items() if known.get(place) is not entry)]
