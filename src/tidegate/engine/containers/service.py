"""Containers: what the API asks for, on the actors and the ports.

Every method takes what the user typed (``name_or_id``) and raises NotFoundError for what does not exist, ConflictError
with Docker's words (``engine/containers/refusals.py``) for what the container's phase forbids. "Nothing to do"
is a return value.

Not here: the machine (``model/lifecycle.py``), its effects (``engine/containers/effects.py``), execs
(``engine/execs.py``).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import ConflictError, InvalidParameterError
from tidegate.engine import ports as outside
from tidegate.engine.containers.actor import ContainerActor, Edit, Effects, Outcome, SetTimer, loop_timer
from tidegate.engine.containers.directory import ContainerDirectory
from tidegate.engine.containers.early_streams import Wanted
from tidegate.engine.containers.effects import ATTACHMENT, CONTAINER, ContainerEffects, Ports, Prober
from tidegate.engine.containers.refusals import refusal
from tidegate.engine.event_sources.container_events import ContainerEvents
from tidegate.engine.events import EventBus
from tidegate.model import phases as p
from tidegate.model.boot_order import Finding
from tidegate.model.container import Container, Settings
from tidegate.model.health import ProbeResult
from tidegate.model.lifecycle import SIGKILL, NotAllowedError
from tidegate.model.phases import ALIVE, Event, Phase, Rules, State

_log = logging.getLogger(__name__)

Hold = Callable[[Sequence[tuple[Container, Finding]]], frozenset[str]]
"""What boot recovery found -> the containers whose next run has to wait for ``let_go``."""

WaitCondition = Literal["not-running", "next-exit", "removed"]


def _hold_nobody(_found: Sequence[tuple[Container, Finding]]) -> frozenset[str]:
    return frozenset()


class NewContainer(msgspec.Struct, frozen=True):
    """What ``create`` needs; ``name`` "" picks one."""

    name: str
    image: str
    image_id: str
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    document: bytes = b"{}"
    settings: Settings = msgspec.field(default_factory=Settings)
    rules: Rules = msgspec.field(default_factory=Rules)


class ContainerService:
    """The use cases. ``recover`` first, then ``run`` as a task for the engine's life, ``close`` at the end."""

    def __init__(self, ports: Ports, bus: EventBus, set_timer: SetTimer = loop_timer) -> None:
        self._ports = ports
        self._effects = ContainerEffects(ports, ContainerEvents(bus, ports.network_id))
        self._acting: Effects = self._effects
        self._set_timer = set_timer
        self._directory = ContainerDirectory()
        self._on_exec_exit: Callable[[outside.Exited], None] = lambda _exit: None

    # ------------------------------------------------------------------------- finding

    def resolve(self, name_or_id: str) -> Container:
        """The container as it is now. Raises NotFoundError, InvalidParameterError for an ambiguous prefix."""
        return self._directory.resolve(name_or_id).container

    def list(self) -> Sequence[Container]:
        """Every container, the newest first."""
        found = [actor.container for actor in self._directory]
        return sorted(found, key=lambda container: container.created_at_ns, reverse=True)

    def attachment(self, container_id: str) -> outside.BridgeAttachment | None:
        """What a running container has on the bridge."""
        return self._effects.attachments.get(container_id)

    # ------------------------------------------------------------------------- life

    async def create(self, new: NewContainer) -> Container:
        """Make it. Raises ConflictError for a taken name, and what the stores raise; nothing is left then."""
        identity = secrets.token_hex(32)
        name = self._directory.reserve(new.name, identity)
        container = Container(
            identity, name, self._ports.clock(), new.image, new.image_id, dict(new.labels), new.document,
            new.settings, State(rules=new.rules),
        )  # fmt: skip
        try:
            await self._effects.store(container)
        except BaseException:
            self._directory.release(name)
            raise
        actor = self._admit(container)
        await actor.ask(p.CreateRequested())
        return actor.container

    async def start(self, name_or_id: str) -> bool:
        """Run it; False when it runs already. Raises what kept it from running, in Docker's words."""
        outcome = await self._ask(name_or_id, p.StartRequested())
        return outcome.before.phase is not Phase.RUNNING

    async def stop(self, name_or_id: str, timeout_s: int | None = None, signal: int | None = None) -> bool:
        """Signal, and kill after the timeout (negative: never); returns when it has exited. False: nothing ran."""
        actor = self._directory.resolve(name_or_id)
        container = actor.container
        wanted = signal or container.state.rules.stop_signal
        limit_s = container.settings.stop_timeout_s if timeout_s is None else timeout_s
        exited = actor.waiter("exit")
        try:
            outcome = await self._ask(container.id, p.StopRequested(wanted, limit_s))
            if outcome.before.phase not in ALIVE | {Phase.RESTARTING}:
                return False
            await exited
        finally:
            exited.cancel()
        self._effects.events.tell(actor.container, "stop", {})
        return True

    async def kill(self, name_or_id: str, signal: int = SIGKILL) -> None:
        """Send a signal; returns at once unless it is SIGKILL, then when the container has exited."""
        actor = self._directory.resolve(name_or_id)
        exited = actor.waiter("exit")
        try:
            await self._ask(actor.container.id, p.KillRequested(signal))
            if signal == SIGKILL:
                await exited
        finally:
            exited.cancel()

    async def restart(self, name_or_id: str, timeout_s: int | None = None, signal: int | None = None) -> None:
        """Stop if it runs, then start; an auto-removed container is kept for it."""
        container = self.resolve(name_or_id)
        kept = container.state.rules.auto_remove
        if kept:
            await self._ask(container.id, _auto_remove(False))
        try:
            await self.stop(container.id, timeout_s, signal)
        finally:
            if kept:
                await self._ask(container.id, _auto_remove(True))
        await self.start(container.id)
        self._effects.events.tell(self.resolve(container.id), "restart", {})

    async def pause(self, name_or_id: str) -> None:
        """Freeze every process."""
        await self._ask(name_or_id, p.PauseRequested())

    async def unpause(self, name_or_id: str) -> None:
        """Let them run again."""
        await self._ask(name_or_id, p.UnpauseRequested())

    async def rename(self, name_or_id: str, new_name: str) -> None:
        """Give it another name. Raises ConflictError for a taken one, InvalidParameterError for a malformed one."""
        container = self.resolve(name_or_id)
        if not new_name.removeprefix("/"):
            raise InvalidParameterError("Neither old nor new names may be empty")
        if new_name.removeprefix("/") == container.name:
            raise InvalidParameterError("Renaming a container with the same name as its current name")
        name = self._directory.reserve(new_name, container.id)
        try:
            await self._ask(container.id, lambda current: replace(current, name=name))
        except BaseException:
            self._directory.release(name)
            raise
        self._directory.release(container.name)
        self._effects.events.tell(self.resolve(container.id), "rename", {"oldName": f"/{container.name}"})

    async def edit(self, name_or_id: str, edit: Edit) -> Container:
        """Change the record (``docker update``); the state must be changed in its ``rules`` only."""
        actor = self._directory.resolve(name_or_id)
        await self._ask(actor.container.id, edit)
        return actor.container

    async def remove(self, name_or_id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with its anonymous volumes if asked; ``force`` kills it first."""
        actor = self._directory.resolve(name_or_id)
        container = actor.container
        gone = actor.waiter("removal")
        try:
            if force:
                await self._kill_for_removal(actor)
            if self._directory.get(container.id) is None or gone.done():
                return
            await self._ask(container.id, p.RemoveRequested(volumes))
        finally:
            gone.cancel()

    async def _kill_for_removal(self, actor: ContainerActor) -> None:
        """Asked in any phase: a container that is just being released may be about to start again."""
        try:
            await self.kill(actor.container.id)
        except ConflictError:
            if actor.state.phase in ALIVE | {Phase.RESTARTING}:
                raise

    def wait(self, name_or_id: str, condition: WaitCondition = "not-running") -> "asyncio.Future[State]":
        """The state when the condition is met. Registered when this returns; cancel it when the client is gone."""
        actor = self._directory.resolve(name_or_id)
        at_rest = actor.state.phase not in ALIVE | {Phase.RESTARTING}
        if condition == "not-running" and at_rest:
            done: asyncio.Future[State] = asyncio.get_running_loop().create_future()
            done.set_result(actor.state)
            return done
        return actor.waiter("removal" if condition == "removed" else "exit")

    # ------------------------------------------------------------------------- streams

    async def attach(self, name_or_id: str, *, stdin: bool, stdout: bool, stderr: bool) -> outside.AttachStream:
        """The streams of the init process; before a start, those of the run to come.

        Raises ConflictError for a paused or restarting container.
        """
        container = self.resolve(name_or_id)
        phase = container.state.phase
        if phase is Phase.PAUSED:
            raise ConflictError(f"container {container.id} is paused, unpause the container before attach")
        if phase is Phase.RESTARTING:
            raise ConflictError(
                f"container {container.id} is restarting, wait until the container is running before attach"
            )
        self._effects.events.tell(container, "attach", {})
        if phase in (Phase.RUNNING, Phase.STOPPING):
            return await self._ports.runtime.attach(container.id, None, stdin=stdin, stdout=stdout, stderr=stderr)
        return self._effects.streams.add(container.id, Wanted(stdin, stdout, stderr))

    async def resize(self, name_or_id: str, height: int, width: int) -> None:
        """Set the size of the terminal. Raises ConflictError when nothing runs."""
        container = self.resolve(name_or_id)
        if container.state.phase not in (Phase.RUNNING, Phase.STOPPING, Phase.PAUSED):
            raise ConflictError(f"container {container.id} is not running")
        await self._ports.runtime.resize(container.id, None, height, width)
        self._effects.events.tell(container, "resize", {"height": str(height), "width": str(width)})

    # ------------------------------------------------------------------------- the engine's own life

    async def recover(self, hold: Hold = _hold_nobody) -> None:
        """Boot: every record's actor is told what the supervisor still holds, and the one table does the rest."""
        records = await self._ports.state.load(CONTAINER)
        found = {each.container_id: each for each in await self._ports.runtime.recover() if each.exec_id is None}
        containers = [msgspec.json.decode(raw, type=Container) for raw in records.values()]
        await self._adopt_attachments(containers)
        for container in containers:
            self._directory.reserve(container.name, container.id)
            self._admit(container)
        await self._ports.remote_logs.recover([container.id for container in containers])
        for stray in found.keys() - {container.id for container in containers}:
            await self._ports.runtime.release(stray)
        findings = [(container, self._finding(found.get(container.id))) for container in containers]
        held = hold(findings)
        told = [self._tell(container, _with_hold(finding, container.id in held)) for container, finding in findings]
        for error in await asyncio.gather(*told, return_exceptions=True):
            if isinstance(error, BaseException):
                _log.warning("a container was found as it should not be: %s", error)

    async def _tell(self, container: Container, finding: Event) -> None:
        """Waits until a living container is known as it is; what has to be given back or started takes its time."""
        actor = self._directory.resolve(container.id)
        if isinstance(finding, p.FoundAlive) and container.state.phase in ALIVE - {Phase.STARTING}:
            await actor.ask(finding)
        else:
            actor.post(finding)

    async def _adopt_attachments(self, containers: Sequence[Container]) -> None:
        """Half-started containers lose theirs; the rest keep address and ports."""
        records = await self._ports.state.load(ATTACHMENT)
        living = {each.id for each in containers if each.state.phase in ALIVE - {Phase.STARTING}}
        kept = {
            key: msgspec.json.decode(raw, type=outside.BridgeAttachment)
            for key, raw in records.items()
            if key in living
        }
        for identity in living:
            self._effects.events.adopt(identity)
        await self._ports.bridge.adopt(list(kept.values()))
        self._effects.attachments.update(kept)

    def _finding(self, found: outside.RunningProcess | None) -> Finding:
        if found is None:
            return p.FoundLost(self._ports.clock())
        if found.exit is not None:
            return p.FoundExited(found.exit.exit_code, found.exit.finished_at_ns, found.exit.oom_killed)
        return p.FoundAlive(found.pid, found.paused)

    async def run(self) -> None:
        """Deliver what the supervisor reports, until cancelled."""
        async for event in self._ports.runtime.events():
            self._deliver(event)

    def publish(self, name_or_id: str, action: str, attributes: Mapping[str, str]) -> None:
        """Put an event of the container on the bus; one that is gone has no more events."""
        actor = self._directory.get(name_or_id)
        if actor is not None:
            self._effects.events.tell(actor.container, action, dict(attributes))

    def on_exec_exit(self, call: Callable[[outside.Exited], None]) -> None:
        """Who is told of the ends of execs (``engine/execs.py``)."""
        self._on_exec_exit = call

    def act_through(self, wrap: Callable[[Effects], Effects]) -> None:
        """What actors do goes through what ``wrap`` makes; before the first one acts."""
        self._acting = wrap(self._effects)

    def probe_with(self, prober: Prober) -> None:
        """Who runs health checks (``engine/containers/health_prober.py``)."""
        self._effects.prober = prober

    def states(self) -> Mapping[str, State]:
        """Of every container, by its id."""
        return {actor.container.id: actor.state for actor in self._directory}

    def let_go(self, container_id: str) -> None:
        """Start a container that boot recovery holds; one that is gone needs nothing."""
        actor = self._directory.get(container_id)
        if actor is not None:
            actor.post(p.DependenciesMet())

    def probed(self, container_id: str, result: ProbeResult) -> None:
        """Deliver what a health check showed."""
        actor = self._directory.get(container_id)
        if actor is not None:
            actor.post(p.Probed(result))

    async def close(self) -> None:
        """Stop acting; containers run on."""
        await asyncio.gather(*(actor.close() for actor in self._directory))

    def _deliver(self, event: outside.Exited | outside.OutOfMemory) -> None:
        if isinstance(event, outside.Exited) and event.exec_id is not None:
            self._on_exec_exit(event)
            return
        actor = self._directory.get(event.container_id)
        if actor is None:
            return
        if isinstance(event, outside.OutOfMemory):
            actor.post(p.OutOfMemory())
        else:
            actor.post(p.Exited(event.exit_code, event.finished_at_ns, event.oom_killed))

    def _admit(self, container: Container) -> ContainerActor:
        actor = ContainerActor(container, self._acting, self._set_timer, lambda gone: self._directory.forget(gone.id))
        self._directory.add(actor)
        return actor

    async def _ask(self, name_or_id: str, request: Event | Edit) -> Outcome:
        actor = self._directory.resolve(name_or_id)
        try:
            return await actor.ask(request)
        except NotAllowedError as refused:
            raise refusal(actor.container, refused) from refused


def _with_hold(finding: Finding, held: bool) -> Finding:
    return finding if isinstance(finding, p.FoundAlive) else replace(finding, held=held)


def _auto_remove(wanted: bool) -> Edit:
    def edit(container: Container) -> Container:
        rules = replace(container.state.rules, auto_remove=wanted)
        return replace(container, state=replace(container.state, rules=rules))

    return edit
