"""What client and image say about a container's health check, as the check that is run: pure.

Beyond Docker, a container that is found unhealthy is stopped and run again when its label ``RESTART_LABEL`` or the
engine's setting ``restart-unhealthy`` asks for it; one that is removed at its end is not.

Texts: moby's daemon/container.go, ``validateHealthCheck``.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError
from tidegate.model import health as defaults
from tidegate.model.health import HealthCheck
from tidegate.spec.codec import decode, encode
from tidegate.spec.container import CreateRequest, HealthConfig

RESTART_LABEL = "io.tidegate.restart-on-unhealthy"
_SHORTEST_NS = 1_000_000
_SHELL = ("/bin/sh", "-c")


def merge_health_config(wanted: HealthConfig | None, image: Mapping[str, Any] | None) -> HealthConfig | None:
    """The client's, with what the ``image`` says where the client said nothing."""
    if not image:
        return wanted
    own = decode(HealthConfig, encode(dict(image)))
    if wanted is None:
        return own
    return replace(
        wanted,
        test=wanted.test or own.test,
        interval=wanted.interval or own.interval,
        timeout=wanted.timeout or own.timeout,
        start_period=wanted.start_period or own.start_period,
        start_interval=wanted.start_interval or own.start_interval,
        retries=wanted.retries or own.retries,
    )


def parse_health_check(request: CreateRequest, *, restart_unhealthy: bool, stop_timeout_s: int) -> HealthCheck | None:
    """None when there is none, or it is disabled. Raises InvalidParameterError naming the field."""
    restarts = _parse_restart(request, restart_unhealthy)
    config = request.healthcheck
    if config is None:
        return None
    _check_numbers(config)
    command = _parse_test(config.test, tuple(request.shell or ()) or _SHELL)
    if command is None:
        return None
    return HealthCheck(
        command,
        config.interval or defaults.DEFAULT_INTERVAL_NS,
        config.timeout or defaults.DEFAULT_TIMEOUT_NS,
        config.start_period,
        config.start_interval or defaults.DEFAULT_START_INTERVAL_NS,
        config.retries or defaults.DEFAULT_RETRIES,
        stop_timeout_s if restarts else None,
    )


def _check_numbers(config: HealthConfig) -> None:
    durations = {
        "Interval": config.interval,
        "Timeout": config.timeout,
        "StartPeriod": config.start_period,
        "StartInterval": config.start_interval,
    }
    for name, value in durations.items():
        if value != 0 and value < _SHORTEST_NS:
            raise InvalidParameterError(f"{name} in Healthcheck cannot be less than 1ms")
    if config.retries < 0:
        raise InvalidParameterError("Retries in Healthcheck cannot be negative")


def _parse_test(test: tuple[str, ...], shell: tuple[str, ...]) -> tuple[str, ...] | None:
    match test:
        case () | ("NONE",):
            return None
        case ("CMD", *words) if words:
            return tuple(words)
        case ("CMD-SHELL", text):
            return (*shell, text)
        case ("NONE" | "CMD" | "CMD-SHELL", *_):
            raise InvalidParameterError(
                f"Healthcheck.Test: {test[0]} takes {_TAKES[test[0]]}, and {len(test) - 1} are given"
            )
    raise InvalidParameterError(
        f"Healthcheck.Test: unknown probe type '{test[0]}' (expected 'NONE', 'CMD' or 'CMD-SHELL')"
    )


_TAKES = {"NONE": "no words", "CMD": "the words of a command", "CMD-SHELL": "one text for the shell"}


def _parse_restart(request: CreateRequest, restart_unhealthy: bool) -> bool:
    value = request.labels.get(RESTART_LABEL)
    if value not in (None, "true", "false"):
        raise InvalidParameterError(f"Labels: {RESTART_LABEL}: {value!r} is neither true nor false")
    if request.host_config.auto_remove:
        if value == "true":
            raise InvalidParameterError(f"Labels: {RESTART_LABEL}: an auto-removed container cannot be restarted")
        return False
    return restart_unhealthy if value is None else value == "true"
