"""Times and durations."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.timestamps import format_duration, format_time, parse_duration, parse_optional_time, parse_time

NOW = 1_700_000_000 * 10**9


def test_format() -> None:
    assert format_time(None) == "0001-01-01T00:00:00Z"
    assert format_time(NOW) == "2023-11-14T22:13:20Z"
    assert format_time(NOW + 60_000_000) == "2023-11-14T22:13:20.06Z"
    assert format_time(NOW + 60_000_000, fixed=True) == "2023-11-14T22:13:20.060000000Z"
    assert format_time(NOW + 1) == "2023-11-14T22:13:20.000000001Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", NOW),
        ("1700000000.000000001", NOW + 1),
        ("1700000000.5", NOW + 500_000_000),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T23:13:20.5+01:00", NOW + 500_000_000),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14T22:13", NOW - 20 * 10**9),
        ("1970-01-01", 0),
        ("10m", NOW - 600 * 10**9),
    ],
)
def test_parse(text: str, expected: int) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "2023-13-01", "2023-11-14T25:00:00Z", "1.", "٣", "0001-01-01T00:00:00+99:00"]
)
def test_refused_times(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid timestamp"):
        parse_time(text, NOW)


def test_optional() -> None:
    assert parse_optional_time("", NOW) is None and parse_optional_time("0", NOW) is None
    assert parse_optional_time("5", NOW) == 5 * 10**9


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("0", 0, "0s"),
        ("1h30m", 5400 * 10**9, "1h30m0s"),
        ("-1.5s", -1_500_000_000, "-1.5s"),
        ("1.5ms", 1_500_000, "1.5ms"),
        ("10us", 10_000, "10µs"),
        (".5h", 1800 * 10**9, "30m0s"),
        ("1m0.25s", 60_250_000_000, "1m0.25s"),
        ("999ns", 999, "999ns"),
    ],
)
def test_durations(text: str, expected: int, shown: str) -> None:
    assert parse_duration(text) == expected
    assert format_duration(expected) == shown
    assert parse_duration(shown) == expected


@pytest.mark.parametrize("text", ["", "-", "1", ".s", "1x", "s", "1s ", "9999999h", "1ss"])
def test_refused_durations(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="time: invalid duration"):
        parse_duration(text)
