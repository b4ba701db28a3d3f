"""The table of a container's life, walked as stories."""

import pytest
from msgspec.structs import replace

from tidegate.model import phases as p
from tidegate.model.lifecycle import TABLE, NotAllowedError, seen_phase, step
from tidegate.model.phases import Effect, Event, Phase, Rules, State
from tidegate.model.restart import RestartPolicy

SECOND = 1_000_000_000
RUNNING = State(phase=Phase.RUNNING, pid=7, started_at_ns=1, release_owed=True)
ALWAYS = Rules(restart=RestartPolicy("always"))


def story(state: State, *events: Event) -> tuple[State, list[Effect]]:
    effects: list[Effect] = []
    for event in events:
        taken = step(state, event)
        state = taken.state
        effects += taken.effects
    return state, effects


def published(effects: list[Effect]) -> list[str]:
    return [effect.action for effect in effects if isinstance(effect, p.Publish)]


def test_every_phase_has_a_row_and_knows_boot_recovery() -> None:
    assert set(TABLE) == set(Phase)
    assert all({p.FoundLost, p.FoundExited, p.FoundAlive, p.DependenciesMet} <= row.keys() for row in TABLE.values())


def test_create_start_exit() -> None:
    state, effects = story(
        State(), p.Prepared(), p.StartRequested(), p.Launched(7, 5), p.Exited(3, 9), p.Released()
    )  # fmt: skip
    assert (state.phase, state.exit_code, state.pid, state.release_owed) == (Phase.EXITED, 3, 0, False)
    assert published(effects) == ["create", "start", "die"]
    assert effects[-1] == p.Announce("exit")


def test_an_end_for_want_of_memory_is_told_once() -> None:
    state, effects = story(RUNNING, p.Exited(137, 2, oom_killed=True), p.Released())
    assert (state.oom_killed, published(effects)) == (True, ["oom", "die"])
    state, effects = story(RUNNING, p.OutOfMemory(), p.Exited(137, 2, oom_killed=True), p.Released())
    assert (state.oom_killed, published(effects)) == (True, ["oom", "die"])


def test_a_launch_is_recorded_before_it_is_ordered() -> None:
    taken = step(State(phase=Phase.CREATED), p.StartRequested())
    assert taken.state.phase is Phase.STARTING and taken.state.release_owed and taken.effects[-1] == p.Launch()


def test_a_failed_first_start_leaves_it_created_with_the_code() -> None:
    state, effects = story(
        State(phase=Phase.CREATED), p.StartRequested(), p.LaunchFailed("not found", 127, 4), p.Released()
    )
    assert (state.phase, state.exit_code, state.error) == (Phase.CREATED, 127, "not found")
    assert p.Release() in effects


def test_stop_signals_then_kills_after_the_timeout() -> None:
    state, effects = story(RUNNING, p.StopRequested(15, 10), p.TimerFired("kill"), p.Exited(137, 2), p.Released())
    assert effects[1:3] == [p.Signal(15), p.ArmTimer("kill", 10 * SECOND)]
    assert published(effects) == ["kill", "kill", "die"]
    assert state.phase is Phase.EXITED and state.stopped_by_user


def test_stop_without_a_limit_arms_no_timer_and_stop_of_a_paused_one_thaws() -> None:
    assert not any(isinstance(e, p.ArmTimer) for e in step(RUNNING, p.StopRequested(15, -1)).effects)
    assert p.Thaw() in step(replace(RUNNING, phase=Phase.PAUSED), p.StopRequested(15, 1)).effects


