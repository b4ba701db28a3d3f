"""Whatever happens to a container in whatever order, the machine keeps its promises.

A small world performs the machine's orders and answers them, now and then with a failure; users, processes, timers and
crashes of the engine come at random. What must hold then is checked after each event.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from tidegate.model import phases as p
from tidegate.model.health import HealthCheck, ProbeResult
from tidegate.model.lifecycle import SIGKILL, NotAllowedError, step
from tidegate.model.phases import Effect, Event, Phase, Rules, State
from tidegate.model.restart import RestartPolicy

SECOND = 1_000_000_000
SIGTERM, SIGHUP = 15, 1
WITH_PROCESS = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})
POLICIES = (
    RestartPolicy(), RestartPolicy("always"), RestartPolicy("unless-stopped"), RestartPolicy("on-failure"),
    RestartPolicy("on-failure", 2),
)  # fmt: skip
CHECKS = (None, HealthCheck(("true",), retries=2), HealthCheck(("true",), retries=1, restart_timeout_s=3))


class ContainerLife(RuleBasedStateMachine):
    """``acquired`` is what a launch takes and a release gives back; ``exits`` are those not delivered yet."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.now_ns = SECOND
        self.alive = self.frozen = self.acquired = self.probing = self.gone = self.failing = False
        self.obedient = True
        self.exits: list[p.Exited] = []
        self.timers: dict[str, int] = {}
        self.armed_once: set[str] = set()
        self.published: list[str] = []
        self.launches = self.runs = self.unclean = 0
        self.orders: list[Effect] = []
        self.user_ended = False

    @initialize(policy=st.sampled_from(POLICIES), auto_remove=st.booleans(), check=st.sampled_from(CHECKS))
    def create(self, policy: RestartPolicy, auto_remove: bool, check: HealthCheck | None) -> None:
        rules = Rules(restart=policy, auto_remove=auto_remove and policy.name == "no", health=check)
        self.state = replace(self.state, rules=rules)
        self.happens(p.CreateRequested())

    # ------------------------------------------------------------------------- the world

    def happens(self, event: Event) -> None:
        """Step, then perform the orders; their outcomes come before anything else."""
        self.now_ns += SECOND
        taken = step(self.state, event)
        self.state = taken.state
        for effect in taken.effects:
            outcome = self.perform(effect)
            if outcome is not None:
                self.happens(outcome)

    def asks(self, event: Event) -> bool:
        """A user's request, which may be refused, and changes nothing then."""
        before = self.state
        try:
            self.happens(event)
        except NotAllowedError:
            assert self.state == before
            return False
        return True

    def fails(self) -> bool:
        """Whether the next order that can fail does; once."""
        failing, self.failing = self.failing, False
        return failing

    def perform(self, effect: Effect) -> Event | None:
        match effect:
            case p.Prepare():
                return p.PrepareFailed("no") if self.fails() else p.Prepared()
            case p.Launch():
                return self.launch(effect)
            case p.Signal():
                self.signal(effect.signal)
            case p.Freeze():
                self.frozen = self.alive and not self.fails()
                return p.Frozen() if self.frozen else p.EffectFailed("no")
            case p.Thaw():
                self.frozen = False
                return p.Thawed()
            case p.Release():
                return self.release()
            case p.Remove():
                assert not self.alive and not self.gone
                self.gone = not self.fails()
                return p.Removed() if self.gone else p.RemoveFailed("busy")
            case p.Publish():
                self.published.append(effect.action)
            case _:
                self.keep(effect)
        return None

    def launch(self, effect: p.Launch) -> Event:
        assert not self.alive and not self.gone
        assert effect.leftovers == self.acquired, "a launch over what an earlier one left"
        self.acquired = True
        self.launches += 1
        if self.fails():
            return p.LaunchFailed("no", 127, self.now_ns, transient=bool(self.launches % 2))
        self.alive = True
        self.runs += 1
        self.exits.clear()
        return p.Launched(self.launches, self.now_ns)

    def signal(self, number: int) -> None:
        if self.alive and (number == SIGKILL or (number == SIGTERM and self.obedient)):
            self.dies(128 + number)

    def dies(self, code: int) -> None:
        self.alive = self.frozen = False
        self.exits.append(p.Exited(code, self.now_ns))

    def release(self) -> Event:
        self.alive = self.frozen = False
        clean = not self.fails()
        self.acquired = not clean
        self.unclean += not clean
        return p.Released(clean)

    def keep(self, effect: Effect) -> None:
        match effect:
            case p.ArmTimer():
                self.timers[effect.timer] = effect.delay_ns
                self.armed_once.add(effect.timer)
            case p.DisarmTimer():
                self.timers.pop(effect.timer, None)
            case p.Probe():
                assert (self.alive or self.exits) and not self.probing
                self.probing = True
            case p.EndProbe():
                self.probing = False

    # ------------------------------------------------------------------------- what may happen

    @precondition(lambda self: not self.gone)
    @rule()
    def user_starts(self) -> None:
        if self.asks(p.StartRequested()) and self.state.phase is Phase.RUNNING:
            self.user_ended = False

    @precondition(lambda self: not self.gone)
    @rule(timeout_s=st.sampled_from([-1, 0, 10]))
    def user_stops(self, timeout_s: int) -> None:
        had_one = self.state.phase in WITH_PROCESS | {Phase.RESTARTING}
        if self.asks(p.StopRequested(SIGTERM, timeout_s)) and had_one:
            self.user_ended = True

    @precondition(lambda self: not self.gone)
    @rule(number=st.sampled_from([SIGHUP, SIGTERM, SIGKILL]))
    def user_kills(self, number: int) -> None:
        if self.asks(p.KillRequested(number)) and number != SIGHUP:
            self.user_ended = True

    @precondition(lambda self: not self.gone)
    @rule(event=st.sampled_from([p.PauseRequested(), p.UnpauseRequested(), p.RemoveRequested()]))
    def user_asks(self, event: Event) -> None:
        self.asks(event)

    @rule()
    def next_order_fails(self) -> None:
        self.failing = True

    @rule()
    def signals_are_obeyed_or_not(self) -> None:
        self.obedient = not self.obedient

    @precondition(lambda self: self.alive and not self.frozen)
    @rule(code=st.sampled_from([0, 1]))
    def process_ends(self, code: int) -> None:
        self.dies(code)

    @precondition(lambda self: self.exits and not self.gone)
    @rule(again=st.booleans())
    def exit_is_told(self, again: bool) -> None:
        """At least once."""
        exited = self.exits[0]
        if not again:
            self.exits.pop(0)
        self.happens(exited)

    @precondition(lambda self: self.timers and not self.gone)
    @rule(data=st.data())
    def timer_runs_out(self, data: Any) -> None:
        timer = data.draw(st.sampled_from(sorted(self.timers)))
        self.now_ns += max(0, self.timers.pop(timer))
        self.happens(p.TimerFired(timer))

    @precondition(lambda self: self.armed_once and not self.gone)
    @rule(data=st.data())
    def timer_was_on_its_way_when_it_was_disarmed(self, data: Any) -> None:
        late = sorted(self.armed_once - set(self.timers))
        if late and not (self.probing and "health" in late):
            timer = data.draw(st.sampled_from(late))
            if self.state.phase is not Phase.RUNNING:  # where it is armed, the actor drops what came before
                self.happens(p.TimerFired(timer))

    @precondition(lambda self: self.probing and not self.gone)
    @rule(code=st.sampled_from([0, 1, -1]))
    def probe_ends(self, code: int) -> None:
        self.probing = False
        self.happens(p.Probed(ProbeResult(self.now_ns, self.now_ns, code, "")))

    @precondition(lambda self: self.alive)
    @rule()
    def memory_runs_out(self) -> None:
        self.happens(p.OutOfMemory())

    @precondition(lambda self: not self.gone and self.state.phase is not Phase.CREATING)
    @rule(held=st.booleans())
    def engine_crashes(self, held: bool) -> None:
        """What is in memory is lost; what the supervisor holds is found. ``held``: the next run waits for others."""
        self.timers.clear()
        self.probing = False
        if self.alive:
            self.happens(p.FoundAlive(self.launches, self.frozen))
        elif self.acquired and self.exits:
            found = self.exits.pop(0)
            self.happens(p.FoundExited(found.exit_code, found.at_ns, held=held))
        else:
            self.happens(p.FoundLost(self.now_ns, held=held))
        if self.state.rules.restart.name == "always":
            self.user_ended = False

    @precondition(lambda self: not self.gone)
    @rule()
    def dependencies_are_met(self) -> None:
        waited = self.state.phase is Phase.RESTARTING and self.state.held
        launches = self.launches
        self.happens(p.DependenciesMet())
        assert self.launches == launches + waited

    # ------------------------------------------------------------------------- what must hold

    @invariant()
    def nothing_taken_is_forgotten(self) -> None:
        assert self.state.release_owed or not self.acquired
        assert self.state.phase not in WITH_PROCESS or self.acquired

    @invariant()
    def a_process_has_its_phase(self) -> None:
        assert not self.alive or self.state.phase in WITH_PROCESS
        assert self.state.phase not in WITH_PROCESS or self.alive or self.exits
        assert self.state.phase not in (Phase.STARTING, Phase.CREATING)  # every launch has its outcome
        if self.alive:
            assert self.frozen == (self.state.phase is Phase.PAUSED)

    @invariant()
    def timers_are_of_their_phases(self) -> None:
        assert ("restart" in self.timers) == (self.state.phase is Phase.RESTARTING and not self.state.held)
        assert "kill" not in self.timers or self.state.phase is Phase.STOPPING
        if self.state.phase is Phase.RUNNING and self.state.rules.health is not None:
            assert ("health" in self.timers) != self.probing
        elif self.state.phase is not Phase.STOPPING:
            assert "health" not in self.timers and not self.probing

    @invariant()
    def each_run_is_told_of(self) -> None:
        running = self.state.phase in WITH_PROCESS
        assert self.published.count("start") == self.runs
        assert self.runs - running <= self.published.count("die") <= self.runs - running + self.unclean
        assert self.published.count("create") <= 1 and self.published.count("destroy") == self.gone

    @invariant()
    def the_policy_is_kept(self) -> None:
        policy = self.state.rules.restart
        if policy.maximum_retry_count and self.state.rules.health is None:
            assert self.state.restart_count <= policy.maximum_retry_count
        if self.user_ended:
            assert self.state.phase is not Phase.RESTARTING
        if self.state.rules.auto_remove and self.launches and not self.state.release_owed:
            assert self.state.phase is not Phase.EXITED


ContainerLife.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestContainerLife = ContainerLife.TestCase
