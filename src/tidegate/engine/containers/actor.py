"""One actor per container: the only writer of its state.

take event -> step (``model.lifecycle``) -> store -> act -> the outcome returns as an event, before anything else is
taken. So a stop that arrives while a start is under way is decided when the start has ended, and never in between.

- a state that cannot be stored is not entered, and its effects are not performed: the requester gets the error, and
  what the world did (an exit, the outcome of an effect) is taken again later;
- a requester that goes away cancels nothing: the actor's own task performs the effects;
- timers are events to come; they are injected, so that tests own the time.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

import msgspec
from msgspec.structs import replace

from tidegate.base.errors import InternalError, TidegateError
from tidegate.base.tracing.context import TraceContext, carried, current_trace
from tidegate.model import phases as p
from tidegate.model.container import Container
from tidegate.model.lifecycle import NotAllowedError, step
from tidegate.model.phases import Effect, Event, Phase, State

_log = logging.getLogger(__name__)

RETRY_NS = 1_000_000_000
Cancel = Callable[[], None]
SetTimer = Callable[[int, Callable[[], None]], Cancel]
"""(delay_ns, what to call) -> how to cancel."""

Edit = Callable[[Container], Container]


class Effects(Protocol):
    """What performs the orders of the machine."""

    async def store(self, container: Container, *, passing: bool = False) -> None:
        """``passing``: the record need not outlive a loss of power."""
        ...

    async def perform(self, container: Container, effect: Effect) -> Event | None:
        """Do it; returns the outcome. Raises a TidegateError when it could not be done."""
        ...

    def failed(self, effect: Effect, error: TidegateError) -> Event | None:
        """The outcome to feed back for an effect that raised."""
        ...


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request, with every consequence that did not have to wait for the world."""

    before: State
    after: State


@dataclass(slots=True)
class _Letter:
    content: Event | Edit
    reply: "asyncio.Future[Outcome] | None" = None
    trace: TraceContext | None = None


@dataclass(slots=True)
class _Chain:
    """Events to handle before the next letter, and the first error met on the way."""

    events: deque[Event] = field(default_factory=deque)
    error: TidegateError | None = None