def test_restart_policy_backs_off_and_a_stop_ends_it_quietly() -> None:
    state, effects = story(replace(RUNNING, rules=ALWAYS), p.Exited(0, 2), p.Released())
    assert state.phase is Phase.RESTARTING and effects[-1] == p.ArmTimer("restart", SECOND // 10)
    state, effects = story(state, p.TimerFired("restart"), p.Launched(8, 3), p.Exited(1, 4), p.Released())
    assert effects[-1] == p.ArmTimer("restart", SECOND // 5) and state.restart_count == 2
    state, effects = story(state, p.StopRequested(15, 10))
    assert state.phase is Phase.EXITED and published(effects) == []


def test_kill_ends_the_policy_but_hup_does_not() -> None:
    assert step(replace(RUNNING, rules=ALWAYS), p.KillRequested(9)).state.stopped_by_user
    assert not step(replace(RUNNING, rules=ALWAYS), p.KillRequested(1)).state.stopped_by_user


@pytest.mark.parametrize("signal", [9, 15])
def test_a_kill_during_the_back_off_ends_the_policy(signal: int) -> None:
    waiting = State(phase=Phase.RESTARTING, rules=ALWAYS)
    state, effects = story(waiting, p.KillRequested(signal))
    assert state.phase is Phase.EXITED and state.stopped_by_user
    assert effects == [p.DisarmTimer("restart"), p.Announce("exit")]


def test_a_signal_that_ends_nothing_is_refused_during_the_back_off() -> None:
    with pytest.raises(NotAllowedError):
        step(State(phase=Phase.RESTARTING, rules=ALWAYS), p.KillRequested(1))


def test_each_exit_ends_the_waits_of_clients_also_when_the_container_starts_again() -> None:
    _, effects = story(replace(RUNNING, rules=ALWAYS), p.Exited(3, 2), p.Released())
    assert p.Announce("exit") in effects


@pytest.mark.parametrize(("transient", "phase"), [(True, Phase.RESTARTING), (False, Phase.EXITED)])
def test_a_failed_restart_ends_the_policy_unless_the_fault_is_ours(transient: bool, phase: Phase) -> None:
    failed = p.LaunchFailed("no", 128, 9, transient)
    state, _ = story(replace(RUNNING, rules=ALWAYS), p.Exited(0, 2), p.Released(), p.TimerFired("restart"), failed)
    state, _ = story(state, p.Released())
    assert (state.phase, state.exit_code) == (phase, 128)


def test_a_start_that_a_user_was_told_has_failed_is_not_tried_again() -> None:
    state, _ = story(
        State(phase=Phase.CREATED, rules=ALWAYS), p.StartRequested(), p.LaunchFailed("no", 128, 9, True), p.Released()
    )
    assert state.phase is Phase.CREATED


def test_auto_remove_goes_all_the_way() -> None:
    state, effects = story(replace(RUNNING, rules=Rules(auto_remove=True)), p.Exited(0, 2), p.Released(), p.Removed())
    assert state.phase is Phase.REMOVING and published(effects) == ["die", "destroy"]
    assert effects[-1] == p.Announce("removal")


def test_pause_and_unpause() -> None:
    state, effects = story(RUNNING, p.PauseRequested(), p.Frozen())
    assert state.phase is Phase.PAUSED
    state, more = story(state, p.UnpauseRequested(), p.Thawed())
    assert state.phase is Phase.RUNNING and published(effects + more) == ["pause", "unpause"]


@pytest.mark.parametrize("found", [p.FoundLost(9), p.FoundAlive(7, False), p.FoundExited(0, 9)])
def test_after_a_crash_a_half_started_container_is_released(found: Event) -> None:
    state, effects = story(State(phase=Phase.STARTING, release_owed=True), found)
    assert state.phase is Phase.EXITED and effects == [p.Release()]


def test_boot_recovery_of_the_other_phases() -> None:
    assert step(RUNNING, p.FoundAlive(7, True)).state.phase is Phase.PAUSED
    assert step(RUNNING, p.FoundLost(9)).state.exit_code == 255
    assert step(State(), p.FoundLost(9)).effects[-1] == p.Remove()
    assert step(State(phase=Phase.REMOVING), p.FoundLost(9)).effects[-1] == p.Remove()
    stopped = State(phase=Phase.EXITED, stopped_by_user=True)
    assert step(replace(stopped, rules=ALWAYS), p.FoundLost(9)).effects[-1] == p.Launch()
    assert step(replace(stopped, rules=Rules(RestartPolicy("unless-stopped"))), p.FoundLost(9)).effects == ()
    assert step(replace(stopped, release_owed=True), p.FoundLost(9)).effects == (p.Release(),)


EXIT = p.FoundExited(3, 9)


def test_an_exit_found_at_boot_is_learned_or_its_release_seen_through() -> None:
    assert step(RUNNING, EXIT).state.exit_code == 3
    assert step(State(phase=Phase.EXITED, release_owed=True), EXIT).effects == (p.Release(),)
    assert step(State(phase=Phase.REMOVING, release_owed=True), EXIT).effects[-1] == p.Remove()
    assert step(State(phase=Phase.RESTARTING, release_owed=True), EXIT).effects == (p.ArmTimer("restart", 0),)


def test_what_was_not_released_goes_before_the_next_launch() -> None:
    waiting = State(phase=Phase.RESTARTING, release_owed=True)
    assert step(waiting, p.TimerFired("restart")).effects == (p.Launch(leftovers=True),)
    assert step(replace(waiting, release_owed=False), p.TimerFired("restart")).effects == (p.Launch(),)


def test_what_is_not_in_the_table_is_not_allowed() -> None:
    with pytest.raises(NotAllowedError, match="while running"):
        step(RUNNING, p.RemoveRequested())
    with pytest.raises(NotAllowedError):
        step(State(phase=Phase.EXITED), p.KillRequested(9))


def test_clients_see_nothing_of_the_moments_in_between() -> None:
    seen, state = [], replace(RUNNING, rules=ALWAYS)
    for event in (p.Exited(1, 2), p.Released(), p.TimerFired("restart"), p.Launched(8, 3)):
        state = step(state, event).state
        seen.append(seen_phase(state))
    assert seen == [Phase.RESTARTING] * 3 + [Phase.RUNNING]
    state = step(State(phase=Phase.CREATED), p.StartRequested()).state
    assert seen_phase(state) is Phase.CREATED
    assert seen_phase(step(RUNNING, p.Exited(1, 2)).state) is Phase.EXITED


def test_that_volumes_go_too_is_known_as_long_as_the_removal_takes() -> None:
    removing = step(State(phase=Phase.EXITED), p.RemoveRequested(volumes=True)).state
    again, effects = story(removing, p.RemoveFailed("busy"), p.RemoveRequested(), p.FoundLost(3))
    assert removing.takes_volumes and again.takes_volumes and effects[-1] == p.Remove()
    assert not step(State(phase=Phase.EXITED), p.RemoveRequested()).state.takes_volumes
