"""In which order restart policies start containers when the engine boots: what Compose wrote down, kept.

Compose labels each container with its project, its service and ``depends_on=db:service_healthy:false,...``; it keeps
that order only in ``up``. Here, a container that its restart policy is about to start waits until each container of
each service it depends on is started, healthy, or ended well. Pure: ``plan_boot`` once, ``decide_starts`` whenever
something changed; ``engine/containers/boot_order.py`` looks and tells.

- only what boot recovery starts waits; a user's start never does;
- a dependency that is missing, or that stays as it is and is not what was asked for, is warned of, and not waited for;
- edges that close a circle are dropped with a warning, so that nobody waits for himself.

Labels: compose-spec, ``pkg/api/labels.go`` of Compose.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from tidegate.model import phases as p
from tidegate.model.container import Container
from tidegate.model.lifecycle import step
from tidegate.model.phases import Phase, State

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
DEPENDS_ON = "com.docker.compose.depends_on"
ONE_OFF = "com.docker.compose.oneoff"

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
_CONDITIONS: Mapping[str, Condition] = {
    "service_started": "service_started",
    "service_healthy": "service_healthy",
    "service_completed_successfully": "service_completed_successfully",
}
_AT_REST = frozenset({Phase.CREATED, Phase.EXITED, Phase.DEAD})
_GONE = frozenset({Phase.REMOVING, Phase.DEAD})

Finding = p.FoundAlive | p.FoundExited | p.FoundLost


class Wait(msgspec.Struct, frozen=True):
    """One container that another waits for. ``service`` is for messages."""

    container_id: str
    service: str
    condition: Condition


class BootPlan(msgspec.Struct, frozen=True):
    """``waits`` has an entry for each container to hold. ``alive`` are those that run on, ``starting`` those that boot
    recovery starts; the rest stays at rest, or comes to it. ``warnings`` are for the log."""

    booted_at_ns: int
    waits: Mapping[str, Sequence[Wait]] = msgspec.field(default_factory=dict)
    alive: frozenset[str] = frozenset()
    starting: frozenset[str] = frozenset()
    warnings: Sequence[str] = ()


class Start(msgspec.Struct, frozen=True):
    """A held container that may run now; ``given_up`` says which dependencies will not come."""

    container_id: str
    given_up: Sequence[str] = ()


def parse_depends_on(label: str) -> Mapping[str, Condition]:
    """Condition by service; a condition that is not known asks for a start only."""
    found: dict[str, Condition] = {}
    for entry in label.split(","):
        service, _, rest = entry.strip().partition(":")
        if service:
            found[service] = _CONDITIONS.get(rest.partition(":")[0], "service_started")
    return found


def plan_boot(found: Sequence[tuple[Container, Finding]], booted_at_ns: int) -> BootPlan:
    """What waits for what, from the containers as they were stored and as they were found."""
    services: dict[tuple[str, str], list[str]] = {}
    for container, _ in found:
        if container.labels.get(ONE_OFF, "").lower() != "true" and container.labels.get(SERVICE):
            services.setdefault(_service(container), []).append(container.id)
    starting = frozenset(container.id for container, finding in found if will_start(container.state, finding))
    alive = frozenset(container.id for container, finding in found if isinstance(finding, p.FoundAlive)) - starting
    names = {container.id: container.name for container, _ in found}
    waits: dict[str, Sequence[Wait]] = {}
    warnings: list[str] = []
    for container, _ in sorted(found, key=lambda each: each[0].created_at_ns):
        if container.id not in starting:
            continue
        kept: list[Wait] = []
        project, _ = _service(container)
        for service, condition in sorted(parse_depends_on(container.labels.get(DEPENDS_ON, "")).items()):
            members = services.get((project, service), [])
            circular = [each for each in members if _reaches(each, container.id, waits)]
            kept += [Wait(each, service, condition) for each in members if each not in circular]
            if circular:
                warnings.append(f"{names[container.id]} and {service} depend on each other: it does not wait for it")
            elif not members:
                warnings.append(f"{names[container.id]} depends on {service}, of which there is no container")
        if kept:
            waits[container.id] = tuple(kept)
    return BootPlan(booted_at_ns, waits, alive, starting, warnings)


def will_start(state: State, finding: Finding) -> bool:
    """Whether boot recovery starts a run: asked of the machine itself."""
    taken = step(state, finding)
    if p.Release() in taken.effects:
        taken = step(taken.state, p.Released())
    return taken.state.phase in (Phase.RESTARTING, Phase.STARTING)


def decide_starts(plan: BootPlan, held: frozenset[str], states: Mapping[str, State]) -> Sequence[Start]:
    """Which of the ``held`` may run; ``states`` are of the containers that exist."""
    starts = []
    for container_id in plan.waits:
        if container_id not in held:
            continue
        verdicts = [(wait, _judge(plan, wait, states.get(wait.container_id))) for wait in plan.waits[container_id]]
        if any(verdict == "wait" for _, verdict in verdicts):
            continue
        starts.append(Start(container_id, [wait.service for wait, verdict in verdicts if verdict == "hopeless"]))
    return starts


def overdue_after(plan: BootPlan, held: frozenset[str]) -> frozenset[str]:
    """The held containers whose patience runs: nothing they wait for is held itself."""
    return frozenset(each for each in held if not any(wait.container_id in held for wait in plan.waits[each]))


def _judge(plan: BootPlan, wait: Wait, state: State | None) -> Literal["wait", "met", "hopeless"]:
    if state is None or state.phase in _GONE:
        return "hopeless"
    is_up = state.phase in (Phase.RUNNING, Phase.PAUSED)
    ran = state.started_at_ns >= plan.booted_at_ns or (wait.container_id in plan.alive and is_up)
    # Until its release is over, the policy may still start another run.
    rests = state.phase in _AT_REST and not state.release_owed
    final = rests and (wait.container_id not in plan.starting or state.finished_at_ns >= plan.booted_at_ns)
    if _is_met(wait.condition, state, ran=ran, final=final):
        return "met"
    return "hopeless" if final else "wait"


def _is_met(condition: Condition, state: State, *, ran: bool, final: bool) -> bool:
    if condition == "service_completed_successfully":
        return final and state.started_at_ns > 0 and state.exit_code == 0 and not state.error
    if condition == "service_healthy" and state.rules.health is not None:
        return ran and state.phase is Phase.RUNNING and state.health is not None and state.health.status == "healthy"
    return ran


def _service(container: Container) -> tuple[str, str]:
    return container.labels.get(PROJECT, ""), container.labels.get(SERVICE, "")


def _reaches(start: str, target: str, waits: Mapping[str, Sequence[Wait]]) -> bool:
    """Whether ``start`` waits for ``target``, itself or through others."""
    seen, open_ends = set[str](), [start]
    while open_ends:
        each = open_ends.pop()
        if each == target:
            return True
        if each not in seen:
            seen.add(each)
            open_ends += [wait.container_id for wait in waits.get(each, ())]
    return False
