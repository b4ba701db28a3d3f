"""Health checks: read from what client and image say, run as execs, and their results told."""

import asyncio
import json

import pytest
from tests.unit.engine.containers.test_service import play, started
from tests.unit.engine.creation.test_plan import plan as plan_container
from tests.unit.engine.life import Life, settle

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers.health_prober import HealthProber
from tidegate.engine.creation.health_checks import RESTART_LABEL, parse_health_check
from tidegate.engine.creation.plan import Defaults
from tidegate.engine.execs import ExecService
from tidegate.engine.ports import ExecProcess, RunningProcess, Stdio
from tidegate.model.container import Container
from tidegate.model.health import Health, HealthCheck
from tidegate.model.phases import Phase, Rules
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest, ExecCreateRequest
from tidegate.spec.frames import Stream, encode_frame

SECOND = 1_000_000_000


def parsed(restart_unhealthy: bool = False, **document: object) -> HealthCheck | None:
    request = decode(CreateRequest, json.dumps(document).encode())
    return parse_health_check(request, restart_unhealthy=restart_unhealthy, stop_timeout_s=9)


def test_the_forms_of_a_test() -> None:
    assert parsed() is None
    assert parsed(Healthcheck={"Test": ["NONE"]}) is None
    assert parsed(Healthcheck={"Test": ["CMD", "a", "b"]}) == HealthCheck(("a", "b"))
    assert parsed(Healthcheck={"Test": ["CMD-SHELL", "a | b"]}) == HealthCheck(("/bin/sh", "-c", "a | b"))
    with_shell = parsed(Shell=["bash", "-ec"], Healthcheck={"Test": ["CMD-SHELL", "a"], "Retries": 1})
    assert with_shell == HealthCheck(("bash", "-ec", "a"), retries=1)


def test_numbers_are_kept_and_zeros_are_docker_s_defaults() -> None:
    numbers = {"Interval": 1_000_000, "Timeout": 2 * SECOND, "StartPeriod": 3 * SECOND, "StartInterval": 4 * SECOND}
    check = parsed(Healthcheck={"Test": ["CMD", "a"], **numbers})
    assert check == HealthCheck(("a",), 1_000_000, 2 * SECOND, 3 * SECOND, 4 * SECOND, 3)


