"""From a change of a file to a new snapshot at every gate worker.

- One read at a time; whatever happens during a read causes another one.
- A read that fails keeps what was published before and is logged: a file that is being written, or is wrong, locks
  nobody out and lets nobody in. It is read again on the next change.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

import msgspec

from tidegate.base.errors import TidegateError
from tidegate.kernel.inotify import REPLACEMENT, Watch
from tidegate.pki.snapshot import Snapshot
from tidegate.registrar.sources import Sources

_SETTLE_S = 0.05
_log = logging.getLogger("tidegate.registrar")


class Publisher:
    """Numbers the snapshots from 1 on."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.published = Snapshot(generation=0)
        self._publish: Callable[[Snapshot], None] = lambda _: None
        self._reading = asyncio.Lock()
        self._failure = ""
        self._changed: set[str] = set()

    async def begin(self, publish: Callable[[Snapshot], None]) -> None:
        """The first snapshot. Raises InvalidParameterError or OSError when the files cannot be used."""
        self._publish = publish
        self._renew(await asyncio.to_thread(self._sources.read))

    async def refresh(self) -> None:
        """Read, and publish what is new; a failure is logged, once while it lasts."""
        failure = await self._read(None)
        if failure and failure != self._failure:
            _log.error("what was published stays in force: %s", failure)
            self._failure = failure

    async def follow(self) -> None:
        """Refresh at each change, for ever. Raises OSError when the directories cannot be watched."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        with Watch(*self._sources.directories(), mask=REPLACEMENT) as watch:

            def note() -> None:
                # A hidden name is a lock, or a file that is still to be renamed.
                self._changed |= {name for name in watch.drain() if not name.startswith(".")}
                if self._changed:
                    changed.set()

            loop.add_reader(watch.fd, note)
            try:
                while True:
                    names, self._changed = self._changed, set()
                    if await self._read(
                        names if names and "" not in names else None
                    ):  # perhaps the second of two files that belong together is on its way
                        await asyncio.sleep(_SETTLE_S)
                        await self.refresh()
                    await changed.wait()
                    changed.clear()
                    for directory in self._sources.directories():
                        watch.add(directory)  # a link may point elsewhere now
            finally:
                loop.remove_reader(watch.fd)

    async def _read(self, changed: Collection[str] | None) -> str:
        """What is wrong with the files, "" when they were read and, if new, published."""
        async with self._reading:
            try:
                self._renew(await asyncio.to_thread(self._sources.read, changed))
            except TidegateError as error:
                return error.message
            except OSError as error:
                return str(error)
            self._failure = ""
            return ""

    def _renew(self, read: Snapshot) -> None:
        snapshot = msgspec.structs.replace(read, generation=self.published.generation)
        if snapshot == self.published and snapshot.generation:
            return
        self.published = msgspec.structs.replace(snapshot, generation=snapshot.generation + 1)
        _log.info("snapshot %d: %d clients", self.published.generation, len(self.published.clients))
        self._publish(self.published)
