"""The process that works with keys: started for work, gone without, and no harm when it is killed."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.base.errors import InternalError, UnauthorizedError
from tidegate.pki.authority import Authority
from tidegate.pki.registrar_messages import Retire
from tidegate.registrar.key_process import KeyProcess


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    Authority(root, own_names=lambda: ("localhost",)).ensure_all()
    return root


def play(keys_of: Callable[[], KeyProcess], body: Callable[[KeyProcess], Awaitable[None]]) -> None:
    async def scene() -> None:
        keys = keys_of()
        try:
            await asyncio.wait_for(body(keys), 60)
        finally:
            await keys.close()

    asyncio.run(scene())


def test_work_is_done_by_one_process_that_ends_when_idle(data_root: Path) -> None:
    async def body(keys: KeyProcess) -> None:
        assert await keys.keep_up(data_root / "pki/server/cert.pem") == []
        first = keys._running
        assert first is not None
        assert await asyncio.gather(keys.keep_up(None), keys.keep_up(None)) == [[], []]
        assert keys._running is first
        assert await first.wait() == 0
        assert await keys.keep_up(None) == []
        assert keys._running is not first

    play(lambda: KeyProcess(data_root, idle_s=0.5), body)


def test_errors_come_back_as_what_they_were(data_root: Path) -> None:
    async def body(keys: KeyProcess) -> None:
        with pytest.raises(UnauthorizedError):
            pem = (data_root / "pki/clients/admin/cert.pem").read_text()
            await keys.grant(Retire(certificate_pem=pem, serial="1", proof=""))

    play(lambda: KeyProcess(data_root), body)


def test_a_killed_one_fails_what_it_was_asked_and_is_replaced(data_root: Path) -> None:
    async def body(keys: KeyProcess) -> None:
        await keys.keep_up(None)
        assert keys._running is not None
        os.kill(keys._running.pid, signal.SIGKILL)
        await keys._running.wait()
        with pytest.raises(InternalError, match="ended"):
            await keys.keep_up(None)
        assert await keys.keep_up(None) == []

    play(lambda: KeyProcess(data_root), body)


def test_a_request_given_up_does_not_answer_the_next(data_root: Path) -> None:
    async def body(keys: KeyProcess) -> None:
        await keys.keep_up(None)
        asking = asyncio.create_task(keys.keep_up(None))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        with pytest.raises(UnauthorizedError):
            pem = (data_root / "pki/clients/admin/cert.pem").read_text()
            await keys.grant(Retire(certificate_pem=pem, serial="1", proof=""))

    play(lambda: KeyProcess(data_root), body)
