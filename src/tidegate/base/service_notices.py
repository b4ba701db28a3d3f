"""What a service tells the service manager that has started it: ready, alive, ending (sd_notify(3)); and what it asks.

- Where nobody asked for notices, all of it does nothing.
- Taken from the environment once, early: what is started later (``crun`` would wait for a container's own notice) must
  not inherit it, and the socket must be reached from another mount namespace too.
"""

import asyncio
import logging
import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

ASK_TIMEOUT_S = 5.0
_log = logging.getLogger("tidegate")
_BOOTED = Path("/run/systemd/system")
_NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceNotices:
    """``sock`` is connected to the manager; ``watchdog_s`` is how long it waits for a sign of life, 0 for ever."""

    def __init__(self, sock: socket.socket | None = None, watchdog_s: float = 0.0) -> None:
        self._sock = sock
        self._watchdog_s = watchdog_s

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> "ServiceNotices":
        """What ``environment`` asks for, which is taken out of it. Raises OSError for a socket nobody reads."""
        path, watchdog_us, pid = (environment.pop(name, "") for name in _NAMES)
        if not path:
            return cls()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.connect(f"\0{path[1:]}" if path.startswith("@") else path)
        ours = not pid or pid == str(os.getpid())
        return cls(sock, int(watchdog_us or 0) / 1e6 if ours else 0.0)

    async def tell_until(self, stop: asyncio.Event) -> None:
        """Ready now, alive until ``stop`` or cancelled, and then ending."""
        self._tell(b"READY=1")
        alive = asyncio.create_task(self._keep_alive(), name="service-alive")
        try:
            await stop.wait()
        finally:
            alive.cancel()
            self._tell(b"STOPPING=1")

    async def _keep_alive(self) -> None:
        """Say that the event loop turns, twice in the time that the manager waits."""
        while self._sock is not None and self._watchdog_s > 0:
            self._tell(b"WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2)

    def _tell(self, what: bytes) -> None:
        if self._sock is not None:
            self._sock.send(what)


async def host_is_ending(
    booted: Path = _BOOTED, systemctl: str = "systemctl", answer_within_s: float = ASK_TIMEOUT_S
) -> bool:
    """Whether the host is being shut down, as its systemd says; without one, or without its answer, it is not."""
    if not booted.is_dir():
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            systemctl, "is-system-running", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except OSError as error:
        _log.warning("systemd cannot be asked whether the host ends: %s", error)
        return False
    try:
        async with asyncio.timeout(answer_within_s):
            said, _ = await process.communicate()
    except TimeoutError:
        _log.warning("systemd does not say whether the host ends")
        process.kill()
        await process.wait()
        return False
    return said.strip() == b"stopping"
