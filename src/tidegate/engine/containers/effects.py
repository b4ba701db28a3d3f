"""How the orders of a container's machine are performed on the ports.

``Launch`` is a linear list of acquires; it undoes nothing itself. Whatever a launch acquired, whole or in part, is
given back by ``Release``, its idempotent reverse, which the machine orders after every failure, exit or crash.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeVar, cast

import msgspec

from tidegate.base.errors import ConflictError, InternalError, NotFoundError, TidegateError, UnavailableError
from tidegate.engine.containers.early_streams import EarlyStreams
from tidegate.engine.event_sources.container_events import ContainerEvents
from tidegate.engine.file_ports import ContainerMounts, ContainerVolumes
from tidegate.engine.isolation.user_namespaces import ContainerUserNamespaces
from tidegate.engine.logging.remote import RemoteLogs
from tidegate.engine.ports import (
    BridgeAttachment,
    BridgeNetwork,
    Clock,
    ContainerProcess,
    PortPublication,
    RootFilesystems,
    Runtime,
    StateStore,
)
from tidegate.model import phases as p
from tidegate.model.container import Container
from tidegate.model.phases import Effect, Event

CONTAINER = "container"
ATTACHMENT = "attachment"
LAUNCH_FAILED = 128
T = TypeVar("T")
U = TypeVar("U")


class Planner(Protocol):
    """Works out the OCI configuration, streams and log of a container that is about to run.

    ``attachment`` is None off the bridge, ``netns_path`` is None in the network of the host or of another container.
    """

    def __call__(
        self, container: Container, rootfs: Path, netns_path: str | None, attachment: BridgeAttachment | None
    ) -> Awaitable[ContainerProcess]: ...


ResolveInRoot = Callable[[Path, str], Path | None]
"""(rootfs, container path) -> the host path, every symlink resolved inside the rootfs; None when it is no directory."""


class Ports(msgspec.Struct, frozen=True):
    """The outside world, as far as containers need it. ``network_id`` answers the id of a network by its name."""

    runtime: Runtime
    rootfs: RootFilesystems
    bridge: BridgeNetwork
    volumes: ContainerVolumes
    mounts: ContainerMounts
    user_namespaces: ContainerUserNamespaces
    state: StateStore
    clock: Clock
    plan: Planner
    remote_logs: RemoteLogs
    resolve_in_root: ResolveInRoot
    network_id: Callable[[str], str]


class Prober(Protocol):
    """Runs health checks (``engine/containers/health_prober.py``); neither waits."""

    def begin(self, container: Container) -> None: ...
    def end(self, container_id: str) -> None: ...


class ContainerEffects:
    """Performs effects; fits ``engine.actor.Effects``. Attachments of running containers are kept here.

    ``prober`` is set once the execs exist that it runs.
    """

    def __init__(self, ports: Ports, events: ContainerEvents) -> None:
        self._ports = ports
        self.events = events
        self.prober: Prober | None = None
        self.attachments: dict[str, BridgeAttachment] = {}
        self.streams = EarlyStreams()

    async def store(self, container: Container, *, passing: bool = False) -> None:
        """Record the container. Raises InternalError."""
        record = msgspec.json.encode(container)
        durable = not (passing or container.state.is_passing)
        await self._ports.state.put(CONTAINER, container.id, record, durable=durable)

    async def perform(self, container: Container, effect: Effect) -> Event | None:
        """See ``actor.Effects``."""
        match effect:
            case p.Publish(action, attributes):
                self.events.tell(container, action, dict(attributes))
            case p.Prepare():
                return await self._prepare(container)
            case p.Launch(leftovers):
                if leftovers:
                    await self._release(container)
                return await self._launch(container)
            case p.Release():
                return await self._release(container)
            case p.Remove():
                return await self._remove(container)
            case p.Signal(signal):
                await self._signal(container, signal)
            case p.Probe() | p.EndProbe():
                self._probe(container, effect)
            case p.Freeze():
                await self._ports.runtime.pause(container.id)
                return p.Frozen()
            case p.Thaw():
                await self._ports.runtime.unpause(container.id)
                return p.Thawed()
            case _:
                raise InternalError(f"no such effect: {effect!r}")
        return None

    def failed(self, effect: Effect, error: TidegateError) -> Event | None:
        """See ``actor.Effects``."""
        match effect:
            case p.Prepare():
                return p.PrepareFailed(error.message)
            case p.Launch():
                # A conflict: what the container needs of another (its namespaces) may be there later.
                transient = isinstance(error, UnavailableError | ConflictError)
                return p.LaunchFailed(error.message, exit_code_of(error.message), self._ports.clock(), transient)
            case p.Release():
                return p.Released(clean=False)
            case p.Remove():
                return p.RemoveFailed(error.message)
            case p.Freeze() | p.Thaw() | p.Signal():
                return p.EffectFailed(error.message)
            case _:
                return None

    async def _prepare(self, container: Container) -> Event:
        await self._ports.rootfs.prepare(container.id, container.settings.chain_ids, container.settings.rootfs_bytes)
        volumes = self._ports.volumes
        for use in container.settings.volumes:
            await volumes.create(use.name)
        filled = [use for use in container.settings.volumes if use.copy_up]
        if not filled:
            return p.Prepared()
        rootfs = await self._ports.rootfs.mount(container.id)
        try:
            await volumes.begin_use(container)
            for use in filled:
                source = await asyncio.to_thread(self._ports.resolve_in_root, rootfs, use.container_path)
                if source is not None:
                    await volumes.copy_up(use.name, source)
        finally:
            await self._ports.rootfs.unmount(container.id)
            await volumes.end_use(container.id)
        return p.Prepared()

    async def _launch(self, container: Container) -> Event:
        ports = self._ports
        mapped = await ports.user_namespaces.open(container)
        mounted = ports.rootfs.mount(container.id, mapped=mapped)
        rootfs, netns_path = await _both(mounted, self._join_network(container))
        await ports.volumes.begin_use(container)
        self.events.begin_run(container)
        process = await ports.plan(container, rootfs, netns_path, self.attachments.get(container.id))
        if process.log is not None and process.log.remote is not None:
            await ports.remote_logs.begin(process.log.remote, process.log.path)
        await ports.runtime.create(process)
        await self.streams.bind(container.id, ports.runtime)
        started_at_ns = ports.clock()  # taken before: an exit that is older belongs to an earlier run
        pid = await ports.runtime.start(container.id)
        await ports.mounts.clear(container.id)
        ports.user_namespaces.close(container.id)
        if netns_path is not None:
            ports.bridge.close_netns(container.id)
        return p.Launched(pid, started_at_ns)

    async def _join_network(self, container: Container) -> str | None:
        settings, bridge = container.settings, self._ports.bridge
        if not settings.has_own_network:
            return None
        if settings.network == "none":
            await bridge.isolate(container.id)
            return bridge.netns_path(container.id)
        wanted = [
            PortPublication(q.container_port, q.protocol, q.host_ip, q.host_port, q.last_host_port)
            for q in settings.ports
        ]
        attachment = await bridge.connect(container.id, wanted, settings.mac_address)
        self.attachments[container.id] = attachment
        await self._ports.state.put(ATTACHMENT, container.id, msgspec.json.encode(attachment), durable=False)
        return bridge.netns_path(container.id)

    async def _release(self, container: Container) -> Event:
        """Every undo is tried; the first error is raised when all have been. The processes go first."""
        attached = container.settings.network == "bridge"
        self.attachments.pop(container.id, None)
        self.streams.end(container.id)
        self._ports.user_namespaces.close(container.id)
        ended = await asyncio.gather(self._ports.runtime.release(container.id), return_exceptions=True)
        undone = await asyncio.gather(
            self._ports.bridge.disconnect(container.id),
            self._ports.rootfs.unmount(container.id),
            self._ports.remote_logs.end(container.id),
            self._ports.mounts.clear(container.id),
            self._ports.volumes.end_use(container.id),
            *([self._ports.state.delete(ATTACHMENT, container.id, durable=False)] if attached else []),
            return_exceptions=True,
        )
        self.events.end_run(container)
        _raise_first([*ended, *undone])
        return p.Released()

    async def _remove(self, container: Container) -> Event:
        self.streams.end(container.id)
        if container.state.release_owed:
            await self._release(container)
        await self._ports.remote_logs.remove(container.id)
        await self._ports.rootfs.remove(container.id)
        if container.state.rules.auto_remove or container.state.takes_volumes:
            for use in container.settings.volumes:
                if use.anonymous:
                    await self._ports.volumes.remove(use.name)
        # Found again after a loss of power, it is in the phase of removing, and is removed once more.
        await self._ports.state.delete(CONTAINER, container.id, durable=False)
        return p.Removed()

    def _probe(self, container: Container, effect: p.Probe | p.EndProbe) -> None:
        if self.prober is None:
            raise InternalError("health checks are not set up")
        if isinstance(effect, p.Probe):
            self.prober.begin(container)
        else:
            self.prober.end(container.id)

    async def _signal(self, container: Container, signal: int) -> None:
        try:
            await self._ports.runtime.signal(container.id, signal)
        except NotFoundError:
            return  # it has just exited; the event is on its way


async def _both(first: Awaitable[T], second: Awaitable[U]) -> tuple[T, U]:
    """Side by side; an error is raised when both have ended, so that nothing is under way when it is undone."""
    done = await asyncio.gather(first, second, return_exceptions=True)
    _raise_first(done)
    return cast(tuple[T, U], tuple(done))


def _raise_first(results: Iterable[object]) -> None:
    for result in results:
        if isinstance(result, BaseException):
            raise result


def exit_code_of(message: str) -> int:
    """The exit code of a command that could not be run, told from the text as Docker's clients do."""
    if "executable file not found" in message or "no such file or directory" in message:
        return 127
    if "permission denied" in message or "is a directory" in message:
        return 126
    return LAUNCH_FAILED
