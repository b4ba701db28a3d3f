"""Descriptors come from the dialer in the order asked; what it cannot reach is said, and its end is noticed."""

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.base.errors import UnavailableError
from tidegate.gate.behind.dialer import Dialer, serve_dialer


def with_dialer(
    addresses: dict[str, Path],
    scenario: Callable[[Dialer], Awaitable[None]],
    files: dict[str, Callable[[], int]] | None = None,
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=serve_dialer, args=([theirs], addresses, files or {}))
    thread.start()

    async def main() -> None:
        dialer = Dialer(ours)
        try:
            async with asyncio.timeout(20):
                await scenario(dialer)
        finally:
            dialer.close()

    asyncio.run(main())
    thread.join(10)
    assert not thread.is_alive()


def listening(path: Path, backlog: int = 8) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(backlog)
    return listener


def test_connections_come_to_whom_they_were_asked_for(tmp_path: Path) -> None:
    listeners = {name: listening(tmp_path / name) for name in ("engine", "plugin")}

    async def scenario(dialer: Dialer) -> None:
        engine, plugin = await asyncio.gather(dialer.connect("engine"), dialer.connect("plugin"))
        assert engine.getpeername() == str(tmp_path / "engine")
        assert plugin.getpeername() == str(tmp_path / "plugin")
        assert not engine.getblocking()
        engine.close()
        plugin.close()

    with_dialer({name: tmp_path / name for name in listeners}, scenario)
    for listener in listeners.values():
        listener.close()


def test_files_are_opened_by_name_and_handed_over(tmp_path: Path) -> None:
    def open_it() -> int:
        return os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def fail() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def scenario(dialer: Dialer) -> None:
        fd = await dialer.open("file")
        os.write(fd, b"here")
        os.close(fd)
        with pytest.raises(UnavailableError, match="No space left"):
            await dialer.open("full")
        with pytest.raises(UnavailableError, match="knows no such"):
            await dialer.open("other")

    with_dialer({}, scenario, {"file": open_it, "full": fail})
    assert (tmp_path / "file").read_bytes() == b"here"


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere", "No such file"), ("other", "knows no such address"), ("dead", "refused")]
)
def test_what_cannot_be_reached_is_unavailable_and_says_why(tmp_path: Path, name: str, message: str) -> None:
    listening(tmp_path / "dead").close()

    async def scenario(dialer: Dialer) -> None:
        with pytest.raises(UnavailableError, match=message):
            await dialer.connect(name)

    with_dialer({"nowhere": tmp_path / "nowhere", "dead": tmp_path / "dead"}, scenario)


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    listener = listening(tmp_path / "engine", backlog=0)

    async def scenario(dialer: Dialer) -> None:
        first = await dialer.connect("engine")
        second = asyncio.create_task(dialer.connect("engine"))
        await asyncio.wait({second}, timeout=0.05)
        assert not second.done()
        listener.accept()[0].close()
        first.close()
        (await second).close()

    with_dialer({"engine": tmp_path / "engine"}, scenario)
    listener.close()


def test_a_dialer_that_ends_is_noticed_by_who_waits(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    async def main() -> None:
        dialer = Dialer(ours)
        waiting = asyncio.create_task(dialer.connect("engine"))
        await asyncio.sleep(0)
        theirs.close()
        with pytest.raises(UnavailableError, match="gone"):
            async with asyncio.timeout(10):
                await waiting
        dialer.close()

    asyncio.run(main())