@pytest.mark.parametrize(
    ("health", "complaint"),
    [
        ({"Test": ["CMD"]}, "CMD takes the words of a command, and 0 are given"),
        ({"Test": ["CMD-SHELL", "a", "b"]}, "CMD-SHELL takes one text for the shell, and 2 are given"),
        ({"Test": ["curl", "x"]}, "unknown probe type 'curl'"),
        ({"Test": ["CMD", "a"], "Interval": 5}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Test": ["CMD", "a"], "StartInterval": -1}, "StartInterval in Healthcheck cannot be less than 1ms"),
        ({"Test": ["CMD", "a"], "Retries": -1}, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_what_cannot_be_probed_is_refused(health: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        parsed(Healthcheck=health)


def test_the_image_s_check_is_filled_in_and_can_be_disabled() -> None:
    image = {"Cmd": ["x"], "Healthcheck": {"Test": ["CMD", "a"], "Interval": 5 * SECOND}}
    assert plan_container(image).rules.health == HealthCheck(("a",), interval_ns=5 * SECOND)
    changed = plan_container(image, Healthcheck={"Retries": 9}).rules.health
    assert changed == HealthCheck(("a",), interval_ns=5 * SECOND, retries=9)
    assert plan_container(image, Healthcheck={"Test": ["NONE"]}).rules.health is None


def test_who_asks_for_a_restart_gets_one() -> None:
    health = {"Test": ["CMD", "a"]}

    def timeout(restart_unhealthy: bool, labels: dict[str, str], **host: object) -> int | None:
        check = parsed(restart_unhealthy, Healthcheck=health, Labels=labels, HostConfig=host)
        assert check is not None
        return check.restart_timeout_s

    assert timeout(False, {}) is None
    assert timeout(False, {RESTART_LABEL: "true"}) == 9
    assert timeout(True, {}) == 9
    assert timeout(True, {RESTART_LABEL: "false"}) is None
    assert timeout(True, {}, AutoRemove=True) is None
    with pytest.raises(InvalidParameterError, match="auto-removed"):
        timeout(False, {RESTART_LABEL: "true"}, AutoRemove=True)
    with pytest.raises(InvalidParameterError, match="'often' is neither true nor false"):
        timeout(False, {RESTART_LABEL: "often"})
    assert Defaults().restart_unhealthy is False


# ----------------------------------------------------------------------------- as they are run


def plan_exec(container: Container, exec_id: str, document: bytes) -> ExecProcess:
    return ExecProcess(container.id, exec_id, {"args": decode(ExecCreateRequest, document).cmd}, Stdio())


CHECKED = Rules(health=HealthCheck(("probe",), interval_ns=5 * SECOND, retries=1))


class Probed:
    """A started container with a check, and the execs that probe it."""

    def __init__(self, life: Life, identity: str, prober: HealthProber) -> None:
        self.life, self.identity, self.prober = life, identity, prober

    @property
    def health(self) -> Health:
        health = self.life.service.resolve("web").state.health
        assert health is not None
        return health

    def running(self) -> str:
        """The id of the probe under way."""
        (found,) = [exec_id for _, exec_id in self.life.runtime.running if exec_id is not None]
        return found

    async def due(self, *output: bytes) -> None:
        self.life.runtime.output = [encode_frame(Stream.STDOUT, each) for each in output]
        assert self.life.timers.fire() == 5 * SECOND
        await settle()

    async def end(self, exit_code: int) -> None:
        self.life.runtime.exit(self.identity, exit_code, self.running())
        await settle()


async def probed(life: Life, rules: Rules = CHECKED) -> Probed:
    execs = ExecService(life.runtime, life.service, plan_exec)
    prober = HealthProber(execs, life.service.probed, lambda: life.now_ns)
    life.service.probe_with(prober)
    return Probed(life, await started(life, rules=rules), prober)


def test_a_probe_is_an_exec_whose_end_is_the_result() -> None:
    async def body(life: Life) -> None:
        it = await probed(life)
        assert it.health == Health()
        await it.due(b"all ", b"well")
        life.now_ns += 10
        await it.end(0)
        assert (it.health.status, it.health.results[-1].output) == ("healthy", "all well")
        assert (it.health.results[-1].started_at_ns, it.health.results[-1].ended_at_ns) == (1_000, 1_010)
        assert life.actions()[2:] == ["exec_create: probe ", "exec_start: probe ", "exec_die", "health_status: healthy"]
        assert len(life.runtime.created) == 1  # the probe is not kept, neither here nor by the supervisor
        await it.due()
        await it.end(3)
        assert (it.health.status, it.health.results[-1].exit_code) == ("unhealthy", 3)

    play(body)


def test_output_is_cut_at_four_kilobytes() -> None:
    async def body(life: Life) -> None:
        it = await probed(life)
        await it.due(b"x" * 5000)
        await it.end(1)
        assert it.health.results[-1].output == "x" * 4096 + "..."

    play(body)


def test_a_probe_that_takes_too_long_is_killed_and_has_failed() -> None:
    async def body(life: Life) -> None:
        it = await probed(life, Rules(health=HealthCheck(("probe",), 5 * SECOND, timeout_ns=1_000_000, retries=1)))
        await it.due()
        while it.health.status == "starting":
            await asyncio.sleep(0)
        assert it.health.results[-1].exit_code == -1
        assert it.health.results[-1].output == "Health check exceeded timeout (0.001s)"
        assert life.runtime.calls[-1][0] == "exec_release" and list(life.runtime.running) == [(it.identity, None)]

    play(body)


def test_a_command_that_cannot_be_run_has_failed() -> None:
    async def body(life: Life) -> None:
        it = await probed(life)
        life.runtime.start_error = InvalidParameterError("executable file not found in $PATH")
        await it.due()
        assert (it.health.status, it.health.results[-1].exit_code) == ("unhealthy", -1)
        assert it.health.results[-1].output == "executable file not found in $PATH"

    play(body)


def test_a_pause_breaks_the_probe_off_and_it_begins_anew_afterwards() -> None:
    async def body(life: Life) -> None:
        it = await probed(life)
        await it.due()
        await life.service.pause("web")
        await settle()
        assert it.health == Health() and list(life.runtime.running) == [(it.identity, None)]
        await life.service.unpause("web")
        await it.due()
        await it.end(0)
        assert it.health.status == "healthy"

    play(body)


def test_an_engine_that_closes_kills_what_it_probes() -> None:
    async def body(life: Life) -> None:
        it = await probed(life)
        await it.due()
        await it.prober.close()
        assert list(life.runtime.running) == [(it.identity, None)] and it.health == Health()

    play(body)


def test_health_outlives_the_engine() -> None:
    async def body(life: Life) -> None:
        it = await probed(life)
        await it.due()
        await it.end(0)
        assert it.health.status == "healthy"
        stored = it.health
        life.runtime.recovered = [RunningProcess(it.identity, None, 100, 1_000, False, None)]
        life.timers.armed.clear()
        await life.reboot()
        assert it.health == stored and [delay for delay, _ in life.timers.armed] == [5 * SECOND]

    play(body)


def test_an_exec_of_an_earlier_engine_is_let_go_when_it_ends() -> None:
    async def body(life: Life) -> None:
        it = await probed(life)
        life.runtime.running[it.identity, "stray"] = 7
        life.runtime.exit(it.identity, 0, "stray")
        await settle()
        assert life.runtime.calls[-1] == ("exec_release", it.identity, "stray")

    play(body)


def test_an_unhealthy_container_is_run_again_if_it_asks_for_it() -> None:
    async def body(life: Life) -> None:
        check = HealthCheck(("probe",), interval_ns=5 * SECOND, retries=1, restart_timeout_s=4)
        it = await probed(life, Rules(health=check))
        await it.due()
        await it.end(1)
        assert life.service.resolve("web").state.phase is Phase.RESTARTING
        assert life.actions()[-3:] == ["health_status: unhealthy", "kill", "die"]
        life.timers.fire()
        await settle()
        assert life.service.resolve("web").state.phase is Phase.RUNNING and it.health.status == "starting"
        assert [one.exit_code for one in it.health.results] == [1]

    play(body)
