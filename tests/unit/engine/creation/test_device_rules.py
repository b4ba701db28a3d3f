"""Device cgroup rules."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.creation.device_rules import DeviceRule, check_access, parse_device_rule


def test_rules_are_read() -> None:
    assert parse_device_rule("c 1:3 rwm") == DeviceRule("c", 1, 3, "rwm")
    assert parse_device_rule("b 8:* r") == DeviceRule("b", 8, None, "r")
    assert parse_device_rule("a *:* m") == DeviceRule("a", None, None, "m")


@pytest.mark.parametrize("text", ["", "c 1:3", "d 1:3 r", "c 1:3 rx", "c 1:3 rwmr", "c ١:3 r", "c 1:3 r\n", "c  1:3 r"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid device cgroup rule format"):
        parse_device_rule(text)


def test_access_is_some_of_three_letters() -> None:
    check_access("")
    check_access("rw")
    with pytest.raises(InvalidParameterError, match="invalid device mode: x"):
        check_access("x")
