"""Holds what restart policies start at boot until its dependencies are there (``model/boot_order.py`` decides).

- ``hold`` is asked once, by boot recovery; ``run`` lets the held ones go and ends with the last of them;
- nobody waits for ever: what does not come within ``PATIENCE_NS`` of the time when it could have come is warned of,
  and the container starts without it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tidegate.base.errors import UnavailableError
from tidegate.engine.containers.actor import Cancel, SetTimer, loop_timer
from tidegate.engine.events import EventBus, EventFilter, Listener
from tidegate.engine.ports import Clock
from tidegate.model.boot_order import BootPlan, Finding, Start, decide_starts, overdue_after, plan_boot
from tidegate.model.container import Container
from tidegate.model.phases import State

_log = logging.getLogger(__name__)

PATIENCE_NS = 300_000_000_000


class BootOrder:
    """``states`` answers those of every container there is, ``let_go`` starts one that was held."""

    def __init__(
        self,
        states: Callable[[], Mapping[str, State]],
        let_go: Callable[[str], None],
        bus: EventBus,
        clock: Clock,
        set_timer: SetTimer = loop_timer,
    ) -> None:
        self._states, self._let_go, self._bus, self._clock, self._set_timer = states, let_go, bus, clock, set_timer
        self._plan = BootPlan(0)
        self._held: frozenset[str] = frozenset()
        self._names: Mapping[str, str] = {}
        self._patience: dict[str, Cancel] = {}
        self._listener: Listener | None = None

    def hold(self, found: Sequence[tuple[Container, Finding]]) -> frozenset[str]:
        """The containers whose next run has to wait."""
        self._plan = plan_boot(found, self._clock())
        self._held = frozenset(self._plan.waits)
        self._names = {container.id: container.name for container, _ in found}
        for warning in self._plan.warnings:
            _log.warning("start order: %s", warning)
        for container_id in self._plan.waits:
            asked = ", ".join(f"{wait.service} ({wait.condition})" for wait in self._plan.waits[container_id])
            _log.info("start order: %s waits for %s", self._names[container_id], asked)
        return self._held

    async def run(self) -> None:
        """Let them go one after another; ends when none is held."""
        try:
            while self._held:
                self._listener = self._bus.subscribe(EventFilter({"type": ["container"]}))
                self._look()
                try:
                    async for _ in self._listener.events():
                        self._look()
                except UnavailableError:  # more events than a listener holds: look anew
                    continue
                finally:
                    self._listener.close()
        finally:
            for cancel in self._patience.values():
                cancel()

    def _look(self) -> None:
        for start in decide_starts(self._plan, self._held, self._states()):
            self._start(start)
        for container_id in overdue_after(self._plan, self._held) - self._patience.keys():
            self._patience[container_id] = self._set_timer(PATIENCE_NS, partial(self._give_up, container_id))

    def _give_up(self, container_id: str) -> None:
        if container_id in self._held:
            self._start(Start(container_id, [wait.service for wait in self._plan.waits[container_id]]))

    def _start(self, start: Start) -> None:
        self._held -= {start.container_id}
        name = self._names[start.container_id]
        if start.given_up:
            _log.warning("start order: %s starts without %s", name, ", ".join(start.given_up))
        else:
            _log.info("start order: %s starts: what it depends on is there", name)
        self._let_go(start.container_id)
        if not self._held and self._listener is not None:
            self._listener.close()
