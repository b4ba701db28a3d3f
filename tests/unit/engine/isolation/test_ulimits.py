"""Limits of processes: names, order of soft and hard, and the engine's where the client names none."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.isolation.ulimits import check_ulimit, parse_ulimit, with_defaults
from tidegate.spec.container import Ulimit


def test_the_client_s_limit_replaces_the_engine_s_of_that_name() -> None:
    asked = (Ulimit(name="nofile", soft=1, hard=2),)
    defaults = (Ulimit(name="nofile", soft=9, hard=9), Ulimit(name="core", soft=0, hard=0))
    assert with_defaults(asked, defaults) == (*asked, defaults[1])


def test_limits_in_one_word() -> None:
    assert parse_ulimit("nofile=1:2") == Ulimit(name="nofile", soft=1, hard=2)
    assert parse_ulimit("memlock=-1") == Ulimit(name="memlock", soft=-1, hard=-1)
    for text in ("nofile", "nofile=", "nofile=x", "nofile=1:2:3"):
        with pytest.raises(InvalidParameterError, match="invalid ulimit argument"):
            parse_ulimit(text)


@pytest.mark.parametrize(
    ("limit", "complaint"),
    [
        (Ulimit(name="files", soft=1, hard=1), "invalid ulimit type: files"),
        (Ulimit(name="nofile", soft=2, hard=1), "less than or equal to hard limit: 2 > 1"),
        (Ulimit(name="nofile", soft=-1, hard=1), "less than or equal to hard limit: -1 > 1"),
        (Ulimit(name="nofile", soft=-2, hard=1), "-2 is less than -1"),
    ],
)
def test_what_the_kernel_would_refuse_is_refused_by_name(limit: Ulimit, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        check_ulimit(limit)
