"""The actor: stores before it acts, and outlives everything its effects do."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.unit.engine.life import Timers, settle

from tidegate.base.errors import InternalError, TidegateError
from tidegate.engine.containers.actor import RETRY_NS, ContainerActor
from tidegate.model import phases as p
from tidegate.model.container import Container
from tidegate.model.lifecycle import NotAllowedError
from tidegate.model.phases import Effect, Event, Phase, Rules, State
from tidegate.model.restart import RestartPolicy


class Recorder:
    """Fits Effects; ``log`` shows stores and effects in order, ``fault`` is raised by the next launch.

    ``full_at`` is the event whose state cannot be stored.
    """

    def __init__(self) -> None:
        self.log: list[object] = []
        self.fault: Exception | None = None
        self.store_fault: TidegateError | None = None
        self.full_at: type[Event] | None = None

    async def store(self, container: Container, *, passing: bool = False) -> None:
        if self.store_fault is not None:
            raise self.store_fault
        entered = {p.FoundLost: Phase.EXITED, p.Released: Phase.RESTARTING}
        if self.full_at is not None and entered[self.full_at] is container.state.phase:
            raise InternalError("disk full")
        self.log.append(container.state.phase)

    async def perform(self, container: Container, effect: Effect) -> Event | None:
        self.log.append(type(effect))
        if isinstance(effect, p.Launch) and self.fault is not None:
            raise self.fault
        outcomes: dict[type[Effect], Event] = {
            p.Launch: p.Launched(1, 1), p.Release: p.Released(), p.Remove: p.Removed(),
        }  # fmt: skip
        return outcomes.get(type(effect))

    def failed(self, effect: Effect, error: TidegateError) -> Event | None:
        return p.LaunchFailed(error.message, 128, 1)


Scene = Callable[[ContainerActor, Recorder, Timers], Awaitable[None]]


def play(body: Scene, phase: Phase = Phase.CREATED, state: State | None = None) -> None:
    async def scene() -> None:
        effects, timers = Recorder(), Timers()
        container = Container("c" * 64, "web", 1, "a", "i", state=state or State(phase=phase))
        actor = ContainerActor(container, effects, timers, lambda gone: effects.log.append(gone.id))
        await asyncio.wait_for(body(actor, effects, timers), 10)
        await actor.close()

    asyncio.run(scene())


def test_the_intent_is_stored_before_the_effect() -> None:
    async def body(actor: ContainerActor, effects: Recorder, _timers: Timers) -> None:
        outcome = await actor.ask(p.StartRequested())
        assert effects.log == [Phase.STARTING, p.Launch, Phase.RUNNING, p.Publish]
        assert (outcome.before.phase, outcome.after.phase) == (Phase.CREATED, Phase.RUNNING)

    play(body)


def test_a_state_that_cannot_be_stored_is_not_entered() -> None:
    async def body(actor: ContainerActor, effects: Recorder, _timers: Timers) -> None:
        effects.store_fault = InternalError("disk full")
        with pytest.raises(InternalError, match="disk full"):
            await actor.ask(p.StartRequested())
        assert actor.state.phase is Phase.CREATED and effects.log == []

    play(body)


def test_a_fault_of_a_driver_is_an_internal_error_and_the_actor_lives() -> None:
    async def body(actor: ContainerActor, effects: Recorder, _timers: Timers) -> None:
        effects.fault = ZeroDivisionError("oops")
        with pytest.raises(InternalError, match="launch failed") as caught:
            await actor.ask(p.StartRequested())
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        effects.fault = None
        assert (await actor.ask(p.StartRequested())).after.phase is Phase.RUNNING

    play(body)


def test_timers_are_armed_replaced_disarmed_and_fire_as_events() -> None:
    async def body(actor: ContainerActor, effects: Recorder, timers: Timers) -> None:
        await actor.ask(p.StopRequested(15, 10))
        await actor.ask(p.StopRequested(15, 5))
        assert [delay for delay, _ in timers.armed] == [5_000_000_000]
        timers.fire()
        await settle()
        assert effects.log.count(p.Signal) == 2
        await actor.ask(p.StopRequested(15, 5))
        await actor.ask(p.Exited(0, 1))
        assert timers.armed == []

    play(body, Phase.RUNNING)


def test_waiters_are_woken_and_a_cancelled_one_is_forgotten() -> None:
    async def body(actor: ContainerActor, _effects: Recorder, _timers: Timers) -> None:
        kept, dropped = actor.waiter("exit"), actor.waiter("exit")
        dropped.cancel()
        await actor.ask(p.Exited(3, 1))
        assert (await kept).exit_code == 3

    play(body, Phase.RUNNING)


def test_after_a_removal_letters_are_refused_and_waits_end() -> None:
    async def body(actor: ContainerActor, effects: Recorder, _timers: Timers) -> None:
        first = asyncio.ensure_future(actor.ask(p.RemoveRequested()))
        second = asyncio.ensure_future(actor.ask(p.StartRequested()))
        await first
        with pytest.raises(NotAllowedError):
            await second
        with pytest.raises(NotAllowedError):
            await actor.ask(p.StartRequested())
        await asyncio.wait_for(actor.waiter("removal"), 1)
        assert effects.log.count(actor.container.id) == 1

    play(body, Phase.EXITED)


def test_an_exit_that_cannot_be_stored_is_taken_again_later() -> None:
    async def body(actor: ContainerActor, effects: Recorder, timers: Timers) -> None:
        effects.store_fault = InternalError("disk full")
        actor.post(p.Exited(7, 5))
        await settle()
        assert actor.state.phase is Phase.RUNNING
        effects.store_fault = None
        assert timers.fire() == RETRY_NS
        await settle()
        assert (actor.state.phase, actor.state.exit_code) == (Phase.EXITED, 7)

    play(body, Phase.RUNNING)


@pytest.mark.parametrize("lost_on_the_way", [p.FoundLost, p.Released])
def test_what_is_let_go_before_it_could_be_recorded_is_not_held_for_ever(lost_on_the_way: type[Event]) -> None:
    always = Rules(restart=RestartPolicy("always"))
    running = State(phase=Phase.RUNNING, rules=always, release_owed=True, started_at_ns=1)

    async def body(actor: ContainerActor, effects: Recorder, timers: Timers) -> None:
        effects.full_at = lost_on_the_way
        actor.post(p.FoundLost(5, held=True))
        actor.post(p.DependenciesMet())
        await settle()
        effects.full_at = None
        assert timers.fire() == RETRY_NS
        await settle()
        timers.fire()
        await settle()
        assert actor.state.phase is Phase.RUNNING and p.Launch in effects.log

    play(body, state=running)
