"""Everything of the world outside that an engine stands on, in one value: the drivers for Linux, or fakes of a test.

``linux_drivers`` makes them without touching anything; ``Drivers.open`` and ``Drivers.close`` are called once each. The
services above them are made in ``wiring.py``, the same on any drivers.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.drivers.apparmor import AppArmor
from tidegate.drivers.bridge.driver import LinuxBridge
from tidegate.drivers.bridge.names import DEFAULT_SUBNETS
from tidegate.drivers.bridge.ports import WILDCARD
from tidegate.drivers.bridge.settings import BridgeSettings
from tidegate.drivers.cdi.specs import DEFAULT_DIRECTORIES
from tidegate.drivers.content import ContentDirectory
from tidegate.drivers.files.compared_layers import ComparedLayers
from tidegate.drivers.files.container_files import ConfinedFiles
from tidegate.drivers.installation import read_installation
from tidegate.drivers.logs.forwarding.places import Places
from tidegate.drivers.logs.forwarding.process import LogForwarder
from tidegate.drivers.logs.plans import LogPlanner
from tidegate.drivers.logs.reader import read_log
from tidegate.drivers.mounts.container_mounts import StagedMounts
from tidegate.drivers.mounts.stage import MountStage
from tidegate.drivers.oci.plan import ProcessPlanner
from tidegate.drivers.process_table import list_host_processes
from tidegate.drivers.registry.client import HTTPRegistry
from tidegate.drivers.registry.transport import RegistryConfig
from tidegate.drivers.resources import process_limits
from tidegate.drivers.rootfs.layers import LayerDirectories
from tidegate.drivers.rootfs.overlay import OverlayRootFilesystems
from tidegate.drivers.shim.bundles import Bundles
from tidegate.drivers.shim.runtime import ShimRuntime
from tidegate.drivers.state import SqliteStateStore
from tidegate.drivers.user_namespaces import UnsharedNamespaces
from tidegate.drivers.volumes import LocalVolumeStore
from tidegate.engine.containers.effects import Planner, ResolveInRoot
from tidegate.engine.containers.updates import PlanResources
from tidegate.engine.execs import PlanExec
from tidegate.engine.file_ports import ContainerFiles, ContainerLayers, ContainerMounts, HoldRootfs, VolumeStore
from tidegate.engine.isolation.runtimes import SECOND, RuntimeCommand, Runtimes
from tidegate.engine.isolation.user_namespaces import UserNamespaces
from tidegate.engine.links.table import LinkTable
from tidegate.engine.logging.remote import RemoteLogs
from tidegate.engine.networks import BridgeFacts
from tidegate.engine.ports import (
    BridgeNetwork,
    Clock,
    ContentStore,
    LayerStore,
    ReadLog,
    Registry,
    RootFilesystems,
    Runtime,
    StateStore,
)
from tidegate.engine.processes import ListProcesses
from tidegate.engine.stats import Meters
from tidegate.kernel.cgroups.host import open_cgroups
from tidegate.kernel.host import HostFacts, read_host
from tidegate.kernel.host_usage import host_cpu_ns, interfaces_of
from tidegate.kernel.paths import directory_in_root
from tidegate.kernel.seccomp.compiler import SeccompCompiler
from tidegate.model.container import Container

OWN_MOUNTS = Path("/proc/self/ns/mnt")


class Plans(Protocol):
    """Works out what is to run, and where a container's own files are."""

    @property
    def container(self) -> Planner: ...
    @property
    def exec(self) -> PlanExec: ...
    def directory(self, container_id: str) -> Path: ...
    def log_path(self, container: Container) -> Path | None: ...
    def readable_log(self, container: Container) -> Path | None: ...
    def drop_alias(self, container: Container, alias: str) -> None: ...


@dataclass(frozen=True)
class Drivers:
    """One for each port. ``plans`` is given what knows of links, which stands above it."""

    state: StateStore
    content: ContentStore
    layers: LayerStore
    runtime: Runtime
    rootfs: RootFilesystems
    hold: HoldRootfs
    changed: ContainerLayers
    files: ContainerFiles
    volumes: VolumeStore
    bridge: BridgeNetwork
    bridge_facts: Callable[[], BridgeFacts]
    registry: Registry
    mounts: ContainerMounts
    user_namespaces: UserNamespaces
    plans: Callable[[LinkTable], Plans]
    plan_resources: PlanResources
    resolve_in_root: ResolveInRoot
    read_log: ReadLog
    remote_logs: RemoteLogs
    list_processes: ListProcesses
    meters: Meters
    read_host: Callable[[], HostFacts]
    clock: Clock
    open: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    reload: Callable[[EngineProcessSettings], None]
    runtimes: Runtimes = field(default_factory=Runtimes)


