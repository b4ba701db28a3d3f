"""The log drivers and their options: which there are, what a value may be, and how the engine's defaults join in.

Words of errors are moby's where it has some (``daemon/logger/factory.go`` and each driver's ``ValidateLogOpt``). One
difference: the options of the cache are known to the drivers that have one, and unknown to the others.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.logging import values
from tidegate.engine.logging.addresses import fluentd_address, gelf_address, syslog_address
from tidegate.engine.logging.tags import check_tag
from tidegate.spec.host_config import LogConfig

Options = Mapping[str, str]
Check = Callable[[str, str], object]

JSON_FILE, LOCAL, NONE, JOURNALD = "json-file", "local", "none", "journald"
DEFAULT_DRIVER = JSON_FILE

_ATTRIBUTES: Mapping[str, Check] = {
    "labels": values.text,
    "labels-regex": values.pattern,
    "env": values.text,
    "env-regex": values.pattern,
    "tag": check_tag,
}
_FILE: Mapping[str, Check] = {"max-size": values.file_size, "max-file": values.file_count, "compress": values.flag}
_CACHE: Mapping[str, Check] = {
    "cache-disabled": values.flag,
    "cache-max-size": values.file_size,
    "cache-max-file": values.file_count,
    "cache-compress": values.flag,
}
_DELIVERY: Mapping[str, Check] = {"mode": values.mode, "max-buffer-size": values.buffer_size}

REMOTE_OPTIONS: Mapping[str, Mapping[str, Check]] = MappingProxyType(
    {
        "fluentd": {
            "fluentd-address": fluentd_address,
            "fluentd-async": values.flag,
            "fluentd-async-reconnect-interval": values.reconnect_interval_s,
            "fluentd-buffer-limit": values.buffer_size,
            "fluentd-max-retries": values.count,
            "fluentd-read-timeout": values.duration_s,
            "fluentd-request-ack": values.flag,
            "fluentd-retry-wait": values.duration_s,
            "fluentd-sub-second-precision": values.flag,
            "fluentd-write-timeout": values.duration_s,
        },
        "gelf": {
            "gelf-address": gelf_address,
            "gelf-compression-level": values.gelf_compression_level,
            "gelf-compression-type": values.gelf_compression_type,
            "gelf-tcp-max-reconnect": values.gelf_count,
            "gelf-tcp-reconnect-delay": values.gelf_count,
        },
        JOURNALD: {},
        "syslog": {
            "syslog-address": syslog_address,
            "syslog-facility": values.syslog_facility,
            "syslog-format": values.syslog_format,
            "syslog-tls-ca-cert": values.path,
            "syslog-tls-cert": values.path,
            "syslog-tls-key": values.path,
            "syslog-tls-skip-verify": values.text,
        },
    }
)
_KNOWN: Mapping[str, Mapping[str, Check]] = MappingProxyType(
    {
        JSON_FILE: {**_FILE, **_ATTRIBUTES, **_DELIVERY},
        LOCAL: {**_FILE, **_ATTRIBUTES, **_DELIVERY},
        **{name: {**own, **_CACHE, **_ATTRIBUTES, **_DELIVERY} for name, own in REMOTE_OPTIONS.items()},
    }
)
DRIVERS = tuple(sorted(_KNOWN))
"""As GET /info tells them; ``none`` is the want of one."""

_UNKNOWN = {LOCAL: "unknown log opt '{}' for log driver local", "gelf": 'unknown log opt "{}" for gelf log driver'}


def check_log_options(driver: str, options: Options) -> None:
    """Raises InvalidParameterError naming the driver or the option that is wrong."""
    if driver == NONE:
        return
    known = _KNOWN.get(driver)
    if known is None:
        raise InvalidParameterError(f"logger: no log driver named '{driver}' is registered")
    for name in sorted(options):
        if name not in known:
            raise InvalidParameterError(
                _UNKNOWN.get(driver, f"unknown log opt '{{}}' for {driver} log driver").format(name)
            )
        known[name](name, options[name])
    _check_together(driver, options)


def _check_together(driver: str, options: Options) -> None:
    if "max-buffer-size" in options and options.get("mode") != "non-blocking":
        raise InvalidParameterError("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    if driver == "gelf":
        _check_gelf(options)
    for prefix in ("", "cache-"):
        if values.is_true(options, f"{prefix}compress") and options.get(f"{prefix}max-file", "2") == "1":
            raise InvalidParameterError(
                f"{prefix}compress cannot be true when {prefix}max-file is less than 2 or {prefix}max-size is not set"
            )


def _check_gelf(options: Options) -> None:
    """An address has to be named, and decides what else has a meaning."""
    scheme = gelf_address("gelf-address", options.get("gelf-address", "")).scheme
    for name in options:
        if name.startswith("gelf-compression-") and scheme != "udp":
            raise InvalidParameterError("compression is only supported on UDP")
        if name.startswith("gelf-tcp-") and scheme != "tcp":
            raise InvalidParameterError(f'"{name}" is only valid for TCP')


def merge_log_config(asked: LogConfig, defaults: LogConfig) -> LogConfig:
    """What the client left open, from the engine's: its options only for its own driver, its cache for any."""
    driver = asked.type or defaults.type or DEFAULT_DRIVER
    same = driver == defaults.type
    inherited = {
        name: value
        for name, value in defaults.config.items()
        if same or (driver in REMOTE_OPTIONS and name.startswith("cache-"))
    }
    return msgspec.structs.replace(asked, type=driver, config={**inherited, **asked.config})
