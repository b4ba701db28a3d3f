"""An engine's containers on fakes: time stands still and timers fire when a test says so."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.filesystems import FakeMounts, FakeRootFilesystems, FakeUserNamespaces, FakeVolumeStore
from tests.fakes.network import FakeBridgeNetwork
from tests.fakes.remote_logs import FakeRemoteLogs
from tests.fakes.runtime import FakeRuntime
from tests.fakes.state import FakeStateStore

from tidegate.engine.containers.boot_order import BootOrder
from tidegate.engine.containers.effects import Planner, Ports
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.events import EventBus, EventFilter
from tidegate.engine.isolation.user_namespaces import ContainerUserNamespaces
from tidegate.engine.ports import BridgeAttachment, ContainerProcess, LogTarget, Stdio
from tidegate.model.container import Container


async def plan(
    container: Container, rootfs: Path, netns_path: str | None, attachment: BridgeAttachment | None
) -> ContainerProcess:
    config = {"root": {"path": str(rootfs)}, "netns": netns_path}
    return ContainerProcess(container.id, config, Stdio(), LogTarget(Path("/log"), 1, 1))


@dataclass
class Timers:
    """Fits SetTimer."""

    armed: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def __call__(self, delay_ns: int, call: Callable[[], None]) -> Callable[[], None]:
        entry = (delay_ns, call)
        self.armed.append(entry)
        return lambda: self.armed.remove(entry) if entry in self.armed else None

    def fire(self) -> int:
        delay_ns, call = self.armed.pop(0)
        call()
        return delay_ns


@dataclass
class Life:
    """The world survives ``reboot``; the service does not."""

    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    rootfs: FakeRootFilesystems = field(default_factory=FakeRootFilesystems)
    bridge: FakeBridgeNetwork = field(default_factory=FakeBridgeNetwork)
    volumes: FakeVolumeStore = field(default_factory=FakeVolumeStore)
    mounts: FakeMounts = field(default_factory=FakeMounts)
    user_namespaces: FakeUserNamespaces = field(default_factory=FakeUserNamespaces)
    store: FakeStateStore = field(default_factory=FakeStateStore)
    remote_logs: FakeRemoteLogs = field(default_factory=FakeRemoteLogs)
    timers: Timers = field(default_factory=Timers)
    now_ns: int = 1_000
    plan: Planner = plan

    def boot(self) -> None:
        self.bus = EventBus(lambda: self.now_ns)
        namespaces = ContainerUserNamespaces(self.user_namespaces, lambda identity: self.service.resolve(identity))
        self.ports = Ports(
            self.runtime, self.rootfs, self.bridge, self.volumes, self.mounts, namespaces, self.store,
            lambda: self.now_ns, self.plan, self.remote_logs, lambda rootfs, path: rootfs / path.lstrip("/"),
            lambda name: f"id of {name}",
        )  # fmt: skip
        self.service = ContainerService(self.ports, self.bus, self.timers)
        self.order = BootOrder(self.service.states, self.service.let_go, self.bus, lambda: self.now_ns, self.timers)
        self.pump = asyncio.create_task(self.service.run())
        self.ordering = asyncio.create_task(asyncio.sleep(0))

    async def close(self) -> None:
        self.pump.cancel()
        self.ordering.cancel()
        await asyncio.gather(self.pump, self.ordering, return_exceptions=True)
        await self.service.close()

    async def reboot(self) -> None:
        await self.close()
        self.boot()
        await self.recover()

    async def recover(self) -> None:
        """What an engine does at its start."""
        await self.service.recover(self.order.hold)
        self.ordering = asyncio.create_task(self.order.run())
        await settle()

    async def lose_power(self) -> None:
        """The machine stops and comes up again: what was not durable is gone, and so is all that lives in memory."""
        await self.close()
        self.store.records = dict(self.store.durable)
        self.runtime, self.bridge = FakeRuntime(), FakeBridgeNetwork()
        self.rootfs.mounted.clear()
        self.boot()
        await self.recover()

    def actions(self) -> list[str]:
        """Of containers."""
        return [event.action for event in self.bus.past(EventFilter({"type": ["container"]}), None, None)]

    def events(self) -> list[str]:
        """Of everything, with the kind of object."""
        return [f"{event.kind} {event.action}" for event in self.bus.past(EventFilter(), None, None)]


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)
