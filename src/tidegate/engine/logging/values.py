"""What the value of a log option may be. Each function is given the option's name and its text, and returns its value.

All raise InvalidParameterError naming the option.
"""

from collections.abc import Mapping

from tidegate.base.errors import InvalidParameterError
from tidegate.base.sizes import parse_memory_size, parse_size
from tidegate.spec.timestamps import NANOSECONDS, parse_duration

NO_LIMIT = -1
MODES = ("", "blocking", "non-blocking")
SYSLOG_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
)  # fmt: skip
FACILITIES: Mapping[str, int] = {
    **{name: number for number, name in enumerate(_FACILITIES)},
    **{f"local{number}": 16 + number for number in range(8)},
}
_FLAGS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_LONGEST_PATTERN = 1000
_MOST_DIGITS = 9


def text(_name: str, value: str) -> str:
    return value


def flag(name: str, value: str) -> bool:
    """As Go's ``strconv.ParseBool`` reads it."""
    if value not in _FLAGS:
        raise InvalidParameterError(f"log opt {name}: {value!r} is neither true nor false")
    return _FLAGS[value]


def is_true(options: Mapping[str, str], name: str) -> bool:
    """Whether a flag is given and set; its text was checked."""
    return _FLAGS.get(options.get(name, ""), False)


def count(name: str, value: str) -> int:
    if not _is_number(value):
        raise InvalidParameterError(f"log opt {name}: {value!r} is no number")
    return int(value)


def file_count(name: str, value: str) -> int:
    if not _is_number(value) or int(value) < 1:
        raise InvalidParameterError(f"log opt {name}: {value!r} is no number from 1")
    return int(value)


def file_size(name: str, value: str) -> int:
    """Bytes, in powers of 1000; ``NO_LIMIT`` for -1."""
    if value == str(NO_LIMIT):
        return NO_LIMIT
    try:
        size = parse_size(value)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"log opt {name}: {error.message}") from error
    if not size:
        raise InvalidParameterError(f"log opt {name}: must be more than nothing, or -1 for no limit")
    return size


def buffer_size(name: str, value: str) -> int:
    """Bytes, in powers of 1024."""
    try:
        return parse_memory_size(value)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"error parsing option {name}: {error.message}") from error


def duration_s(name: str, value: str) -> float:
    """Seconds, of a Go duration."""
    try:
        seconds = parse_duration(value) / NANOSECONDS
    except InvalidParameterError as error:
        raise InvalidParameterError(f"log opt {name}: {error.message}") from error
    if seconds < 0:
        raise InvalidParameterError(f"log opt {name}: cannot be negative")
    return seconds


def reconnect_interval_s(name: str, value: str) -> float:
    seconds = duration_s(name, value)
    if seconds and not 0.1 <= seconds <= 10:
        raise InvalidParameterError(f'invalid value for {name}: value ("{value}") must be between 100ms and 10s')
    return seconds


def pattern(name: str, value: str) -> str:
    """A regular expression in Python's notation; Go's is much the same. Whether it is one shows when it is used: even
    to compile a client's expression can take for ever."""
    if len(value) > _LONGEST_PATTERN:
        raise InvalidParameterError(f"log opt {name}: longer than {_LONGEST_PATTERN} characters")
    return value


def mode(_name: str, value: str) -> str:
    if value not in MODES:
        raise InvalidParameterError(f"logger: logging mode not supported: {value}")
    return value


def path(name: str, value: str) -> str:
    if value and not value.startswith("/"):
        raise InvalidParameterError(f"log opt {name}: {value!r} is not an absolute path")
    return value


def syslog_facility(_name: str, value: str) -> int:
    """The facility's number."""
    if not value:
        return FACILITIES["daemon"]
    if value in FACILITIES:
        return FACILITIES[value]
    if _is_number(value) and int(value) <= 23:
        return int(value)
    raise InvalidParameterError("invalid syslog facility")


def syslog_format(_name: str, value: str) -> str:
    if value not in SYSLOG_FORMATS:
        raise InvalidParameterError("invalid syslog format")
    return value


def gelf_compression_type(name: str, value: str) -> str:
    if value not in ("gzip", "zlib", "none"):
        raise InvalidParameterError(f'unknown value "{value}" for log opt "{name}" for gelf log driver')
    return value


def gelf_compression_level(name: str, value: str) -> int:
    if value not in ("-1", *"0123456789"):
        raise InvalidParameterError(f'unknown value "{value}" for log opt "{name}" for gelf log driver')
    return int(value)


def gelf_count(name: str, value: str) -> int:
    if not _is_number(value):
        raise InvalidParameterError(f'"{name}" must be a positive integer')
    return int(value)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS
