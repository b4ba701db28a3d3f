"""Durations as typed and as shown."""

from datetime import timedelta

import pytest

from tidegate.base.durations import duration_text, parse_duration
from tidegate.base.errors import InvalidParameterError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("7d", 604800), ("1d1h1m1s", 90061)]
)
def test_parsed(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "1m1h", "1.5h", "10 m", "1w", "१m", "9" * 9 + "d"])
def test_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="write it as"):
        parse_duration(text)


@pytest.mark.parametrize(("seconds", "text"), [(90061, "1d1h"), (5400, "1h30m"), (59, "59s"), (0, "0s"), (-5, "0s")])
def test_shown(seconds: int, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text
