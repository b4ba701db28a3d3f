"""The life of a container: ``step(state, event) -> Step(state, effects)``.

Pure: no clock (events carry their time), no I/O. The actor of a container takes an event, steps, stores the new state,
performs the effects in order and feeds their outcomes back as events before it takes anything else.

- ``TABLE`` is the whole of it; a pair that is not there is ``NotAllowedError``, and the state is unchanged;
- every state is safe to store before its effects: from it boot recovery finds what may be left half done;
- ``release_owed`` is true from the moment a launch is ordered until a release succeeded;
- ``die`` is announced after the release, so whoever waited finds ports and mounts free.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from tidegate.model import health as health_rules
from tidegate.model import phases as p
from tidegate.model.phases import Effect, Event, Phase, State, Step
from tidegate.model.restart import decide_restart, decide_restart_at_boot, next_delay_ns

SIGKILL = 9
NANOSECONDS = 1_000_000_000
LOST_EXIT_CODE = 255


class NotAllowedError(Exception):
    """The event makes no sense in this phase. The service words it for the client."""

    def __init__(self, phase: Phase, event: Event) -> None:
        super().__init__(f"{type(event).__name__} is not allowed while {phase.value}")
        self.phase = phase
        self.event = event


# Transitions take a state and one type of event; the table pairs them, so each is typed by its own event.


def _stay(state: State, _event: Event) -> Step:
    return Step(state)


def _prepare(state: State, _event: p.CreateRequested) -> Step:
    return Step(state, (p.Prepare(),))


def _prepare_done(state: State, _event: p.Prepared) -> Step:
    return Step(replace(state, phase=Phase.CREATED), (p.Publish("create"),))


def _prepare_failed(state: State, event: p.PrepareFailed) -> Step:
    return Step(replace(state, phase=Phase.REMOVING, error=event.error), (p.Remove(),))


def _start(state: State, _event: p.StartRequested) -> Step:
    fresh = replace(state, restart_count=0, delay_ns=0, stopped_by_user=False)
    return _launch(fresh, p.DisarmTimer("restart"), attended=True)


def _launch(state: State, *before: Effect, attended: bool = False) -> Step:
    starting = replace(state, phase=Phase.STARTING, error="", oom_killed=False, release_owed=True, attended=attended)
    starting = replace(starting, restart_owed=False, held=False)
    return Step(starting, (*before, p.Launch(leftovers=state.release_owed)))


def _launched(state: State, event: p.Launched) -> Step:
    running = replace(state, phase=Phase.RUNNING, pid=event.pid, exit_code=0, started_at_ns=event.at_ns)
    if state.rules.health is not None:
        running = replace(running, health=health_rules.begin(state.health))
    return Step(running, (p.Publish("start"), *_probe_timer(running)))


def _launch_failed(state: State, event: p.LaunchFailed) -> Step:
    """It ends a restart policy, as with Docker; but a failure of ours that nobody was told of does not."""
    phase = Phase.EXITED if state.started_at_ns else Phase.CREATED
    final = state.attended or not event.transient
    failed = replace(state, phase=phase, pid=0, exit_code=event.exit_code, error=event.error, stopped_by_user=final)
    return Step(replace(failed, finished_at_ns=event.at_ns), (p.Release(),))


def _exited(state: State, event: p.Exited) -> Step:
    if event.at_ns < state.started_at_ns:  # exits are delivered at least once: this one is of an earlier run
        return Step(state)
    ended = replace(state, phase=Phase.EXITED, pid=0, exit_code=event.exit_code, finished_at_ns=event.at_ns)
    ended = replace(ended, oom_killed=state.oom_killed or event.oom_killed)
    told = (p.Publish("oom"),) if event.oom_killed and not state.oom_killed else ()
    if state.health is not None:
        ended = replace(ended, health=health_rules.end(state.health))
    return Step(ended, (*told, p.DisarmTimer("kill"), *_no_probes(state), p.Release()))


def _released(state: State, event: p.Released) -> Step:
    """The run is over: restart it, remove it, or let it rest."""
    state = replace(state, release_owed=not event.clean)
    told = (*_died(state), p.Announce("exit"))
    if _restarts(state):
        delay_ns = next_delay_ns(state.delay_ns, state.finished_at_ns - state.started_at_ns)
        waiting = replace(state, phase=Phase.RESTARTING, delay_ns=delay_ns, restart_count=state.restart_count + 1)
        return Step(waiting, told if state.held else (*told, p.ArmTimer("restart", delay_ns)))
    if state.rules.auto_remove:
        return Step(replace(state, phase=Phase.REMOVING), (*told, p.Remove()))
    return Step(state, told)


def _died(state: State) -> tuple[Effect, ...]:
    """What never ran does not die: a failed launch left its error."""
    if state.error:
        return ()
    run_time_s = max(0, state.finished_at_ns - state.started_at_ns) // NANOSECONDS
    return (p.Publish("die", (("exitCode", str(state.exit_code)), ("execDuration", str(run_time_s)))),)


def _restarts(state: State) -> bool:
    policy = state.rules.restart
    if state.restart_owed and not state.stopped_by_user:
        return True
    return decide_restart(policy, state.exit_code, state.restart_count, stopped_by_user=state.stopped_by_user)


def _kill(state: State, event: p.KillRequested) -> Step:
    final = event.signal in (SIGKILL, state.rules.stop_signal)
    killed = replace(state, stopped_by_user=state.stopped_by_user or final)
    effects: tuple[Effect, ...] = (p.Publish("kill", (("signal", str(event.signal)),)), p.Signal(event.signal))
    if final and state.phase is Phase.PAUSED:
        effects = (*effects, p.Thaw())
    return Step(killed, effects)


def _stop(state: State, event: p.StopRequested) -> Step:
    thaw: tuple[Effect, ...] = (p.Thaw(),) if state.phase is Phase.PAUSED else ()
    stopping = replace(state, phase=Phase.STOPPING, stopped_by_user=True, stop_timeout_s=event.timeout_s)
    published = p.Publish("kill", (("signal", str(event.signal)),))
    return Step(stopping, (published, p.Signal(event.signal), *thaw, *_kill_timer(event.timeout_s)))


def _stop_again(state: State, event: p.StopRequested) -> Step:
    """A second stop may only bring the end nearer; after one of ours, of an unhealthy run, it makes the end final."""
    stopping = replace(state, stop_timeout_s=event.timeout_s, stopped_by_user=True)
    return Step(stopping, _kill_timer(event.timeout_s))


def _kill_timer(timeout_s: int) -> tuple[Effect, ...]:
    return (p.ArmTimer("kill", timeout_s * NANOSECONDS),) if timeout_s >= 0 else ()


def _kill_waiting(state: State, event: p.KillRequested) -> Step:
    """Nothing runs that could take the signal, but one that ends containers ends the wait."""
    if event.signal not in (SIGKILL, state.rules.stop_signal):
        raise NotAllowedError(state.phase, event)
    return _stop_waiting(state, event)


def _stop_waiting(state: State, _event: p.StopRequested | p.KillRequested) -> Step:
    """Stop during the pause before a restart: nothing runs, so nothing dies again."""
    effects: tuple[Effect, ...] = (p.DisarmTimer("restart"), p.Announce("exit"))
    stopped = replace(state, stopped_by_user=True, held=False)
    if state.rules.auto_remove:
        return Step(replace(stopped, phase=Phase.REMOVING), (*effects, p.Remove()))
    return Step(replace(stopped, phase=Phase.EXITED), effects)


def _timer_in_stopping(state: State, event: p.TimerFired) -> Step:
    if event.timer != "kill":
        return Step(state)
    return Step(state, (p.Publish("kill", (("signal", str(SIGKILL)),)), p.Signal(SIGKILL)))


def _timer_in_restarting(state: State, event: p.TimerFired) -> Step:
    return _launch(state) if event.timer == "restart" else Step(state)


def _dependencies_met(state: State, _event: p.DependenciesMet) -> Step:
    """What comes to its pause only later, for want of disk say, is then not held any more."""
    if state.held and state.phase is Phase.RESTARTING:
        return _launch(state)
    return Step(replace(state, held=False))


def _timer_in_running(state: State, event: p.TimerFired) -> Step:
    return Step(state, (p.Probe(),)) if event.timer == "health" else Step(state)


def _probe_timer(state: State) -> tuple[Effect, ...]:
    check, health = state.rules.health, state.health
    if check is None or health is None:
        return ()
    return (p.ArmTimer("health", health_rules.next_probe_ns(check, health, state.started_at_ns)),)


def _no_probes(state: State) -> tuple[Effect, ...]:
    return (p.DisarmTimer("health"), p.EndProbe()) if state.health is not None else ()


def _probed(state: State, event: p.Probed) -> Step:
    """Judge the result, unless it is of an earlier run."""
    check, before = state.rules.health, state.health
    if check is None or before is None or event.result.started_at_ns < state.started_at_ns:
        return Step(state)
    health = health_rules.judge(check, before, event.result, state.started_at_ns)
    known = replace(state, health=health)
    told = (p.Publish(f"health_status: {health.status}"),) if health.status != before.status else ()
    if health.status == "unhealthy" and check.restart_timeout_s is not None:
        return _end_unhealthy(known, told, check.restart_timeout_s)
    return Step(known, (*told, *_probe_timer(known)), passing=True)


def _end_unhealthy(state: State, told: tuple[Effect, ...], timeout_s: int) -> Step:
    """A stop of ours: the run that follows is owed, unless a user's stop comes between."""
    signal = state.rules.stop_signal
    stopping = replace(state, phase=Phase.STOPPING, restart_owed=True, stop_timeout_s=timeout_s)
    published = p.Publish("kill", (("signal", str(signal)),))
    return Step(stopping, (*told, published, p.Signal(signal), *_kill_timer(timeout_s)))


