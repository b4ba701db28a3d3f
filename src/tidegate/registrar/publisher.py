"""From a change of a file to a new snapshot at every gate worker.

- One read at a time; whatever happens during a read causes another one.
- A read that fails keeps what was published before and is logged: a file that is being written, or is wrong, locks
  nobody out and lets nobody in. It is read again on the next change.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from tidegate.base.errors import TidegateError
from tidegate.kernel.inotify import REPLACEMENT, Watch
from tidegate.pki.snapshot import Snapshot
from tidegate.registrar.sources import Sources

_log = logging.getLogger("tidegate.registrar")


class Publisher:
    """Numbers the snapshots from 1 on."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._published = Snapshot(generation=0)
        self._publish: Callable[[Snapshot], None] = lambda _: None
        self._reading = asyncio.Lock()
        self._failure = ""

    async def begin(self, publish: Callable[[Snapshot], None]) -> None:
        """The first snapshot. Raises InvalidParameterError or OSError when the files cannot be used."""
        self._publish = publish
        self._renew(await asyncio.to_thread(self._sources.read))

    async def refresh(self) -> None:
        """Read, and publish what is new."""
        async with self._reading:
            try:
                self._renew(await asyncio.to_thread(self._sources.read))
                self._failure = ""
            except (TidegateError, OSError) as error:
                reason = error.message if isinstance(error, TidegateError) else str(error)
                if reason != self._failure:
                    _log.error("what was published stays in force: %s", reason)
                self._failure = reason

    async def follow(self) -> None:
        """Refresh at each change, for ever. Raises OSError when the directories cannot be watched."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        with Watch(*self._sources.directories(), mask=REPLACEMENT) as watch:
            loop.add_reader(watch.fd, changed.set)
            try:
                while True:
                    await self.refresh()  # first of all: what happened before the watch began
                    await changed.wait()
                    changed.clear()
                    watch.drain()
                    for directory in self._sources.directories():
                        watch.add(directory)  # a link may point elsewhere now
            finally:
                loop.remove_reader(watch.fd)

    def _renew(self, read: Snapshot) -> None:
        snapshot = msgspec.structs.replace(read, generation=self._published.generation)
        if snapshot == self._published and snapshot.generation:
            return
        self._published = msgspec.structs.replace(snapshot, generation=snapshot.generation + 1)
        _log.info("snapshot %d: %d clients", self._published.generation, len(self._published.clients))
        self._publish(self._published)
