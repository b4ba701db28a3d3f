"""References, paths, filters, times and frames: accepted or refused, and stable under rewriting."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.spec.catalogue import match
from tidegate.spec.filters import parse_filters
from tidegate.spec.references import parse_reference
from tidegate.spec.timestamps import format_duration, format_time, parse_duration, parse_time


@given(st.text() | st.from_regex(r"\A[a-zA-Z0-9.:/@_-]{1,40}\Z"))
def test_references(text: str) -> None:
    with suppress(InvalidParameterError):
        found = parse_reference(text)
        assert parse_reference(str(found)) == found == parse_reference(found.familiar)


@given(st.text() | st.from_regex(r"\A/(v1\.4[0-9]/)?images/[a-z/.%0-9A-F]{0,20}/json\Z"))
def test_paths(path: str) -> None:
    with suppress(InvalidParameterError, NotFoundError):
        for value in match("GET", path).parameters.values():
            assert not {"", ".", ".."} & set(value.split("/"))


@given(st.text())
def test_filters_and_times(text: str) -> None:
    with suppress(InvalidParameterError):
        parse_filters(text, {"label"})
    with suppress(InvalidParameterError):
        parse_time(text, 0)


@given(st.integers(0, 10**20), st.integers(-(2**62), 2**62))
def test_times_read_back(time_ns: int, duration_ns: int) -> None:
    assert parse_time(format_time(time_ns), 0) == time_ns
    assert parse_duration(format_duration(duration_ns)) == duration_ns
