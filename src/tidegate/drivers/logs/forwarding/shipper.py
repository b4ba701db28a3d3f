"""One container's log on its way to its remote: chunk by chunk, again after every failure, and never ahead of itself.

- A chunk is committed when the remote has it: one that was under way when forwarder or connection died is sent again.
- What may not wait any longer is dropped, oldest first, and counted: beyond the limit of non-blocking mode, after as
  many attempts as the driver's options allow, and when the container has been gone for long.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from tidegate.drivers.logs.forwarding.places import Assignment, Places, Stage
from tidegate.drivers.logs.forwarding.spool import Chunk, Spool
from tidegate.drivers.logs.reader import decode_records
from tidegate.drivers.logs.remotes.fluentd import FluentdRemote
from tidegate.drivers.logs.remotes.gelf import GELFRemote
from tidegate.drivers.logs.remotes.journald import JournaldRemote
from tidegate.drivers.logs.remotes.messages import MessageReader, Remote
from tidegate.drivers.logs.remotes.syslog import SyslogRemote
from tidegate.engine.logging.plans import Retries, plan_retries
from tidegate.engine.logging.remote import RemoteLog

_log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
REMOVED_LIMIT_S = 300.0
"""How long the log of a removed container waits for its remote."""
DROPS_TOLD_EVERY_S = 10.0

Remotes = Mapping[str, Callable[[RemoteLog], Remote]]
REMOTES: Remotes = {
    "fluentd": FluentdRemote,
    "gelf": GELFRemote,
    "journald": JournaldRemote,
    "syslog": SyslogRemote,
}


class _Drops:
    """Tells of dropped lines, not of each one."""

    def __init__(self, container_id: str) -> None:
        self._id, self._untold, self._told_at_s = container_id, 0, -DROPS_TOLD_EVERY_S

    def add(self, lines: int) -> None:
        self._untold += lines
        if time.monotonic() - self._told_at_s > DROPS_TOLD_EVERY_S:
            self.report()

    def report(self) -> None:
        if self._untold:
            _log.warning(
                "%s: %d lines of its log were dropped: its remote did not take them", self._id[:12], self._untold
            )
            self._untold, self._told_at_s = 0, time.monotonic()


class Shipper:
    """``run`` returns when there is nothing more to do for the container, unless it runs again."""

    def __init__(self, places: Places, container_id: str, assignment: Assignment, remotes: Remotes = REMOTES) -> None:
        self._places, self._id, self._remotes = places, container_id, remotes
        self.assignment = assignment
        self._changed = asyncio.Event()
        self._remote: Remote | None = None
        self._made_for: RemoteLog | None = None
        self._failures = 0
        self._drops = _Drops(container_id)

    def wake(self) -> None:
        """The log grew, or was rotated."""
        self._changed.set()

    def assign(self, assignment: Assignment) -> None:
        """From the next chunk on."""
        self.assignment = assignment
        self._changed.set()

    async def run(self) -> None:
        """Raises OSError: the local log cannot be read."""
        with contextlib.closing(Spool(self._places.log(self._id), self._places.position(self._id))) as spool:
            try:
                await self._run(spool)
            finally:
                self._let_go()
                self._drops.report()
        if self.assignment.stage is Stage.REMOVED:
            self._places.forget(self._id)

    async def _run(self, spool: Spool) -> None:
        reader = MessageReader()
        while True:
            self._changed.clear()
            while (chunk := self._next(spool)) is not None:
                try:
                    remote = self._connected()
                    await remote.send(list(reader.read(decode_records(chunk.lines))))
                except OSError as error:
                    reader = MessageReader()
                    await self._failed(spool, chunk, error)
                else:
                    spool.commit(chunk)
                    self._recovered()
            if self.assignment.stage is not Stage.RUNNING:
                return
            await self._changed.wait()

    def _next(self, spool: Spool) -> Chunk | None:
        limit = self.assignment.remote.limit_bytes
        if limit is not None:
            self._drops.add(spool.drop_beyond(limit))
        return spool.read(CHUNK_BYTES)

    def _connected(self) -> Remote:
        wanted = self.assignment.remote
        if self._remote is None or self._made_for != wanted:
            self._let_go()
            self._remote, self._made_for = self._remotes[wanted.driver](wanted), wanted
        return self._remote

    def _let_go(self) -> None:
        if self._remote is not None:
            self._remote.close()
            self._remote = None

    async def _failed(self, spool: Spool, chunk: Chunk, error: OSError) -> None:
        """Wait for the next attempt, or give the chunk up."""
        self._failures += 1
        if self._failures == 1:
            _log.warning("%s: %s does not take its log: %s", self._id[:12], self.assignment.remote.driver, error)
        retries = plan_retries(self.assignment.remote.options)
        if self._gives_up(retries):
            count = chunk.lines.count(b"\n")
            spool.commit(chunk, dropped=count)
            self._drops.add(count)
            self._failures = 0
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(retries.pause_s(self._failures)):
                await self._reassigned()

    async def _reassigned(self) -> None:
        known = self.assignment
        while self.assignment is known:
            self._changed.clear()
            await self._changed.wait()

    def _gives_up(self, retries: Retries) -> bool:
        if retries.most is not None and self._failures > retries.most:
            return True
        assigned = self.assignment
        return assigned.stage is Stage.REMOVED and time.time() - assigned.since_s > REMOVED_LIMIT_S

    def _recovered(self) -> None:
        if self._failures:
            _log.warning("%s: %s takes its log again", self._id[:12], self.assignment.remote.driver)
        self._failures = 0
