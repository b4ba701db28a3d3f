"""What waits for what at boot, and when it may start."""

import pytest

from tidegate.model import phases as p
from tidegate.model.boot_order import (
    DEPENDS_ON,
    ONE_OFF,
    PROJECT,
    SERVICE,
    BootPlan,
    Condition,
    Finding,
    Start,
    Wait,
    decide_starts,
    overdue_after,
    parse_depends_on,
    plan_boot,
)
from tidegate.model.container import Container
from tidegate.model.health import Health, HealthCheck, HealthStatus
from tidegate.model.phases import Phase, Rules, State
from tidegate.model.restart import RestartPolicy

BOOT = 1_000
ALWAYS = Rules(restart=RestartPolicy("always"))
BEFORE = State(phase=Phase.RUNNING, rules=ALWAYS, started_at_ns=10, release_owed=True)
LOST = p.FoundLost(BOOT)
CHECKED = Rules(restart=RestartPolicy("always"), health=HealthCheck(("true",)))


def found(
    service: str, depends_on: str = "", state: State = BEFORE, finding: Finding = LOST, **labels: str
) -> tuple[Container, Finding]:
    own = {PROJECT: "shop", SERVICE: service, DEPENDS_ON: depends_on, **labels}
    return Container(f"{service}-id", service, len(service), "i", "i", own, state=state), finding


def test_what_compose_wrote_is_read() -> None:
    label = "db:service_healthy:false,cache:service_started:true, job:service_completed_successfully,old,odd:what:x"
    assert parse_depends_on(label) == {
        "db": "service_healthy",
        "cache": "service_started",
        "job": "service_completed_successfully",
        "old": "service_started",
        "odd": "service_started",
    }
    assert parse_depends_on("") == {}


def test_what_starts_waits_for_every_container_of_what_it_depends_on() -> None:
    second = (Container("db-2", "db-2", 3, "i", "i", {PROJECT: "shop", SERVICE: "db"}, state=BEFORE), LOST)
    one_off = found("db", **{ONE_OFF: "True"})
    other = found("db", **{PROJECT: "else"})
    plan = plan_boot([found("web", "db:service_healthy:false"), found("db"), second, one_off, other], BOOT)
    assert plan.waits == {
        "web-id": (Wait("db-id", "db", "service_healthy"), Wait("db-2", "db", "service_healthy")),
    }
    assert not plan.warnings


@pytest.mark.parametrize(
    ("state", "finding"),
    [
        (BEFORE, p.FoundAlive(7, False)),
        (State(phase=Phase.CREATED, rules=ALWAYS), LOST),
        (State(phase=Phase.RUNNING, started_at_ns=10, release_owed=True), LOST),
        (State(phase=Phase.EXITED, rules=Rules(RestartPolicy("unless-stopped")), stopped_by_user=True), LOST),
    ],
)
def test_what_is_not_started_at_boot_is_not_held(state: State, finding: Finding) -> None:
    assert plan_boot([found("web", "db", state, finding), found("db")], BOOT).waits == {}


@pytest.mark.parametrize("phase", [Phase.EXITED, Phase.RESTARTING, Phase.STARTING, Phase.RUNNING])
def test_what_is_started_at_boot_is_held_whatever_it_was_doing(phase: Phase) -> None:
    state = State(phase=phase, rules=ALWAYS, started_at_ns=10)
    assert set(plan_boot([found("web", "db", state), found("db")], BOOT).waits) == {"web-id"}


def test_circles_are_broken_and_the_missing_is_not_waited_for() -> None:
    plan = plan_boot([found("a", "bb"), found("bb", "ccc"), found("ccc", "a,ccc,nobody")], BOOT)
    assert plan.waits == {
        "a-id": (Wait("bb-id", "bb", "service_started"),),
        "bb-id": (Wait("ccc-id", "ccc", "service_started"),),
    }
    assert len(plan.warnings) == 3 and "nobody" in plan.warnings[2]


