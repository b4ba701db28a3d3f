"""What containers use (``docker stats``): samples, and two of them for what is told as a rate.

- A sampler is resident: it looks at every running container now and then, so that whoever asks once is answered at once
  with the sample before. A container that it has not seen yet is looked at twice, a moment apart.
- Streams share samples: a hundred listeners to one container cost one reading a second.
- A container that does not run has no samples; one that is removed ends its streams.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from tidegate.base.errors import NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.ports import Clock
from tidegate.kernel.cgroups.usage import CgroupUsage
from tidegate.kernel.host_usage import InterfaceUsage
from tidegate.model.container import Container
from tidegate.model.phases import Phase

IDLE_S = 10.0
STREAM_S = 1.0
FIRST_LOOK_S = 0.1
SHARED_NS = 200_000_000
APART_NS = 500_000_000
_KEPT = 4
_WITH_PROCESSES = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})
_log = logging.getLogger(__name__)
Pause = Callable[[float], Awaitable[None]]


class Sample(msgspec.Struct, frozen=True):
    """A container's counters at one moment, with the host's."""

    at_ns: int
    usage: CgroupUsage
    host_cpu_ns: int
    interfaces: Mapping[str, InterfaceUsage] = {}


class Reading(NamedTuple):
    """``now`` is None of a container that does not run, ``before`` where only one sample was asked for."""

    container: Container
    now: Sample | None = None
    before: Sample | None = None


class Meters(msgspec.Struct, frozen=True):
    """Where the counters are read; each may block. ``interfaces`` takes a pid."""

    usage: Callable[[str], CgroupUsage]
    host_cpu_ns: Callable[[], int]
    interfaces: Callable[[int], Mapping[str, InterfaceUsage]]


class StatsService:
    """``run`` is a task for the engine's life."""

    def __init__(
        self, containers: ContainerService, meters: Meters, clock: Clock, pause: Pause = asyncio.sleep
    ) -> None:
        self._containers, self._meters, self._clock, self._pause = containers, meters, clock, pause
        self._samples: dict[tuple[str, int], deque[Sample]] = {}

    async def run(self) -> None:
        """Look at everything that runs, until cancelled."""
        while True:
            running = [each for each in self._containers.list() if each.state.phase in _WITH_PROCESSES]
            self._forget_all_but({_key(each) for each in running})
            for container in running:
                try:
                    await self._sample(container)
                except OSError as error:
                    told = {"container": container.id, "name": container.name, "error": str(error)}
                    _log.warning("no statistics of container %s: %s", container.id[:12], error, extra={"fields": told})
            await self._pause(IDLE_S)

    def newest(self) -> Iterable[tuple[Container, Sample]]:
        """The last look at each container that runs, without another one."""
        for container in self._containers.list():
            kept = self._samples.get(_key(container))
            if kept and container.state.phase in _WITH_PROCESSES:
                yield container, kept[-1]

    async def once(self, name_or_id: str, *, one_shot: bool = False) -> Reading:
        """A reading; with ``one_shot`` without an earlier one. Raises NotFoundError."""
        container = self._containers.resolve(name_or_id)
        if container.state.phase not in _WITH_PROCESSES:
            return Reading(container)
        if not one_shot and _key(container) not in self._samples:
            await self._sample(container)
            await self._pause(FIRST_LOOK_S)
        earlier = None if one_shot else self._earlier(container)
        return Reading(container, await self._sample(container), earlier)

    async def stream(self, name_or_id: str) -> AsyncIterator[Reading]:
        """A reading a second, until the container is removed. Raises NotFoundError before the first."""
        container_id = self._containers.resolve(name_or_id).id
        reading = await self.once(container_id)
        return self._stream(container_id, reading)

    async def _stream(self, container_id: str, reading: Reading) -> AsyncIterator[Reading]:
        while True:
            yield reading
            await self._pause(STREAM_S)
            try:
                now = await self.once(container_id)
            except NotFoundError:
                return
            before = reading.now if now.now and _key(now.container) == _key(reading.container) else None
            reading = now._replace(before=before or now.before)

    def _earlier(self, container: Container) -> Sample | None:
        """The newest sample that is far enough away to tell a rate, or else the oldest."""
        kept = self._samples.get(_key(container), deque())
        now_ns = self._clock()
        far = [sample for sample in kept if now_ns - sample.at_ns >= APART_NS]
        return far[-1] if far else kept[0] if kept else None

    async def _sample(self, container: Container) -> Sample:
        kept = self._samples.setdefault(_key(container), deque(maxlen=_KEPT))
        if kept and self._clock() - kept[-1].at_ns < SHARED_NS and len(kept) > 1:
            return kept[-1]
        sample = await asyncio.to_thread(self._read, container)
        kept.append(sample)
        return sample

    def _read(self, container: Container) -> Sample:
        networked = container.settings.network != "host"
        return Sample(
            self._clock(),
            self._meters.usage(container.id),
            self._meters.host_cpu_ns(),
            self._meters.interfaces(container.state.pid) if networked else {},
        )

    def _forget_all_but(self, keys: set[tuple[str, int]]) -> None:
        self._samples = {key: samples for key, samples in self._samples.items() if key in keys}


def _key(container: Container) -> tuple[str, int]:
    """Of one run: counters begin anew with the next."""
    return container.id, container.state.started_at_ns
