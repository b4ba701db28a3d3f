"""When a container's health is probed, and what becomes of it: the rules, and the machine that follows them."""

from msgspec.structs import replace

from tidegate.model import phases as p
from tidegate.model.health import Health, HealthCheck, ProbeResult, begin, judge, next_probe_ns
from tidegate.model.lifecycle import step
from tidegate.model.phases import Effect, Event, Phase, Rules, State

SECOND = 1_000_000_000
START = 100 * SECOND
CHECK = HealthCheck(("true",), interval_ns=30 * SECOND, retries=2)
RUNNING = State(Phase.RUNNING, Rules(health=CHECK), started_at_ns=START, release_owed=True, health=Health())


def result(exit_code: int, after_s: int = 1) -> ProbeResult:
    began = START + after_s * SECOND
    return ProbeResult(began, began + SECOND, exit_code, "")


def story(state: State, *events: Event) -> tuple[State, list[Effect]]:
    effects: list[Effect] = []
    for event in events:
        taken = step(state, event)
        state = taken.state
        effects += taken.effects
    return state, effects


def published(effects: list[Effect]) -> list[str]:
    return [effect.action for effect in effects if isinstance(effect, p.Publish)]


def test_failures_in_a_row_make_it_unhealthy_and_one_success_healthy() -> None:
    health = judge(CHECK, Health(), result(1), START)
    assert (health.status, health.failing_streak) == ("starting", 1)
    health = judge(CHECK, health, result(2), START)
    assert (health.status, health.failing_streak) == ("unhealthy", 2)
    health = judge(CHECK, health, result(0), START)
    assert (health.status, health.failing_streak) == ("healthy", 0)
    assert judge(CHECK, health, result(1), START).status == "healthy"


def test_failures_in_the_start_period_do_not_count_until_it_was_healthy_once() -> None:
    check = replace(CHECK, start_period_ns=10 * SECOND, retries=1)
    assert judge(check, Health(), result(1, 9), START) == Health("starting", 0, (result(1, 9),))
    assert judge(check, Health(), result(1, 10), START).status == "unhealthy"
    assert judge(check, Health("healthy"), result(1, 5), START).status == "unhealthy"


def test_five_results_are_kept_over_restarts_too() -> None:
    health = Health()
    for number in range(7):
        health = judge(CHECK, health, result(number + 1), START)
    assert [one.exit_code for one in health.results] == [3, 4, 5, 6, 7]
    assert begin(health) == Health("starting", 0, health.results)


def test_probes_are_closer_together_in_the_start_period() -> None:
    check = replace(CHECK, start_period_ns=10 * SECOND, start_interval_ns=2 * SECOND)
    assert next_probe_ns(CHECK, Health(), START) == 30 * SECOND
    assert next_probe_ns(check, Health(), START) == 2 * SECOND
    assert next_probe_ns(check, Health(results=(result(1, 8),)), START) == 2 * SECOND
    assert next_probe_ns(check, Health(results=(result(1, 9),)), START) == 30 * SECOND
    assert next_probe_ns(check, Health("healthy", results=(result(0, 1),)), START) == 30 * SECOND


def test_a_start_arms_the_first_probe_and_each_result_the_next() -> None:
    starting = State(Phase.STARTING, Rules(health=CHECK), release_owed=True)
    state, effects = story(starting, p.Launched(7, START))
    assert state.health == Health() and effects[-1] == p.ArmTimer("health", 30 * SECOND)
    state, effects = story(state, p.TimerFired("health"))
    assert effects == [p.Probe()]
    state, effects = story(state, p.Probed(result(0)))
    assert effects == [p.Publish("health_status: healthy"), p.ArmTimer("health", 30 * SECOND)]
    taken = step(state, p.Probed(result(0, 40)))
    assert taken.passing and taken.effects == (p.ArmTimer("health", 30 * SECOND),)


def test_without_a_check_nothing_is_armed_and_results_are_nothing() -> None:
    plain = State(Phase.STARTING, release_owed=True)
    state, effects = story(plain, p.Launched(7, START), p.Probed(result(1)), p.TimerFired("health"))
    assert state.health is None and not any(isinstance(effect, p.ArmTimer) for effect in effects)


def test_a_result_of_an_earlier_run_is_nothing() -> None:
    state, effects = story(RUNNING, p.Probed(result(1, -5)))
    assert (state, effects) == (RUNNING, [])


def test_a_paused_container_is_not_probed() -> None:
    state, effects = story(RUNNING, p.Frozen())
    assert effects[1:] == [p.DisarmTimer("health"), p.EndProbe()]
    state, effects = story(state, p.Probed(result(1)), p.Thawed())
    assert effects == [p.Publish("unpause"), p.ArmTimer("health", 30 * SECOND)]
    assert state.health == Health()


def test_what_has_ended_is_unhealthy_and_not_probed_any_more() -> None:
    state, effects = story(replace(RUNNING, health=Health("healthy")), p.Exited(0, START + 1))
    assert state.health == Health("unhealthy") and published(effects) == []
    assert effects[1:3] == [p.DisarmTimer("health"), p.EndProbe()]


def test_probes_go_on_after_the_engine_was_away() -> None:
    state, effects = story(replace(RUNNING, health=Health("healthy")), p.FoundAlive(7, paused=False))
    assert state.health == Health("healthy") and effects == [p.ArmTimer("health", 30 * SECOND)]
    assert story(RUNNING, p.FoundAlive(7, paused=True))[1] == []


def test_an_unhealthy_container_that_asks_for_it_is_stopped_and_run_again() -> None:
    rules = Rules(health=replace(CHECK, retries=1, restart_timeout_s=7))
    state, effects = story(replace(RUNNING, rules=rules), p.Probed(result(1)))
    assert published(effects) == ["health_status: unhealthy", "kill"]
    assert effects[-2:] == [p.Signal(15), p.ArmTimer("kill", 7 * SECOND)]
    assert state.phase is Phase.STOPPING and not state.stopped_by_user
    ended, _ = story(state, p.Exited(143, START + 2), p.Released())
    assert ended.phase is Phase.RESTARTING and ended.restart_count == 1
    again, _ = story(ended, p.TimerFired("restart"), p.Launched(8, START + 3 * SECOND))
    assert again.health is not None and again.health.status == "starting" and not again.restart_owed
    assert [one.exit_code for one in again.health.results] == [1]
    final, _ = story(state, p.StopRequested(15, 1), p.Exited(143, START + 2), p.Released())
    assert final.phase is Phase.EXITED


def test_an_unhealthy_run_is_ended_also_by_the_next_engine() -> None:
    rules = Rules(health=replace(CHECK, retries=1, restart_timeout_s=7))
    state, _ = story(replace(RUNNING, rules=rules), p.Probed(result(1)))
    state, effects = story(state, p.FoundAlive(7, paused=False))
    assert effects[0] == p.Signal(15)
    assert story(state, p.Exited(143, START + 2), p.Released())[0].phase is Phase.RESTARTING
