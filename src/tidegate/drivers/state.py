"""Metadata records in SQLite: fits ``engine.ports.StateStore``.

- one connection, used only by one thread: ``sqlite3`` never blocks the event loop, and writes keep their order;
- WAL: what was committed survives a kill of the engine. A durable change is committed with ``synchronous=FULL``, which
  syncs the log with everything in it, so that it survives a loss of power; with ``NORMAL`` the log is only written;
- ``MIGRATIONS`` are numbered by position and run once each, in one transaction; ``user_version`` is how many have run;
- a database of a newer engine is refused, not guessed at.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tidegate.base.errors import InternalError, NotSupportedError, TidegateError

MIGRATIONS: Sequence[str] = (
    "CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key))"
    " WITHOUT ROWID",
)

_T = TypeVar("_T")


class SqliteStateStore:
    """Open with ``open``; ``close`` waits for what is already written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._connection: sqlite3.Connection | None = None
        self._syncs = False

    async def open(self) -> None:
        """Open and migrate. Raises NotSupportedError for a newer database, InternalError when it cannot be read."""
        self._connection = await self._run(self._connect)

    async def close(self) -> None:
        """Flush and close; closing twice is fine."""
        if self._connection is not None:
            await self._run(self._connection.close)
            self._connection = None
        self._thread.shutdown(wait=False)

    async def put(self, kind: str, key: str, value: bytes, *, durable: bool = True) -> None:
        """Store one record. Raises InternalError."""
        await self.apply([(kind, key, value)], durable=durable)

    async def delete(self, kind: str, key: str, *, durable: bool = True) -> None:
        """Forget one record; one that is not there is success. Raises InternalError."""
        await self.apply([(kind, key, None)], durable=durable)

    async def apply(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool = True) -> None:
        """Several puts and deletes (None) as one transaction. Raises InternalError."""
        await self._run(lambda: self._write(changes, durable))

    async def load(self, kind: str) -> Mapping[str, bytes]:
        """Every record of a kind. Raises InternalError."""
        return await self._run(lambda: self._read(kind))

    async def _run(self, work: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise InternalError(f"state database {self._path.name}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._syncs = True
            self._path.chmod(0o600)
            migrate(connection, MIGRATIONS)
        except (sqlite3.Error, TidegateError):
            connection.close()
            raise
        return connection

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise InternalError("state database is not open")
        return self._connection

    def _write(self, changes: Sequence[tuple[str, str, bytes | None]], durable: bool) -> None:
        connection = self._opened()
        if durable != self._syncs:
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._syncs = durable
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            for kind, key, value in changes:
                if value is None:
                    connection.execute("DELETE FROM record WHERE kind = ? AND key = ?", (kind, key))
                else:
                    connection.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (kind, key, value))

    def _read(self, kind: str) -> Mapping[str, bytes]:
        rows = self._opened().execute("SELECT key, value FROM record WHERE kind = ? ORDER BY key", (kind,))
        return {key: bytes(value) for key, value in rows}


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run what has not run yet. Raises NotSupportedError when the database has run more than we know."""
    (done,) = connection.execute("PRAGMA user_version").fetchone()
    if done > len(migrations):
        raise NotSupportedError(f"state database is of a newer version ({done}, this engine knows {len(migrations)})")
    for number in range(done, len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            connection.execute(migrations[number])
            connection.execute(f"PRAGMA user_version = {number + 1}")