def _freeze(state: State, _event: p.PauseRequested) -> Step:
    return Step(state, (p.Freeze(),))


def _frozen(state: State, _event: p.Frozen) -> Step:
    return Step(replace(state, phase=Phase.PAUSED), (p.Publish("pause"), *_no_probes(state)))


def _thaw(state: State, _event: p.UnpauseRequested) -> Step:
    return Step(state, (p.Thaw(),))


def _thawed(state: State, _event: p.Thawed) -> Step:
    return Step(replace(state, phase=Phase.RUNNING), (p.Publish("unpause"), *_probe_timer(state)))


def _out_of_memory(state: State, _event: p.OutOfMemory) -> Step:
    return Step(replace(state, oom_killed=True), (p.Publish("oom"),))


def _remove(state: State, event: Event) -> Step:
    asked = isinstance(event, p.RemoveRequested) and event.volumes
    removing = replace(state, phase=Phase.REMOVING, takes_volumes=state.takes_volumes or asked)
    return Step(removing, (p.DisarmTimer("restart"), p.Remove()))


def _removed(state: State, _event: p.Removed) -> Step:
    return Step(state, (p.Publish("destroy"), p.Announce("removal")))


def _remove_failed(state: State, event: p.RemoveFailed) -> Step:
    return Step(replace(state, phase=Phase.DEAD, error=event.error), (p.Announce("removal"),))


