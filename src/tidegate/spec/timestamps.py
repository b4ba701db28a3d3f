"""Times and durations in the notations of Docker and Go. Everything is integers of nanoseconds; unix time, UTC.

- Shown times are RFC 3339 with as many digits as needed ("2026-01-02T03:04:05.06Z"), Go's RFC3339Nano; the log's are
  always nine digits. The time of nothing is "0001-01-01T00:00:00Z", here None.
- Asked times (``since``, ``until``): unix seconds with an optional fraction, RFC 3339, a date or time without a zone
  (UTC), or a Go duration, which counts back from now.

Sources: moby ``api/types/time/timestamp.go``; Go ``time.ParseDuration``.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from tidegate.base.errors import InvalidParameterError

ZERO_TIME = "0001-01-01T00:00:00Z"
NANOSECONDS = 1_000_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,18}))?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,18}))?)?)?)?(Z|z|[+-]\d\d:\d\d)?", re.ASCII
)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION_PART = re.compile(r"([0-9]{1,20})?(?:\.([0-9]{0,20}))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_MAX_DURATION_NS = 2**63 - 1


def format_time(time_ns: int | None, *, fixed: bool = False) -> str:
    """RFC3339Nano; ``fixed`` keeps nine digits, so that texts sort."""
    if time_ns is None:
        return ZERO_TIME
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS)
    moment = _EPOCH + timedelta(seconds=seconds)
    whole = moment.replace(tzinfo=None).isoformat(timespec="seconds")
    fraction = f".{nanoseconds:09d}" if fixed else f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{whole}{fraction}Z"


def parse_time(text: str, now_ns: int) -> int:
    """An asked time, as unix nanoseconds. Raises InvalidParameterError."""
    unix = _UNIX.fullmatch(text)
    if unix:
        whole, fraction = unix.groups()
        sign = -1 if whole.startswith("-") else 1
        return int(whole) * NANOSECONDS + sign * _fraction_ns(fraction)
    stamp = _RFC3339.fullmatch(text)
    if stamp:
        return _parse_stamp(text, stamp)
    try:
        return now_ns - parse_duration(text)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"invalid timestamp: {text!r}") from error


def parse_optional_time(text: str, now_ns: int) -> int | None:
    """Like ``parse_time``; "" and "0" are None: not asked. Raises InvalidParameterError."""
    return None if text in ("", "0") else parse_time(text, now_ns)


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "0")[:9].ljust(9, "0"))


def _parse_stamp(text: str, stamp: re.Match[str]) -> int:
    year, month, day, hour, minute, second, fraction, zone = stamp.groups()
    try:
        offset = _offset(zone)
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=offset
        )
        elapsed = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise InvalidParameterError(f"invalid timestamp: {text!r}") from error
    return (elapsed.days * 86400 + elapsed.seconds) * NANOSECONDS + _fraction_ns(fraction)


def _offset(zone: str | None) -> timezone:
    if zone is None or zone in "Zz":
        return UTC
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return timezone(-offset if zone[0] == "-" else offset)


def parse_duration(text: str) -> int:
    """A Go duration ("1h30m", "-1.5s", "0") in nanoseconds. Raises InvalidParameterError with Go's wording."""
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    if unsigned == "0":
        return 0
    total, position = 0, 0
    while position < len(unsigned):
        part = _DURATION_PART.match(unsigned, position)
        if part is None or not (part[1] or part[2]):
            break
        unit = _UNITS[part[3]]
        total += int(part[1] or 0) * unit
        total += int(part[2]) * unit // 10 ** len(part[2]) if part[2] else 0
        position = part.end()
    if not unsigned or position < len(unsigned) or total > _MAX_DURATION_NS:
        raise InvalidParameterError(f'time: invalid duration "{text}"')
    return -total if text.startswith("-") else total


def format_duration(duration_ns: int) -> str:
    """A duration as Go writes it: "1h0m0.5s", "1.5ms", "0s"."""
    if duration_ns == 0:
        return "0s"
    sign, rest = ("-" if duration_ns < 0 else ""), abs(duration_ns)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if rest < size * 1000:
            return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, below = divmod(rest, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = _decimal(below, NANOSECONDS) + "s"
    return sign + (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + seconds


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
