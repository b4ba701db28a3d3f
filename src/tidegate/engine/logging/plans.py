"""What follows from a ``LogConfig``: the local log that is always written, and what a remote one is told.

Every driver but ``none`` has a local log: it is the log itself, or the cache of what goes to a remote, from which
``docker logs`` reads and the remote is fed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tidegate.engine.logging import values
from tidegate.engine.logging.options import JSON_FILE, LOCAL, NONE, REMOTE_OPTIONS, Options
from tidegate.spec.host_config import LogConfig

DEFAULT_SIZE_BYTES = 20_000_000
DEFAULT_FILES = 5
DEFAULT_BUFFER_BYTES = 1 << 20
SHORTEST_PAUSE_S, FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.1, 5.0

Matching = Callable[[str, Collection[str]], Collection[str]]
"""(regular expression, names) -> the names in which it is found."""


class LocalLog(msgspec.Struct, frozen=True):
    """``max_size_bytes`` below zero is no limit; ``is_readable`` unless the cache was disabled."""

    max_size_bytes: int
    max_files: int
    compress: bool
    is_readable: bool = True


def plan_local_log(config: LogConfig) -> LocalLog | None:
    """None for the driver ``none``. Rotated by default, as with Docker's ``local`` and unlike its ``json-file``."""
    driver, options = config.type or JSON_FILE, config.config
    if driver == NONE:
        return None
    prefix = "cache-" if driver in REMOTE_OPTIONS else ""
    size = values.file_size("max-size", options.get(f"{prefix}max-size", str(DEFAULT_SIZE_BYTES)))
    files = int(options.get(f"{prefix}max-file", DEFAULT_FILES))
    compress = values.flag("compress", options.get(f"{prefix}compress", str(driver != JSON_FILE)))
    return LocalLog(size, files, compress and files > 1, not values.is_true(options, "cache-disabled"))


def plan_attributes(
    options: Options, labels: Mapping[str, str], env: Sequence[str], matching: Matching
) -> Mapping[str, str]:
    """The labels and variables that ``labels``, ``env`` and the expressions name, those that there are."""
    variables = dict(entry.split("=", 1) for entry in env if "=" in entry)
    found: dict[str, str] = {}
    for kind, known in (("labels", labels), ("env", variables)):
        names = [name.strip() for name in options.get(kind, "").split(",")]
        if expression := options.get(f"{kind}-regex"):
            names += matching(expression, known)
        found |= {name: known[name] for name in names if name in known}
    return found


def buffer_limit_bytes(config: LogConfig) -> int | None:
    """How much may wait for a remote beyond which lines are dropped; None: as much as the cache holds."""
    options, limits = config.config, []
    if options.get("mode") == "non-blocking":
        limits.append(values.buffer_size("", options.get("max-buffer-size", str(DEFAULT_BUFFER_BYTES))))
    if "fluentd-buffer-limit" in options:
        limits.append(values.buffer_size("", options["fluentd-buffer-limit"]))
    return min(limits, default=None)


def log_warnings(config: LogConfig) -> Sequence[str]:
    """What a client is told that asked a container to wait for its remote log: none ever does."""
    if config.type in (JSON_FILE, LOCAL, NONE):
        return ()
    options = config.config
    waits = [name for name, value in (("mode", "blocking"), ("fluentd-async", "false")) if options.get(name) == value]
    return [
        f"LogConfig: {name}={options[name]}: the container does not wait for its remote log; lines wait in the cache"
        for name in waits
    ]


class Retries(NamedTuple):
    """``most`` attempts after the first; None is for ever. ``first_s`` doubles up to ``longest_s``."""

    most: int | None
    first_s: float
    longest_s: float

    def pause_s(self, failures: int) -> float:
        """Before the next attempt, after so many."""
        return float(min(self.longest_s, self.first_s * 2 ** min(failures - 1, 30)))


def plan_retries(options: Options) -> Retries:
    """As the drivers' own options say; where they do not, a remote is waited for as long as the cache lasts."""
    most = options.get("fluentd-max-retries", options.get("gelf-tcp-max-reconnect"))
    if delay := options.get("gelf-tcp-reconnect-delay"):
        first_s = longest_s = float(delay)
    elif interval := options.get("fluentd-async-reconnect-interval"):
        first_s = longest_s = values.reconnect_interval_s("", interval)
    elif wait := options.get("fluentd-retry-wait"):
        first_s, longest_s = values.duration_s("", wait), max(LONGEST_PAUSE_S, values.duration_s("", wait))
    else:
        first_s, longest_s = FIRST_PAUSE_S, LONGEST_PAUSE_S
    return Retries(
        None if most is None else int(most), max(first_s, SHORTEST_PAUSE_S), max(longest_s, SHORTEST_PAUSE_S)
    )
