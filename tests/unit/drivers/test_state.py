"""What is particular to the SQLite store: migrations, transactions, survival."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tidegate.base.errors import InternalError, NotSupportedError
from tidegate.drivers.state import MIGRATIONS, SqliteStateStore, migrate


def test_records_survive_an_engine_that_never_closes(tmp_path: Path) -> None:
    async def body() -> None:
        first = SqliteStateStore(tmp_path / "s" / "state.db")
        await first.open()
        await first.put("k", "a", b"\x00\xff")
        second = SqliteStateStore(tmp_path / "s" / "state.db")
        await second.open()
        assert await second.load("k") == {"a": b"\x00\xff"}
        await second.close()
        await first.close()

    asyncio.run(body())


def test_the_log_is_synced_for_durable_changes_only(tmp_path: Path) -> None:
    """``PRAGMA synchronous``: 2 is FULL, 1 is NORMAL, which leaves the write-ahead log to the kernel."""

    async def body() -> None:
        store = SqliteStateStore(tmp_path / "state.db")
        await store.open()
        modes = []
        for durable in (True, False, False, True):
            await store.put("k", "a", b"1", durable=durable)
            modes.append(await store._run(lambda: store._opened().execute("PRAGMA synchronous").fetchone()[0]))
        assert modes == [2, 1, 1, 2]
        await store.delete("k", "a", durable=False)
        assert await store.load("k") == {}
        await store.close()

    asyncio.run(body())


def test_a_failing_change_takes_the_whole_transaction_with_it(tmp_path: Path) -> None:
    async def body() -> None:
        store = SqliteStateStore(tmp_path / "state.db")
        await store.open()
        with pytest.raises(InternalError):
            await store.apply([("k", "a", b"1"), (None, "b", b"2")])  # type: ignore[list-item]
        assert await store.load("k") == {}
        await store.put("k", "c", b"3")
        await store.close()

    asyncio.run(body())


def test_a_newer_database_is_refused_and_an_unopened_one_is_an_error(tmp_path: Path) -> None:
    async def body() -> None:
        connection = sqlite3.connect(tmp_path / "state.db")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        store = SqliteStateStore(tmp_path / "state.db")
        with pytest.raises(NotSupportedError, match="newer"):
            await store.open()
        with pytest.raises(InternalError, match="not open"):
            await store.load("k")
        await store.close()

    asyncio.run(body())


def test_a_file_that_is_no_database_is_an_internal_error(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database at all" * 100)

    async def body() -> None:
        store = SqliteStateStore(tmp_path / "state.db")
        with pytest.raises(InternalError):
            await store.open()
        await store.close()

    asyncio.run(body())


def test_migrations_run_once_and_go_on_where_they_stopped() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, MIGRATIONS)
    migrate(connection, MIGRATIONS)
    migrate(connection, [*MIGRATIONS, "CREATE TABLE later (x)"])
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    connection.execute("SELECT x FROM later")
