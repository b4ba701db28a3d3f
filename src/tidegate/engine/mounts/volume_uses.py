"""Which volumes are mounted for whom: a volume with a device is mounted at its first use and unmounted after its last.

- A user is a container that runs, or whoever reads the files of one at rest.
- The truth about what is mounted is the kernel's: ``settle`` comes at boot, when it is known who runs, and unmounts
  what an engine that was killed has left.
"""

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from tidegate.engine.file_ports import VolumeStore
from tidegate.engine.mounts.volume_options import device_mount

Options = Mapping[str, str]


class VolumeUses:
    """``options`` answers those of a volume. A volume without a device needs no mount, and costs nothing here."""

    def __init__(self, store: VolumeStore, options: Callable[[str], Options]) -> None:
        self._store, self._options = store, options
        self._users: defaultdict[str, set[str]] = defaultdict(set)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._numbers = itertools.count(1)

    async def begin(self, names: Iterable[str], user: str) -> None:
        """Have them mounted; ``end`` is owed, also after an error. Raises InternalError with the kernel's reason."""
        for name in names:
            wanted = device_mount(self._options(name))
            if wanted is None:
                continue
            async with self._locks[name]:
                self._users[name].add(user)
                await self._store.mount(name, wanted)

    async def end(self, user: str) -> None:
        """The user needs none of them any more; idempotent. Raises InternalError."""
        for name in [name for name, users in self._users.items() if user in users]:
            async with self._locks[name]:
                self._users[name].discard(user)
                if not self._users[name]:
                    await self._store.unmount(name)
                    del self._users[name]

    async def settle(self, running: Mapping[str, Iterable[str]], names: Iterable[str]) -> None:
        """At boot: ``running`` are the volumes by container; of ``names`` what nobody uses is unmounted."""
        for user, used in running.items():
            for name in used:
                if device_mount(self._options(name)) is not None:
                    self._users[name].add(user)
        for name in names:
            async with self._locks[name]:
                if not self._users.get(name):
                    await self._store.unmount(name)

    @contextlib.asynccontextmanager
    async def hold(self, names: Iterable[str]) -> AsyncIterator[None]:
        """Mounted for as long as the context lasts."""
        user = f"hold {next(self._numbers)}"
        try:
            await self.begin(names, user)
            yield
        finally:
            await asyncio.shield(self.end(user))
