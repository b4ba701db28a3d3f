"""The forwarder's one loop: a shipper for each container that is assigned, woken by what happens in the directories."""

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterable

import msgspec

from tidegate.drivers.logs.forwarding.places import Places, Stage
from tidegate.drivers.logs.forwarding.shipper import Shipper
from tidegate.kernel.inotify import GROWTH, Watch

_log = logging.getLogger(__name__)

RETRY_S = 5.0


class Forwarder:
    """On one directory; there is one forwarder for it at a time."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock_fd = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._watch = Watch(places.assigned, mask=GROWTH)
        self._shippers: dict[str, Shipper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._something = asyncio.Event()

    async def run(self) -> None:
        """Until there is nothing to send and no container runs that could write more."""
        with self._watch as watch:
            asyncio.get_running_loop().add_reader(watch.fd, self._something.set)
            while self._locked():
                self._look_at(self._places.ids())
                while self._tasks:
                    await self._something.wait()
                    self._something.clear()
                    self._look_at(self._named(watch.drain()))
                # Whoever assigns a container now finds no forwarder; whoever did before is seen by one look more.
                fcntl.lockf(self._lock_fd, fcntl.LOCK_UN)
                if all(self._is_over(container_id) for container_id in self._places.ids()):
                    return

    def _locked(self) -> bool:
        try:
            fcntl.lockf(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _named(self, names: set[str]) -> set[str]:
        """The containers that were assigned anew; the shippers whose logs changed are woken."""
        if "" in names:  # more happened than could be told
            for shipper in self._shippers.values():
                shipper.wake()
            return set(self._places.ids())
        for name in names:
            if (grown := self._shippers.get(name.partition(".log")[0])) is not None:
                grown.wake()
        return {name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")}

    def _look_at(self, container_ids: Iterable[str]) -> None:
        for container_id in container_ids:
            try:
                assignment = self._places.read(container_id)
            except (OSError, msgspec.DecodeError) as error:
                _log.warning("%s: its assignment cannot be read: %s", container_id[:12], error)
                continue
            if assignment is None:
                continue
            if container_id in self._shippers:
                self._shippers[container_id].assign(assignment)
            else:
                self._begin(container_id, Shipper(self._places, container_id, assignment))

    def _begin(self, container_id: str, shipper: Shipper) -> None:
        self._shippers[container_id] = shipper
        task = asyncio.get_running_loop().create_task(self._ship(container_id, shipper), name=f"ship-{container_id}")
        self._tasks[container_id] = task
        task.add_done_callback(lambda _: self._ended(container_id))

    async def _ship(self, container_id: str, shipper: Shipper) -> None:
        while True:
            try:
                directory = self._places.directory(container_id)
                directory.mkdir(exist_ok=True, mode=0o700)  # the shim makes it too; whoever comes first
                self._watch.add(directory)
                return await shipper.run()
            except OSError as error:
                _log.warning("%s: its log cannot be read: %s", container_id[:12], error)
            except Exception:  # noqa: BLE001 - the fault of one log stops none of the others
                _log.exception("%s: its log cannot be sent", container_id[:12])
            await asyncio.sleep(RETRY_S)

    def _ended(self, container_id: str) -> None:
        shipper = self._shippers.pop(container_id)
        del self._tasks[container_id]
        self._something.set()
        if self._places.read(container_id) != shipper.assignment:
            self._look_at([container_id])  # it was assigned anew in the last moment

    def _is_over(self, container_id: str) -> bool:
        assignment = self._places.read(container_id)
        return assignment is None or assignment.stage is Stage.ENDED