def linux_drivers(settings: EngineProcessSettings, host_mounts: Path = OWN_MOUNTS) -> Drivers:
    """The real ones, below the roots that ``settings`` name; ``host_mounts`` is the host's mount namespace."""
    data = settings.data_root
    state, content = SqliteStateStore(data / "state.db"), ContentDirectory(data / "content")
    layers = LayerDirectories(data / "layers")
    cgroup_parent = settings.containers.cgroup_parent or settings.bridge
    bundles = Bundles(settings.exec_root / "bundles", cgroup_parent)
    cgroups = open_cgroups(cgroup_parent, elsewhere=bundles.cgroup_parent)
    runtime = ShimRuntime(settings.exec_root, cgroups, bundles)
    user_namespaces = UnsharedNamespaces(settings.containers.id_mapping)
    bridge = LinuxBridge(bridge_settings(settings), user_namespaces.take_network)
    registry = HTTPRegistry(registry_config(settings))
    apparmor = AppArmor()
    asked = settings.containers
    runtimes = Runtimes(asked.runtimes, find_runtimes(), asked.default_runtime)
    staged = settings.exec_root / "mounts"
    rootfs = OverlayRootFilesystems(data, layers.diff_path, user_namespaces.ids, staged)
    installed = cache(partial(read_installation, runtimes, data, asked.init_path))

    volumes = LocalVolumeStore(data / "volumes", host_mounts)
    stage = MountStage(staged, volumes.path, layers.diff_path, host_mounts)
    mounts = StagedMounts(stage, os.uname().release, user_namespaces.ids_of)

    forwarded = Places(data / "logs")
    forwarder = LogForwarder(forwarded)

    def plans(links: LinkTable) -> ProcessPlanner:
        def home(identity: str) -> Path:
            return data / "rootfs" / identity

        logs = LogPlanner(home, forwarded)
        return ProcessPlanner(
            home,
            mounts,
            cgroup_parent,
            SeccompCompiler(asked.seccomp_profile),
            logs,
            links,
            lambda: asked.host_gateway or str(bridge.gateway),
            runtimes,
            cdi_directories(settings),
            asked.init_path,
            apparmor,
            user_namespaces,
        )

    async def open_all() -> None:
        await state.open()
        await asyncio.to_thread(apparmor.load)
        await asyncio.to_thread(content.recover)
        await asyncio.to_thread(layers.recover)
        await asyncio.to_thread(stage.clear_all)
        rootfs.trash.start()

    async def close_all() -> None:
        await runtime.close()
        await forwarder.close()
        await bridge.close()
        registry.close()
        await state.close()

    def reload(changed: EngineProcessSettings) -> None:
        registry.configure(registry_config(changed))
        runtimes.configure(changed.containers.runtimes, changed.containers.default_runtime)
        installed.cache_clear()

    return Drivers(
        state=state,
        content=content,
        layers=layers,
        runtime=runtime,
        rootfs=rootfs,
        hold=rootfs.hold,
        changed=ComparedLayers(rootfs.writable_layer),
        files=ConfinedFiles(runtime.pids),
        volumes=volumes,
        mounts=mounts,
        user_namespaces=user_namespaces,
        bridge=bridge,
        bridge_facts=lambda: bridge_facts(bridge, settings),
        registry=registry,
        plans=plans,
        plan_resources=process_limits,
        resolve_in_root=directory_in_root,
        read_log=read_log,
        remote_logs=forwarder,
        list_processes=list_host_processes,
        meters=Meters(cgroups.usage, host_cpu_ns, interfaces_of),
        read_host=lambda: replace(
            read_host(), obstacles=(*bridge.obstacles, *apparmor.obstacles), installation=installed()
        ),
        clock=time.time_ns,
        open=open_all,
        close=close_all,
        reload=reload,
        runtimes=runtimes,
    )


def cdi_directories(settings: EngineProcessSettings) -> tuple[Path, ...]:
    """Where devices are described."""
    return settings.containers.cdi_directories or DEFAULT_DIRECTORIES


def find_runtimes() -> Mapping[str, RuntimeCommand]:
    """What this host has beside the engine's own."""
    path = shutil.which(SECOND)
    return {SECOND: RuntimeCommand(path)} if path else {}


def registry_config(settings: EngineProcessSettings) -> RegistryConfig:
    """How registries are asked."""
    return RegistryConfig(
        settings.registry_mirrors,
        settings.insecure_registries,
        attempts=settings.transfers.attempts,
        proxies=settings.transfers.proxies,
    )


def bridge_settings(settings: EngineProcessSettings) -> BridgeSettings:
    """The default bridge as it was asked for."""
    rules = settings.bridge_rules
    pool = [subnet for base, size in rules.pools for subnet in IPv4Network(base).subnets(new_prefix=size)]
    return BridgeSettings(
        name=settings.bridge,
        subnet=IPv4Network(settings.bridge_subnet) if settings.bridge_subnet else None,
        pool=pool or DEFAULT_SUBNETS,
        fixed=IPv4Network(rules.fixed_cidr) if rules.fixed_cidr else None,
        mtu=rules.mtu,
        among_themselves=rules.icc,
        masquerade=rules.masquerade,
        forward=rules.forward,
        relay_root=settings.exec_root / "relay",
    )


def bridge_facts(bridge: LinuxBridge, settings: EngineProcessSettings) -> BridgeFacts:
    """What clients are told of the default bridge."""
    rules = settings.bridge_rules
    options = {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": str(rules.icc).lower(),
        "com.docker.network.bridge.enable_ip_masquerade": str(rules.masquerade).lower(),
        "com.docker.network.bridge.host_binding_ipv4": settings.containers.host_ip or WILDCARD,
        "com.docker.network.bridge.name": settings.bridge,
        "com.docker.network.driver.mtu": str(bridge.mtu),
    }
    return BridgeFacts(str(bridge.subnet), str(bridge.gateway), options)
