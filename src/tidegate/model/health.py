"""The health of a container, as pure decisions: when to probe, and what a result means.

- a failure within the start period counts for nothing while the container has never been healthy in this run;
- ``retries`` failures in a row make it unhealthy, one success healthy;
- probes are counted from the end of the one before, so that they never overlap;
- the last five results are kept, over restarts too.

Source: moby's daemon/health.go.
"""

from typing import Literal

import msgspec
from msgspec.structs import replace

HealthStatus = Literal["starting", "healthy", "unhealthy"]

KEPT_RESULTS = 5
DEFAULT_INTERVAL_NS = 30_000_000_000
DEFAULT_TIMEOUT_NS = 30_000_000_000
DEFAULT_START_INTERVAL_NS = 5_000_000_000
DEFAULT_RETRIES = 3


class HealthCheck(msgspec.Struct, frozen=True):
    """What is run in the container, and how often. ``restart_timeout_s``: an unhealthy container is stopped with it
    and run again; None leaves it alone.
    """

    command: tuple[str, ...]
    interval_ns: int = DEFAULT_INTERVAL_NS
    timeout_ns: int = DEFAULT_TIMEOUT_NS
    start_period_ns: int = 0
    start_interval_ns: int = DEFAULT_START_INTERVAL_NS
    retries: int = DEFAULT_RETRIES
    restart_timeout_s: int | None = None


class ProbeResult(msgspec.Struct, frozen=True):
    """One run of the command; ``exit_code`` -1 when it could not be run, or not in time."""

    started_at_ns: int
    ended_at_ns: int
    exit_code: int
    output: str


class Health(msgspec.Struct, frozen=True):
    """What the probes have shown; ``results`` are the oldest first."""

    status: HealthStatus = "starting"
    failing_streak: int = 0
    results: tuple[ProbeResult, ...] = ()


def begin(earlier: Health | None) -> Health:
    """A run's health before its first probe; why the earlier run was ended stays readable."""
    return Health(results=earlier.results if earlier else ())


def end(health: Health) -> Health:
    """Nobody looks after a container that has ended; Docker calls it unhealthy."""
    return replace(health, status="unhealthy")


def next_probe_ns(check: HealthCheck, health: Health, started_at_ns: int) -> int:
    """The pause before the next probe."""
    run_time_ns = health.results[-1].ended_at_ns - started_at_ns if health.results else 0
    if health.status == "starting" and run_time_ns < check.start_period_ns:
        return check.start_interval_ns
    return check.interval_ns


def judge(check: HealthCheck, health: Health, result: ProbeResult, started_at_ns: int) -> Health:
    """The health after one more result."""
    results = (*health.results, result)[-KEPT_RESULTS:]
    if result.exit_code == 0:
        return Health("healthy", 0, results)
    if health.status == "starting" and result.started_at_ns - started_at_ns < check.start_period_ns:
        return replace(health, results=results)
    streak = health.failing_streak + 1
    return Health("unhealthy" if streak >= check.retries else health.status, streak, results)
