"""The standard variables of OpenTelemetry, as far as they say something here; without an endpoint nothing is traced.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and .../protocol/exporter/
"""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from tidegate.base.errors import InvalidParameterError

_TRACES_PATH = "/v1/traces"
_DEFAULT_PORT = 4318
_SAMPLERS = frozenset({"always_on", "always_off", "traceidratio"})
_PREFIX = "OTEL_EXPORTER_OTLP_"


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where spans go and which; ``ratio`` is the part of traces that are begun here, ``by_parent``: others decide."""

    host: str
    port: int
    path: str
    headers: dict[str, str] = {}
    timeout_s: float = 10.0
    service: str = "tidegate"
    attributes: dict[str, str] = {}
    ratio: float = 1.0
    by_parent: bool = True
    delay_s: float = 5.0
    most_queued: int = 2048
    most_at_once: int = 512


def read_tracing(environment: Mapping[str, str]) -> TracingSettings | None:
    """None where no endpoint is named. Raises InvalidParameterError naming the variable."""

    def given(name: str, default: str = "") -> str:
        return environment.get(f"{_PREFIX}TRACES_{name}") or environment.get(f"{_PREFIX}{name}") or default

    exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none"
    if disabled or not given("ENDPOINT"):
        return None
    if exporter != "otlp":
        raise InvalidParameterError(f"OTEL_TRACES_EXPORTER: {exporter!r} is neither otlp nor none")
    if given("PROTOCOL", "http/json") not in ("http/json", "http/protobuf"):
        raise InvalidParameterError(f"{_PREFIX}PROTOCOL: {given('PROTOCOL')!r} is not spoken here: http/json is")
    url = urlsplit(given("ENDPOINT"))
    if url.scheme != "http" or not url.hostname:
        raise InvalidParameterError(f"{_PREFIX}ENDPOINT: must be http://HOST:PORT: let a collector on this host go on")
    own = bool(environment.get(f"{_PREFIX}TRACES_ENDPOINT"))
    attributes = _pairs("OTEL_RESOURCE_ATTRIBUTES", environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    ratio, by_parent = _sampler(environment)
    return TracingSettings(
        host=url.hostname,
        port=url.port or _DEFAULT_PORT,
        path=(url.path or "/") if own else url.path.rstrip("/") + _TRACES_PATH,
        headers=_pairs(f"{_PREFIX}HEADERS", given("HEADERS")),
        timeout_s=_number(environment, f"{_PREFIX}TIMEOUT", 10_000) / 1000,
        service=environment.get("OTEL_SERVICE_NAME") or attributes.pop("service.name", "tidegate"),
        attributes=attributes,
        ratio=ratio,
        by_parent=by_parent,
        delay_s=_number(environment, "OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
        most_queued=int(_number(environment, "OTEL_BSP_MAX_QUEUE_SIZE", 2048)),
        most_at_once=int(_number(environment, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)),
    )


def _sampler(environment: Mapping[str, str]) -> tuple[float, bool]:
    name = environment.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    kind = name.removeprefix("parentbased_")
    if kind not in _SAMPLERS:
        raise InvalidParameterError(f"OTEL_TRACES_SAMPLER: {name!r} is not known here")
    if kind != "traceidratio":
        return float(kind == "always_on"), kind != name
    ratio = _number(environment, "OTEL_TRACES_SAMPLER_ARG", 1.0)
    if ratio > 1:
        raise InvalidParameterError(f"OTEL_TRACES_SAMPLER_ARG: {ratio:g} is not from 0 to 1")
    return ratio, kind != name


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise InvalidParameterError(f"{name}: {text!r} is no number from 0")
    return value


def _pairs(name: str, text: str) -> dict[str, str]:
    """``KEY=VALUE,...``, values percent-encoded (W3C Baggage)."""
    found = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InvalidParameterError(f"{name}: {pair!r} is not KEY=VALUE")
        found[key.strip()] = unquote(value.strip())
    return found
