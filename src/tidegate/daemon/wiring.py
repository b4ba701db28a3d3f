"""Every object of the engine, made once and handed on; the type checker proves each driver against its port here."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tidegate.api.container_filter import Surroundings
from tidegate.api.handlers import plugins, system
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
from tidegate.daemon.drivers import Drivers, cdi_directories, linux_drivers
from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.daemon.reload import reload_attributes
from tidegate.engine.containers.archives import ArchiveService
from tidegate.engine.containers.boot_order import BootOrder
from tidegate.engine.containers.effects import Ports
from tidegate.engine.containers.health_prober import HealthProber
from tidegate.engine.containers.inspection import ContainerSizes, InspectionService
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.containers.shutdown import stop_all
from tidegate.engine.containers.updates import UpdateService
from tidegate.engine.creation.creator import Abilities, ContainerCreator
from tidegate.engine.creation.plan import Defaults
from tidegate.engine.events import EventBus
from tidegate.engine.execs import ExecService
from tidegate.engine.images.commits import CommitService
from tidegate.engine.images.service import ImageService
from tidegate.engine.isolation.runtimes import Runtimes
from tidegate.engine.isolation.user_namespaces import ContainerUserNamespaces
from tidegate.engine.links.removal import LinkRemoval
from tidegate.engine.links.table import LinkTable
from tidegate.engine.logs import LogService
from tidegate.engine.networks import PredefinedNetworks
from tidegate.engine.processes import ProcessService
from tidegate.engine.prune import PruneService
from tidegate.engine.stats import StatsService
from tidegate.engine.system import EngineFacts, Holdings, SystemService
from tidegate.engine.volumes import LocalVolumes
from tidegate.spec.oci_image import Platform

if TYPE_CHECKING:
    from tidegate.base.tracing.spans import Tracer
    from tidegate.daemon.figures import EngineFigures


class Engine:
    """The engine's objects. ``start`` recovers what an earlier engine left; ``close`` leaves containers running."""

    def __init__(self, settings: EngineProcessSettings, drivers: Drivers | None = None) -> None:
        """``drivers``: those for Linux unless given."""
        self._settings = settings
        self._drivers = outside = drivers or linux_drivers(settings)
        self._host = outside.read_host()
        self._bus = EventBus(outside.clock)
        volumes = LocalVolumes(
            outside.volumes, outside.state, self._bus, outside.clock, lambda: self._containers.list()
        )
        self._links = LinkTable(
            lambda identity: self._containers.resolve(identity),
            lambda: self._containers.list(),
            lambda identity: self._containers.attachment(identity),
        )
        plans = outside.plans(self._links)
        user_namespaces = ContainerUserNamespaces(
            outside.user_namespaces, lambda identity: self._containers.resolve(identity)
        )
        self._containers = ContainerService(
            Ports(
                runtime=outside.runtime,
                rootfs=outside.rootfs,
                bridge=outside.bridge,
                volumes=volumes,
                mounts=outside.mounts,
                user_namespaces=user_namespaces,
                state=outside.state,
                clock=outside.clock,
                plan=plans.container,
                remote_logs=outside.remote_logs,
                resolve_in_root=outside.resolve_in_root,
                network_id=lambda name: self._networks.id_of(name),
            ),
            self._bus,
        )
        self._archives = ArchiveService(
            self._containers, outside.files, outside.hold, volumes.hold, outside.mounts.hold, user_namespaces.mapping_of
        )
        self._stats = StatsService(self._containers, outside.meters, outside.clock)
        self._execs = ExecService(outside.runtime, self._containers, plans.exec)
        self._prober = HealthProber(self._execs, self._containers.probed, outside.clock)
        self._containers.probe_with(self._prober)
        self._boot_order = BootOrder(self._containers.states, self._containers.let_go, self._bus, outside.clock)
        self._images = ImageService(
            outside.content, outside.layers, outside.state, outside.registry, outside.clock, self._bus
        )
        self._images.parallel_downloads = settings.transfers.downloads
        self._images.platform = Platform("linux", go_architecture(self._host.machine))
        self._commits = CommitService(self._containers, outside.changed, self._images)
        self._logs = LogService(self._containers, plans.readable_log, outside.read_log)
        self._volumes = volumes
        self._prunes = PruneService(
            self._containers, self._images, volumes, outside.rootfs, outside.layers, self._bus, outside.clock
        )
        self._networks = PredefinedNetworks(outside.state, outside.clock, self._containers, outside.bridge_facts)
        able = self._host.cgroups
        cgroup_namespace = settings.cgroup_namespace or ("private" if able.version == "2" else "host")
        asked = settings.containers
        defaults = Defaults(
            settings.log,
            cgroup_namespace,
            settings.restart_unhealthy,
            host_name=self._host.hostname,
            host_ip=asked.host_ip,
            icc=settings.bridge_rules.icc,
            dns=asked.dns,
            dns_options=asked.dns_options,
            dns_search=asked.dns_search,
            init=asked.init,
            security_options=asked.security_options,
            ipc_mode=asked.ipc_mode,
            shm_size_bytes=asked.shm_size_bytes,
            ulimits=asked.ulimits,
            runtime=asked.default_runtime,
            id_mapping=asked.id_mapping,
        )
        abilities = Abilities(self._host, outside.mounts.exists, outside.runtimes)
        self._defaults = defaults
        self._creator = ContainerCreator(self._containers, self._images, defaults, abilities)
        self._updates = UpdateService(self._containers, outside.runtime, able, outside.plan_resources)
        self._inspection = InspectionService(self._containers, self._execs, self._networks, volumes, plans, self._links)
        self._link_removal = LinkRemoval(self._containers, plans.drop_alias)
        self._sizes = ContainerSizes(outside.rootfs, outside.layers)
        self._processes = ProcessService(self._containers, outside.runtime, outside.list_processes)
        holdings = Holdings(self._containers, self._images, volumes, outside.rootfs, outside.layers)
        facts = engine_facts(settings, defaults, outside.runtimes)
        self._system = SystemService(holdings, facts, self._bus, outside.state, outside.clock, outside.read_host)
        self._tasks: list[asyncio.Task[None]] = []

    def handlers(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        clock = self._drivers.clock
        return {
            **system.handlers(self._host.installation.programs),
            **SystemHandlers(self._system, self._networks.id_of).table(),
            **ContainerHandlers(
                Surroundings(self._containers, self._images, self._networks.id_of),
                self._inspection,
                self._sizes,
                SummaryRows(self._networks.id_of, self._volumes.path),
                clock,
                self._links,
            ).table(),
            **ContainerLifeHandlers(self._containers, self._creator, self._updates, self._link_removal).table(),
            **StatsHandlers(self._stats, self._host.memory_bytes, self._host.cpus).table(),
            **ArchiveHandlers(self._archives).table(),
            **CommitHandlers(self._commits).table(),
            **StreamHandlers(self._containers, self._execs, self._logs, clock).table(),
            **ImageHandlers(self._images, self._containers).table(),
            **RegistryHandlers(self._drivers.registry).table(),
            **VolumeHandlers(self._volumes, self._prunes).table(),
            **PruneHandlers(self._prunes).table(),
            **NetworkHandlers(self._networks).table(),
            **ProcessHandlers(self._processes).table(),
            **plugins.handlers(),
            "SystemEvents": EventHandlers(self._bus, clock).stream,
        }

    async def start(self) -> None:
        """Open the records and adopt what runs. Raises what the drivers raise."""
        await self._drivers.open()
        await self._system.load()
        await self._images.load_records()
        await self._volumes.load()
        await self._drivers.bridge.ensure()
        await self._networks.load()
        await self._containers.recover(self._boot_order.hold)
        await self._volumes.settle()
        in_use = [chain_id for each in self._containers.list() for chain_id in each.settings.layers]
        await self._images.collect_garbage(in_use)
        self._tasks.append(asyncio.create_task(self._containers.run(), name="runtime-events"))
        self._tasks.append(asyncio.create_task(self._stats.run(), name="stats-sampler"))
        self._tasks.append(asyncio.create_task(self._boot_order.run(), name="boot-order"))

    def figures(self) -> "EngineFigures":
        """Counted from now on; imported by whoever wants them."""
        from tidegate.daemon.figures import Counted, EngineFigures

        return EngineFigures(
            Counted(
                self._containers,
                self._bus,
                self._prober,
                self._stats,
                self._drivers.remote_logs,
                self._host,
                lambda: self._system.id,
            )
        )

    def trace_with(self, tracer: "Tracer") -> None:
        """Record what is done to containers; before ``start``."""
        from tidegate.daemon.observation import TracedEffects

        self._containers.act_through(lambda effects: TracedEffects(effects, tracer))

    def reload(self, settings: EngineProcessSettings) -> None:
        """Go on with what of ``settings`` can change while all runs, and tell of it."""
        self._settings = settings
        self._images.parallel_downloads = settings.transfers.downloads
        self._drivers.reload(settings)
        self._defaults = replace(self._defaults, runtime=settings.containers.default_runtime)
        self._creator.configure(self._defaults)
        self._system.facts = replace(
            self._system.facts,
            debug=settings.log_level == "debug",
            live_restore=settings.live_restore,
            registry_mirrors=settings.registry_mirrors,
            insecure_registries=settings.insecure_registries,
            labels=settings.labels,
        )
        self._system.publish("reload", {"name": self._host.hostname, **reload_attributes(settings)})

    async def close(self, *, host_ends: bool = False) -> None:
        """Let go of everything; containers run on under the shim unless the host ends, or ``live_restore`` is off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._containers.close()
        await self._prober.close()
        if host_ends or not self._settings.live_restore:
            await stop_all(self._containers.list(), self._drivers.runtime, self._settings.shutdown_timeout_s)
            for container in self._containers.list():
                await self._drivers.remote_logs.end(container.id)
        await self._drivers.close()


def engine_facts(settings: EngineProcessSettings, defaults: Defaults, runtimes: Runtimes) -> EngineFacts:
    """What clients are told of the settings."""
    return EngineFacts(
        data_root=settings.data_root,
        log_driver=settings.log.type,
        debug=settings.log_level == "debug",
        live_restore=settings.live_restore,
        private_cgroups=defaults.cgroup_namespace == "private",
        user_namespaces=settings.containers.id_mapping is not None,
        registry_mirrors=settings.registry_mirrors,
        insecure_registries=settings.insecure_registries,
        runtimes=runtimes,
        cdi_directories=cdi_directories(settings),
        labels=settings.labels,
        proxies=settings.transfers.proxies,
        address_pools=settings.bridge_rules.pools,
        no_new_privileges="no-new-privileges" in settings.containers.security_options,
        seccomp_profile=settings.containers.seccomp_profile,
    )