def _found_alive(state: State, event: p.FoundAlive) -> Step:
    phase = Phase.PAUSED if event.paused else Phase.RUNNING
    return Step(replace(state, phase=phase, pid=event.pid), () if event.paused else _probe_timer(state))


def _found_alive_stopping(state: State, event: p.FoundAlive) -> Step:
    again = p.Signal(state.rules.stop_signal)
    thaw: tuple[Effect, ...] = (p.Thaw(),) if event.paused else ()
    return Step(replace(state, pid=event.pid), (again, *thaw, *_kill_timer(state.stop_timeout_s)))


def _holding(state: State, event: Event) -> State:
    """The state, held if boot recovery says so."""
    return replace(state, held=isinstance(event, p.FoundExited | p.FoundLost) and event.held)


def _found_half_started(state: State, event: Event) -> Step:
    """A launch that the engine did not live to finish: whatever there is of it goes, then the policy decides."""
    found = replace(_holding(state, event), phase=Phase.EXITED, pid=0, exit_code=LOST_EXIT_CODE)
    return Step(found, (p.Release(),))


def _found_exited(state: State, event: p.FoundExited) -> Step:
    return _exited(_holding(state, event), p.Exited(event.exit_code, event.at_ns, event.oom_killed))


def _found_lost(state: State, event: p.FoundLost) -> Step:
    return _exited(_holding(state, event), p.Exited(LOST_EXIT_CODE, event.at_ns))


def _found_restarting(state: State, event: Event) -> Step:
    held = _holding(state, event)
    return Step(held, () if held.held else (p.ArmTimer("restart", 0),))


def _found_at_rest(state: State, event: Event) -> Step:
    state = _holding(state, event)
    if state.release_owed:
        return Step(state, (p.Release(),))
    rules = state.rules
    if state.phase is Phase.EXITED and decide_restart_at_boot(
        rules.restart, state.exit_code, state.restart_count, stopped_by_user=state.stopped_by_user
    ):
        again = replace(state, stopped_by_user=False, delay_ns=0)
        return Step(replace(again, phase=Phase.RESTARTING)) if state.held else _launch(again)
    if state.phase is Phase.EXITED and rules.auto_remove:
        return _remove(state, p.RemoveRequested())
    return Step(state)


def seen_phase(state: State) -> Phase:
    """The phase as clients know it: what they could not tell from the one before or after is not shown."""
    if state.phase is Phase.STARTING:
        before = Phase.EXITED if state.started_at_ns else Phase.CREATED
        return before if state.attended else Phase.RESTARTING
    if state.phase is Phase.EXITED and state.release_owed and _restarts(state):
        return Phase.RESTARTING
    return state.phase