def verdict(condition: Condition, state: State | None, *, starting: bool = True, alive: bool = False) -> str:
    plan = BootPlan(
        BOOT,
        {"web": (Wait("db", "db", condition),)},
        frozenset({"db"} if alive else ()),
        frozenset({"db"} if starting and not alive else ()),
    )
    starts = decide_starts(plan, frozenset({"web"}), {} if state is None else {"db": state})
    if not starts:
        return "waits"
    return "gives up" if starts == [Start("web", ["db"])] else "starts"


def running(status: HealthStatus, since: int = BOOT + 1) -> State:
    return State(phase=Phase.RUNNING, rules=CHECKED, started_at_ns=since, health=Health(status))


@pytest.mark.parametrize(
    ("condition", "state", "said"),
    [
        ("service_started", BEFORE, "waits"),
        ("service_started", State(phase=Phase.RESTARTING, rules=ALWAYS, started_at_ns=10), "waits"),
        ("service_started", State(phase=Phase.RUNNING, started_at_ns=BOOT), "starts"),
        ("service_started", State(phase=Phase.RESTARTING, started_at_ns=BOOT + 5), "starts"),
        ("service_started", None, "gives up"),
        ("service_started", State(phase=Phase.EXITED, started_at_ns=10, finished_at_ns=BOOT + 1), "gives up"),
        (
            "service_started",
            State(phase=Phase.EXITED, started_at_ns=10, finished_at_ns=BOOT + 1, release_owed=True),
            "waits",
        ),
        ("service_healthy", running("starting"), "waits"),
        ("service_healthy", running("unhealthy"), "waits"),
        ("service_healthy", running("healthy", since=10), "waits"),
        ("service_healthy", running("healthy"), "starts"),
        ("service_healthy", State(phase=Phase.RUNNING, started_at_ns=BOOT), "starts"),
        ("service_completed_successfully", State(phase=Phase.RUNNING, started_at_ns=BOOT), "waits"),
        (
            "service_completed_successfully",
            State(phase=Phase.EXITED, started_at_ns=BOOT + 1, finished_at_ns=BOOT + 2),
            "starts",
        ),
        (
            "service_completed_successfully",
            State(phase=Phase.EXITED, started_at_ns=BOOT + 1, finished_at_ns=BOOT + 2, exit_code=3),
            "gives up",
        ),
    ],
)
def test_a_dependency_that_is_started(condition: Condition, state: State | None, said: str) -> None:
    assert verdict(condition, state) == said


@pytest.mark.parametrize(
    ("condition", "state", "said"),
    [
        ("service_completed_successfully", State(phase=Phase.EXITED, started_at_ns=1, finished_at_ns=2), "starts"),
        ("service_completed_successfully", State(phase=Phase.CREATED), "gives up"),
        ("service_completed_successfully", BEFORE, "waits"),
        ("service_started", BEFORE, "waits"),
        ("service_started", State(phase=Phase.EXITED, started_at_ns=1, finished_at_ns=2), "gives up"),
    ],
)
def test_a_dependency_that_stays_at_rest(condition: Condition, state: State, said: str) -> None:
    assert verdict(condition, state, starting=False) == said


def test_a_dependency_that_runs_on() -> None:
    assert verdict("service_started", BEFORE, alive=True) == "starts"
    assert verdict("service_healthy", running("healthy", since=10), alive=True) == "starts"
    assert verdict("service_healthy", running("starting", since=10), alive=True) == "waits"


def test_patience_begins_when_what_is_waited_for_is_not_held_itself() -> None:
    plan = plan_boot([found("a", "bb"), found("bb", "ccc"), found("ccc")], BOOT)
    assert overdue_after(plan, frozenset({"a-id", "bb-id"})) == {"bb-id"}
    assert overdue_after(plan, frozenset({"a-id"})) == {"a-id"}
