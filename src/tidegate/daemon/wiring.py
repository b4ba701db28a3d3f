"""Every object of the engine, made once and handed on; the type checker proves each driver against its port here."""

import asyncio
import os
import time
from collections.abc import Mapping
from ipaddress import IPv4Network

from msgspec.structs import replace

from tidegate.api.container_filter import Surroundings
from tidegate.api.handlers import system
from tidegate.api.handlers.archives import ArchiveHandlers
from tidegate.api.handlers.commits import CommitHandlers
from tidegate.api.handlers.container_life import ContainerLifeHandlers
from tidegate.api.handlers.containers import ContainerHandlers
from tidegate.api.handlers.engine_system import SystemHandlers
from tidegate.api.handlers.events import EventHandlers
from tidegate.api.handlers.images import ImageHandlers
from tidegate.api.handlers.networks import NetworkHandlers
from tidegate.api.handlers.processes import ProcessHandlers
from tidegate.api.handlers.prune import PruneHandlers
from tidegate.api.handlers.registries import RegistryHandlers
from tidegate.api.handlers.stats import StatsHandlers
from tidegate.api.handlers.streams import StreamHandlers
from tidegate.api.handlers.volumes import VolumeHandlers
from tidegate.api.pipeline import Handler
from tidegate.api.views.summary_rows import SummaryRows
from tidegate.base.host import go_architecture
from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.drivers.bridge.driver import BridgeSettings, LinuxBridge
from tidegate.drivers.content import ContentDirectory
from tidegate.drivers.files.compared_layers import ComparedLayers
from tidegate.drivers.files.container_files import ConfinedFiles
from tidegate.drivers.json_log_reader import read_log
from tidegate.drivers.layers import LayerDirectories
from tidegate.drivers.oci.plan import ProcessPlanner
from tidegate.drivers.overlay import OverlayRootFilesystems
from tidegate.drivers.process_table import list_host_processes
from tidegate.drivers.registry.client import HTTPRegistry
from tidegate.drivers.registry.transport import RegistryConfig
from tidegate.drivers.resources import process_limits
from tidegate.drivers.shim.runtime import ShimRuntime
from tidegate.drivers.state import SqliteStateStore
from tidegate.drivers.volumes import LocalVolumeStore
from tidegate.engine.archives import ArchiveService
from tidegate.engine.commits import CommitService
from tidegate.engine.containers import ContainerService
from tidegate.engine.creation import Defaults
from tidegate.engine.creator import ContainerCreator
from tidegate.engine.effects import Ports
from tidegate.engine.events import EventBus
from tidegate.engine.execs import ExecService
from tidegate.engine.health_prober import HealthProber
from tidegate.engine.images import ImageService
from tidegate.engine.inspection import ContainerSizes, InspectionService
from tidegate.engine.logs import LogService
from tidegate.engine.networks import BridgeFacts, PredefinedNetworks
from tidegate.engine.processes import ProcessService
from tidegate.engine.prune import PruneService
from tidegate.engine.shutdown import stop_all
from tidegate.engine.stats import Meters, StatsService
from tidegate.engine.system import EngineFacts, Holdings, SystemService
from tidegate.engine.updates import UpdateService
from tidegate.engine.volumes import LocalVolumes
from tidegate.kernel.cgroups import ROOT, is_unified, open_cgroups
from tidegate.kernel.host import HostFacts, read_cgroups, read_host
from tidegate.kernel.host_usage import host_cpu_ns, interfaces_of
from tidegate.kernel.paths import directory_in_root
from tidegate.kernel.seccomp import SeccompCompiler
from tidegate.spec.oci_image import Platform