class ContainerActor:
    """The mailbox and the loop. ``on_gone`` is called when nothing of the container is left."""

    def __init__(
        self, container: Container, effects: Effects, set_timer: SetTimer, on_gone: Callable[[Container], None]
    ) -> None:
        self.container = container
        self._effects = effects
        self._set_timer = set_timer
        self._on_gone = on_gone
        self._mailbox: asyncio.Queue[_Letter] = asyncio.Queue()
        self._timers: dict[p.Timer, Cancel] = {}
        self._waiters: dict[Literal["exit", "removal"], set[asyncio.Future[State]]] = {"exit": set(), "removal": set()}
        self._gone = False
        self._task = asyncio.create_task(self._run(), name=f"container {container.id[:12]}")

    @property
    def state(self) -> State:
        """The last stored state."""
        return self.container.state

    def post(self, event: Event) -> None:
        """Deliver an event nobody waits for."""
        self._mailbox.put_nowait(_Letter(event))

    async def ask(self, content: Event | Edit) -> Outcome:
        """Deliver a request (or a change of the record) and wait for what becomes of it.

        Raises NotAllowedError, or the TidegateError an effect met.
        """
        reply: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._gone:
            raise NotAllowedError(Phase.REMOVING, p.RemoveRequested())
        self._mailbox.put_nowait(_Letter(content, reply, current_trace.get()))
        return await reply

    def waiter(self, what: Literal["exit", "removal"]) -> "asyncio.Future[State]":
        """The state at the container's next exit (or its removal, or a failed one); registered when this returns."""
        waiter: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        if self._gone:
            waiter.set_result(self.state)
            return waiter
        self._waiters[what].add(waiter)
        waiter.add_done_callback(self._waiters[what].discard)
        return waiter

    async def close(self) -> None:
        """Stop acting, at the engine's shutdown; what was under way is left to boot recovery."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for timer in tuple(self._timers):
            self._disarm(timer)

    async def _run(self) -> None:
        while not self._gone:
            letter = await self._mailbox.get()
            await self._answer(letter)
        while not self._mailbox.empty():
            self._refuse(self._mailbox.get_nowait())

    async def _answer(self, letter: _Letter) -> None:
        before = self.state
        error: Exception | None
        try:
            with carried(letter.trace):
                error = await self._handle(letter.content, requested=letter.reply is not None)
        except (TidegateError, NotAllowedError) as refused:
            error = refused
        if letter.reply is None or letter.reply.done():
            if error is not None:
                told = {"container": self.container.id, "name": self.container.name, "error": str(error)}
                _log.warning("container %s: %s", self.container.id[:12], error, extra={"fields": told})
            return
        if error is not None:
            letter.reply.set_exception(error)
        else:
            letter.reply.set_result(Outcome(before, self.state))

    def _refuse(self, letter: _Letter) -> None:
        if letter.reply is not None and not letter.reply.done():
            letter.reply.set_exception(NotAllowedError(Phase.REMOVING, p.RemoveRequested()))

    async def _handle(self, content: Event | Edit, *, requested: bool) -> TidegateError | None:
        if callable(content):
            edited = content(self.container)
            await self._effects.store(edited)
            self.container = edited
            return None
        chain = _Chain(deque([content]))
        while chain.events:
            event = chain.events.popleft()
            try:
                await self._take(event, chain)
            except TidegateError as error:  # its state could not be stored, for want of disk say
                if requested and event is content:
                    raise
                self._retry(event, *chain.events)
                return chain.error or error
        return chain.error

    def _retry(self, *events: Event) -> None:
        """What has happened stays true: take it again later. It is not held then: who lets go does so once."""
        for event in events:
            again = replace(event, held=False) if isinstance(event, p.FoundExited | p.FoundLost) else event
            self._set_timer(RETRY_NS, partial(self.post, again))

    async def _take(self, event: Event, chain: _Chain) -> None:
        taken = step(self.state, event)
        if taken.state != self.state:
            entered = replace(self.container, state=taken.state)
            await self._effects.store(entered, passing=taken.passing)
            self.container = entered
        if isinstance(event, p.Removed):
            self._gone = True
            self._on_gone(self.container)
        for effect in taken.effects:
            outcome = await self._act(effect, chain)
            if outcome is not None:
                chain.events.append(outcome)

    async def _act(self, effect: Effect, chain: _Chain) -> Event | None:
        match effect:
            case p.ArmTimer(timer, delay_ns):
                self._disarm(timer)
                self._timers[timer] = self._set_timer(delay_ns, lambda: self._fired(timer))
            case p.DisarmTimer(timer):
                self._disarm(timer)
            case p.Announce(what):
                self._announce(what)
            case _:
                return await self._perform(effect, chain)
        return None

    async def _perform(self, effect: Effect, chain: _Chain) -> Event | None:
        try:
            return await self._effects.perform(self.container, effect)
        except TidegateError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the actor must outlive a fault of a driver
            failure = InternalError(f"{type(effect).__name__.lower()} failed: {error!r}")
            failure.__cause__ = error
        chain.error = chain.error or failure
        return self._effects.failed(effect, failure)

    def _announce(self, what: Literal["exit", "removal"]) -> None:
        for waiter in tuple(self._waiters[what]):
            if not waiter.done():
                waiter.set_result(self.state)
        if what == "removal" and self._waiters["exit"]:
            self._announce("exit")

    def _disarm(self, timer: p.Timer) -> None:
        cancel = self._timers.pop(timer, None)
        if cancel is not None:
            cancel()

    def _fired(self, timer: p.Timer) -> None:
        self._timers.pop(timer, None)
        self.post(p.TimerFired(timer))


def loop_timer(delay_ns: int, call: Callable[[], None]) -> Cancel:
    """The real SetTimer, on the running event loop."""
    return asyncio.get_running_loop().call_later(delay_ns / 1e9, call).cancel