Transition = Callable[[State, Any], Step]

_RUN_ENDS: Mapping[type[Event], Transition] = {
    p.Exited: _exited, p.FoundExited: _found_exited, p.FoundLost: _found_lost,
}  # fmt: skip
_AT_REST: Mapping[type[Event], Transition] = {
    p.StartRequested: _start, p.StopRequested: _stay, p.RemoveRequested: _remove, p.Released: _released,
    p.Exited: _stay, p.TimerFired: _stay, p.OutOfMemory: _stay, p.FoundAlive: _found_half_started,
    p.FoundExited: _found_at_rest, p.FoundLost: _found_at_rest, p.Thawed: _stay, p.EffectFailed: _stay,
    p.Probed: _stay, p.DependenciesMet: _dependencies_met,
}  # fmt: skip

TABLE: Mapping[Phase, Mapping[type[Event], Transition]] = {
    Phase.CREATING: {
        p.CreateRequested: _prepare,
        p.Prepared: _prepare_done, p.PrepareFailed: _prepare_failed,
        p.FoundLost: _remove, p.FoundExited: _remove, p.FoundAlive: _remove,
        p.DependenciesMet: _stay,
    },
    Phase.CREATED: _AT_REST,
    Phase.STARTING: {
        p.Launched: _launched, p.LaunchFailed: _launch_failed, p.Exited: _found_half_started,
        p.FoundAlive: _found_half_started, p.FoundExited: _found_half_started, p.FoundLost: _found_half_started,
        p.TimerFired: _stay, p.OutOfMemory: _out_of_memory, p.EffectFailed: _stay, p.Probed: _stay,
        p.DependenciesMet: _stay,
    },
    Phase.RUNNING: {
        **_RUN_ENDS, p.StartRequested: _stay, p.KillRequested: _kill, p.StopRequested: _stop,
        p.PauseRequested: _freeze, p.Frozen: _frozen, p.Thawed: _stay, p.OutOfMemory: _out_of_memory,
        p.TimerFired: _timer_in_running, p.Probed: _probed, p.FoundAlive: _found_alive, p.EffectFailed: _stay,
        p.DependenciesMet: _stay,
    },
    Phase.PAUSED: {
        **_RUN_ENDS, p.KillRequested: _kill, p.StopRequested: _stop, p.UnpauseRequested: _thaw, p.Thawed: _thawed,
        p.OutOfMemory: _out_of_memory, p.TimerFired: _stay, p.FoundAlive: _found_alive, p.EffectFailed: _stay,
        p.Probed: _stay, p.DependenciesMet: _stay,
    },
    Phase.STOPPING: {
        **_RUN_ENDS, p.KillRequested: _kill, p.StopRequested: _stop_again, p.TimerFired: _timer_in_stopping,
        p.OutOfMemory: _out_of_memory, p.Thawed: _stay, p.FoundAlive: _found_alive_stopping, p.EffectFailed: _stay,
        p.Probed: _stay, p.DependenciesMet: _stay,
    },
    Phase.RESTARTING: {
        p.StartRequested: _start, p.StopRequested: _stop_waiting, p.KillRequested: _kill_waiting,
        p.TimerFired: _timer_in_restarting, p.Exited: _stay, p.OutOfMemory: _stay,
        p.FoundLost: _found_restarting, p.FoundExited: _found_restarting, p.FoundAlive: _found_half_started,
        p.Probed: _stay, p.DependenciesMet: _dependencies_met,
    },
    Phase.EXITED: _AT_REST,
    Phase.REMOVING: {
        p.Removed: _removed, p.RemoveFailed: _remove_failed, p.Exited: _stay, p.TimerFired: _stay, p.Probed: _stay,
        p.FoundLost: _remove, p.FoundExited: _remove, p.FoundAlive: _remove, p.DependenciesMet: _stay,
    },
    Phase.DEAD: {
        p.RemoveRequested: _remove, p.StopRequested: _stay, p.Exited: _stay, p.TimerFired: _stay, p.FoundLost: _stay,
        p.FoundExited: _stay, p.FoundAlive: _stay, p.Probed: _stay,
        p.DependenciesMet: _stay,
    },
}  # fmt: skip


def step(state: State, event: Event) -> Step:
    """The next state and the orders that bring it about. Raises NotAllowedError for a pair outside the table."""
    transition = TABLE[state.phase].get(type(event))
    if transition is None:
        raise NotAllowedError(state.phase, event)
    return transition(state, event)