class Engine:
    """The engine's objects. ``start`` recovers what an earlier engine left; ``close`` leaves containers running."""

    def __init__(self, settings: EngineProcessSettings) -> None:
        self._settings = settings
        data = settings.data_root
        subnet = IPv4Network(settings.bridge_subnet) if settings.bridge_subnet else None
        self._state = SqliteStateStore(data / "state.db")
        self._content = ContentDirectory(data / "content")
        self._layers = LayerDirectories(data / "layers")
        cgroups = open_cgroups(settings.bridge)
        self._runtime = ShimRuntime(settings.exec_root, cgroups)
        bridge = BridgeSettings(name=settings.bridge, subnet=subnet, relay_root=settings.exec_root / "relay")
        self._bridge = LinuxBridge(bridge)
        self._registry = HTTPRegistry(RegistryConfig(settings.registry_mirrors, settings.insecure_registries))
        self._bus = EventBus(time.time_ns)
        store = LocalVolumeStore(data / "volumes")
        volumes = LocalVolumes(store, self._state, self._bus, time.time_ns, lambda: self._containers.list())
        rootfs = OverlayRootFilesystems(data, self._layers.diff_path)
        self._trash = rootfs.trash
        planner = ProcessPlanner(
            lambda identity: data / "rootfs" / identity,
            volumes,
            settings.bridge,
            SeccompCompiler(),
            settings.log,
            lambda identity: self._containers.resolve(identity),
        )
        self._containers = ContainerService(
            Ports(
                runtime=self._runtime,
                rootfs=rootfs,
                bridge=self._bridge,
                volumes=volumes,
                state=self._state,
                clock=time.time_ns,
                plan=planner.container,
                resolve_in_root=directory_in_root,
            ),
            self._bus,
        )
        files = ConfinedFiles(self._runtime.pids)
        self._archives = ArchiveService(self._containers, files, rootfs.hold, planner.binds)
        meters = Meters(cgroups.usage, host_cpu_ns, interfaces_of)
        self._stats = StatsService(self._containers, meters, time.time_ns)
        self._execs = ExecService(self._runtime, self._containers, planner.exec)
        self._prober = HealthProber(self._execs, self._containers.probed, time.time_ns)
        self._containers.probe_with(self._prober)
        self._images = ImageService(self._content, self._layers, self._state, self._registry, time.time_ns)
        self._images.platform = Platform("linux", go_architecture(os.uname().machine))
        compared = ComparedLayers(rootfs.writable_layer)
        self._commits = CommitService(self._containers, compared, self._images, self._bus)
        self._logs = LogService(self._containers, planner.log_path, read_log)
        self._volumes = volumes
        self._prunes = PruneService(
            self._containers, self._images, volumes, rootfs, self._layers, self._bus, time.time_ns
        )
        self._networks = PredefinedNetworks(self._state, time.time_ns, self._containers, self._bridge_facts)
        cgroup_namespace = settings.cgroup_namespace or ("private" if is_unified() else "host")
        defaults = Defaults(settings.log.driver, cgroup_namespace, settings.restart_unhealthy)
        able = read_cgroups(ROOT)
        self._creator = ContainerCreator(self._containers, self._images, defaults, able)
        self._updates = UpdateService(self._containers, self._runtime, able, process_limits)
        self._inspection = InspectionService(self._containers, self._execs, self._networks, volumes, planner.log_path)
        self._sizes = ContainerSizes(rootfs, self._layers)
        self._processes = ProcessService(self._containers, self._runtime, list_host_processes)
        holdings = Holdings(self._containers, self._images, volumes, rootfs, self._layers)
        facts = engine_facts(settings, defaults)
        self._system = SystemService(holdings, facts, self._bus, self._state, time.time_ns, self._host_facts)
        self._tasks: list[asyncio.Task[None]] = []

    def handlers(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        host = read_host()
        return {
            **system.handlers(),
            **SystemHandlers(self._system, self._networks.id_of).table(),
            **ContainerHandlers(
                Surroundings(self._containers, self._images, self._networks.id_of),
                self._inspection,
                self._sizes,
                SummaryRows(self._networks.id_of),
                time.time_ns,
            ).table(),
            **ContainerLifeHandlers(self._containers, self._creator, self._updates).table(),
            **StatsHandlers(self._stats, host.memory_bytes, host.cpus).table(),
            **ArchiveHandlers(self._archives).table(),
            **CommitHandlers(self._commits).table(),
            **StreamHandlers(self._containers, self._execs, self._logs, time.time_ns).table(),
            **ImageHandlers(self._images, self._containers, self._bus).table(),
            **RegistryHandlers(self._registry).table(),
            **VolumeHandlers(self._volumes, self._prunes).table(),
            **PruneHandlers(self._prunes).table(),
            **NetworkHandlers(self._networks).table(),
            **ProcessHandlers(self._processes).table(),
            "SystemEvents": EventHandlers(self._bus, time.time_ns).stream,
        }

    def _bridge_facts(self) -> BridgeFacts:
        options = {
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": "true",
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            "com.docker.network.bridge.name": self._settings.bridge,
            "com.docker.network.driver.mtu": str(self._bridge.mtu),
        }
        return BridgeFacts(str(self._bridge.subnet), str(self._bridge.gateway), options)

    def _host_facts(self) -> HostFacts:
        return replace(read_host(), obstacles=self._bridge.obstacles)

    async def start(self) -> None:
        """Open the records and adopt what runs. Raises what the drivers raise."""
        await self._state.open()
        await asyncio.to_thread(self._content.recover)
        await asyncio.to_thread(self._layers.recover)
        await self._system.load()
        await self._images.load_records()
        await self._volumes.load()
        await self._bridge.ensure()
        await self._networks.load()
        await self._containers.recover()
        self._trash.start()
        in_use = [chain_id for each in self._containers.list() for chain_id in each.settings.chain_ids]
        await self._images.collect_garbage(in_use)
        self._tasks.append(asyncio.create_task(self._containers.run(), name="runtime-events"))
        self._tasks.append(asyncio.create_task(self._stats.run(), name="stats-sampler"))

    async def close(self) -> None:
        """Let go of everything; containers run on under the shim unless ``live_restore`` is off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._containers.close()
        await self._prober.close()
        if not self._settings.live_restore:
            await stop_all(self._containers.list(), self._runtime, self._settings.shutdown_timeout_s)
        await self._runtime.close()
        await self._bridge.close()
        self._registry.close()
        await self._state.close()


def engine_facts(settings: EngineProcessSettings, defaults: Defaults) -> EngineFacts:
    """What clients are told of the settings."""
    return EngineFacts(
        data_root=settings.data_root,
        log_driver=settings.log.driver,
        debug=settings.log_level == "debug",
        live_restore=settings.live_restore,
        private_cgroups=defaults.cgroup_namespace == "private",
        registry_mirrors=settings.registry_mirrors,
        insecure_registries=settings.insecure_registries,
    )
