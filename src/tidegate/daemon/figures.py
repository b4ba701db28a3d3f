"""The engine's figures for Prometheus, under dockerd's names where they mean the same, and the page of them.

The page is served on a socket of its own that only the gate's dialer reaches; the gate puts it behind its own figures.
Figures of containers are those of the resident sampler, at most ten seconds old. Source of dockerd's names: moby,
daemon/internal/metrics.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from tidegate import __version__
from tidegate.base.exposition import CONTENT_TYPE, Family, Sample, Spread, gauge, render
from tidegate.engine.containers.health_prober import HealthProber
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.events import EventBus
from tidegate.engine.logging.remote import RemoteLogs
from tidegate.engine.stats import StatsService
from tidegate.http.messages import Request, Response
from tidegate.kernel.host import HostFacts
from tidegate.model.container import Container
from tidegate.model.phases import Phase

_ACTIONS = {
    "ContainerChanges": "changes",
    "ImageCommit": "commit",
    "ContainerCreate": "create",
    "ContainerDelete": "delete",
    "ContainerStart": "start",
}
_HOST_INFO = {"SystemInfo": "system_info", "SystemVersion": "system_version"}
_RUNNING = (Phase.RUNNING, Phase.STOPPING, Phase.RESTARTING)


class Counted(msgspec.Struct, frozen=True):
    """Where the engine's figures are read."""

    containers: ContainerService
    bus: EventBus
    prober: HealthProber
    stats: StatsService
    remote_logs: RemoteLogs
    host: HostFacts
    engine_id: Callable[[], str]


class EngineFigures:
    """``observe`` every answer of the API."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._answers: Counter[tuple[str, int]] = Counter()
        self._times: dict[str, Spread] = {}

    def observe(self, operation: str, status: int, elapsed_s: float) -> None:
        """``operation`` is its id; a stream is observed when it begins."""
        self._answers[operation, status] += 1
        self._times.setdefault(operation, Spread()).add(elapsed_s)

    async def handle(self, _request: Request) -> Response:
        """The page, whatever is asked for."""
        return Response(200, [("Content-Type", CONTENT_TYPE)], render(self._families()))

    def _families(self) -> Iterable[Family]:
        yield from self._engine()
        text = "The number of seconds it takes to process each container action"
        yield self._timed("engine_daemon_container_actions_seconds", text, "action", _ACTIONS)
        text = "The number of seconds it takes to call functions gathering info about the host"
        yield self._timed("engine_daemon_host_info_functions_seconds", text, "function", _HOST_INFO)
        yield Family(
            "tidegate_engine_requests_total",
            "counter",
            "Requests answered.",
            [
                Sample({"operation": operation, "status": str(status)}, count)
                for (operation, status), count in sorted(self._answers.items())
            ],
        )
        yield Family(
            "tidegate_engine_request_duration_seconds",
            "histogram",
            "Time until an answer begins.",
            [each for name in sorted(self._times) for each in self._times[name].samples({"operation": name})],
        )
        yield from _container_families(self._counted.stats)
        yield from self._remote_logs()

    def _remote_logs(self) -> Iterable[Family]:
        names = {container.id: container.name for container in self._counted.containers.list()}
        found = [
            ({"id": each, "name": names[each]}, undelivered)
            for each, undelivered in self._counted.remote_logs.undelivered().items()
            if each in names
        ]
        if found:
            yield Family(
                "tidegate_container_log_dropped_lines_total",
                "counter",
                "Lines of a log that were dropped, since its remote did not take them.",
                [Sample(labels, undelivered.dropped) for labels, undelivered in found],
            )
            yield Family(
                "tidegate_container_log_gaps_total",
                "counter",
                "How often lines may have left the cache before a remote took them.",
                [Sample(labels, undelivered.gaps) for labels, undelivered in found],
            )

    def _timed(self, name: str, text: str, label: str, operations: Mapping[str, str]) -> Family:
        """dockerd's histogram of what is an operation here."""
        samples = [
            sample
            for operation, value in operations.items()
            for sample in self._times.get(operation, Spread()).samples({label: value})
        ]
        return Family(name, "histogram", text, samples)

    def _engine(self) -> Iterable[Family]:
        counted, host = self._counted, self._counted.host
        facts = {
            "architecture": host.machine, "commit": "", "daemon_id": counted.engine_id(), "graphdriver": "overlay2",
            "kernel": host.kernel_version, "os": host.operating_system, "os_type": "linux",
            "os_version": host.os_version, "version": __version__,
        }  # fmt: skip
        yield gauge("engine_daemon_engine_info", "The information related to the engine", 1, facts)
        yield gauge("engine_daemon_engine_cpus_cpus", "The number of cpus that the host system has", host.cpus)
        yield gauge("engine_daemon_engine_memory_bytes", "The number of bytes of memory of the host", host.memory_bytes)
        states = _states(counted.containers.list())
        yield Family(
            "engine_daemon_container_states_containers",
            "gauge",
            "The count of containers in various states",
            [Sample({"state": state}, count) for state, count in states.items()],
        )
        totals = {
            "events_total": ("The number of events logged", counted.bus.published),
            "health_checks_total": ("The total number of health checks", counted.prober.probes),
            "health_checks_failed_total": ("The total number of failed health checks", counted.prober.failures),
        }
        for name, (text, value) in totals.items():
            yield Family(f"engine_daemon_{name}", "counter", text, [Sample({}, value)])
        yield gauge(
            "engine_daemon_events_subscribers_total",
            "The number of current subscribers to events",
            counted.bus.listeners,
        )


def _states(containers: Iterable[Container]) -> Mapping[str, int]:
    phases = Counter(container.state.phase for container in containers)
    running, paused = sum(phases[phase] for phase in _RUNNING), phases[Phase.PAUSED]
    return {"paused": paused, "running": running, "stopped": phases.total() - running - paused}


def _container_families(stats: StatsService) -> Iterable[Family]:
    """A sample of each container that the sampler has seen."""
    figures: dict[tuple[str, str, str], list[Sample]] = {}

    def add(name: str, kind: str, text: str, labels: Mapping[str, str], value: float) -> None:
        figures.setdefault((name, kind, text), []).append(Sample(labels, value))

    for container, sample in stats.newest():
        labels = {"id": container.id, "name": container.name, "image": container.image}
        usage = sample.usage
        add("cpu_seconds_total", "counter", "Processor time used.", labels, usage.cpu.total_ns / 1e9)
        add("memory_bytes", "gauge", "Memory used.", labels, usage.memory.used_bytes)
        if usage.memory.limit_bytes is not None:
            add("memory_limit_bytes", "gauge", "Most memory it may use.", labels, usage.memory.limit_bytes)
        received = sum(each.rx_bytes for each in sample.interfaces.values())
        sent = sum(each.tx_bytes for each in sample.interfaces.values())
        add("network_receive_bytes_total", "counter", "Bytes received.", labels, received)
        add("network_transmit_bytes_total", "counter", "Bytes sent.", labels, sent)
    for (name, kind, text), samples in figures.items():
        yield Family(f"tidegate_container_{name}", kind, text, samples)
