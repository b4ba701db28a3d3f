"""What every StateStore keeps: run on SQLite and on the fake."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from tests.fakes.state import FakeStateStore

from tidegate.drivers.state import SqliteStateStore
from tidegate.engine.ports import StateStore

Opener = Callable[[], AbstractAsyncContextManager[StateStore]]


@pytest.fixture(params=["sqlite", "fake"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    @asynccontextmanager
    async def sqlite() -> AsyncIterator[StateStore]:
        store = SqliteStateStore(tmp_path / "state.db")
        await store.open()
        yield store
        await store.close()

    @asynccontextmanager
    async def fake() -> AsyncIterator[StateStore]:
        yield FakeStateStore()

    return sqlite if request.param == "sqlite" else fake


def test_a_put_is_loaded_by_its_kind_and_replaced_by_its_key(opened: Opener) -> None:
    async def body() -> None:
        async with opened() as store:
            await store.put("container", "a", b"1")
            await store.put("container", "a", b"2")
            await store.put("volume", "a", b"3")
            assert await store.load("container") == {"a": b"2"}
            assert await store.load("nothing") == {}

    asyncio.run(body())


def test_delete_is_idempotent(opened: Opener) -> None:
    async def body() -> None:
        async with opened() as store:
            await store.put("container", "a", b"1")
            await store.delete("container", "a")
            await store.delete("container", "a")
            assert await store.load("container") == {}

    asyncio.run(body())


def test_apply_puts_and_deletes_in_order(opened: Opener) -> None:
    async def body() -> None:
        async with opened() as store:
            await store.apply([("k", "a", b"1"), ("k", "b", b"2"), ("k", "a", None)])
            assert await store.load("k") == {"b": b"2"}

    asyncio.run(body())


def test_concurrent_puts_are_all_kept(opened: Opener) -> None:
    async def body() -> None:
        async with opened() as store:
            await asyncio.gather(*(store.put("k", str(number), b"x") for number in range(50)))
            assert len(await store.load("k")) == 50

    asyncio.run(body())
