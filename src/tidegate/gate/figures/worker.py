"""A worker's part in the figures: what it counts, shows, and, as the first one, serves.

Imported only where figures are asked for, and then while files can still be read.
"""

from collections.abc import Callable

import msgspec

from tidegate.gate.figures.board import Board
from tidegate.gate.figures.page import LIMITS, FiguresPage, keep_shown, tallies_of
from tidegate.gate.figures.tally import Tally
from tidegate.http.client import UnixClient
from tidegate.http.server import Server
from tidegate.pki.snapshot import Snapshot


class Sources(msgspec.Struct, frozen=True):
    """Where a worker's present state is read."""

    connections: Callable[[], int]
    cut: Callable[[], int]
    audit_position: Callable[[], int]
    snapshot: Callable[[], Snapshot]
    engine: UnixClient | None


class WorkerFigures:
    """Of the worker ``number`` among ``workers``; ``fd`` is their board."""

    def __init__(self, fd: int, number: int, workers: int, sources: Sources) -> None:
        self.tally = Tally()
        self._number = number
        self._board = Board(fd, workers)
        self._sources = sources

    def now(self) -> Tally:
        """The tally with what is open at this moment."""
        self.tally.connections = self._sources.connections()
        self.tally.cut = self._sources.cut()
        self.tally.audit_position = self._sources.audit_position()
        return self.tally

    def server(self) -> Server:
        """Of the page."""
        gather = tallies_of(self._board, self._number, self.now)
        return Server(FiguresPage(gather, self._sources.snapshot, self._sources.engine).handle, LIMITS)

    async def keep_shown(self) -> None:
        """Show the others what this worker counts, for ever."""
        await keep_shown(self._board, self._number, self.now)

    def note_handshake(self) -> None:
        self.tally.handshakes += 1

    def note_failed_handshake(self) -> None:
        self.tally.failed_handshakes += 1
