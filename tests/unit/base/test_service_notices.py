"""What a service manager is told, as systemd would hear it."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tidegate.base.service_notices import ServiceNotices, host_is_ending


def manager(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.settimeout(5)
    return sock


def test_a_service_is_ready_alive_and_ending(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000", "PATH": "/bin"}
    environment["WATCHDOG_PID"] = str(os.getpid())
    with manager(tmp_path / "notify") as heard:
        notices = ServiceNotices.taken_from(environment)
        assert environment == {"PATH": "/bin"}

        async def live() -> None:
            stop = asyncio.Event()
            telling = asyncio.create_task(notices.tell_until(stop))
            assert await asyncio.to_thread(heard.recv, 100) == b"READY=1"
            assert await asyncio.to_thread(heard.recv, 100) == b"WATCHDOG=1"
            stop.set()
            await telling

        asyncio.run(live())
        assert heard.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("watched", [{}, {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}])
def test_nobody_else_is_told_to_be_alive(tmp_path: Path, watched: dict[str, str]) -> None:
    with manager(tmp_path / "notify") as heard:
        notices = ServiceNotices.taken_from({"NOTIFY_SOCKET": str(tmp_path / "notify"), **watched})
        stop = asyncio.Event()
        stop.set()
        asyncio.run(notices.tell_until(stop))
        assert [heard.recv(100), heard.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_an_abstract_socket_is_meant_by_an_at_sign() -> None:
    name = f"tidegate-notices-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        stop = asyncio.Event()
        stop.set()
        asyncio.run(ServiceNotices.taken_from({"NOTIFY_SOCKET": f"@{name}"}).tell_until(stop))
        assert heard.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_told() -> None:
    stop = asyncio.Event()
    stop.set()
    asyncio.run(ServiceNotices.taken_from({"WATCHDOG_USEC": "2000000"}).tell_until(stop))


@pytest.mark.parametrize(("said", "ending"), [("stopping", True), ("running", False), ("degraded", False)])
def test_systemd_says_whether_the_host_ends(tmp_path: Path, said: str, ending: bool) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$*" = is-system-running ] && echo {said}\nexit 1\n')
    systemctl.chmod(0o755)
    assert asyncio.run(host_is_ending(tmp_path, str(systemctl))) is ending


def test_without_systemd_or_its_answer_the_host_goes_on(tmp_path: Path) -> None:
    assert asyncio.run(host_is_ending(tmp_path / "none", "/nowhere/systemctl")) is False
    assert asyncio.run(host_is_ending(tmp_path, "/nowhere/systemctl")) is False
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    silent.chmod(0o755)
    assert asyncio.run(host_is_ending(tmp_path, str(silent), 0.05)) is False
