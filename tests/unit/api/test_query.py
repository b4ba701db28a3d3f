"""The engine reads a query as the gate and as Go do."""

import pytest

from tidegate.api.query import Query
from tidegate.base.errors import InvalidParameterError


def test_values() -> None:
    query = Query("a=1&b=x+y&a=2&flag=False")
    assert query.text("a") == "1" and query.texts("a") == ["1", "2"]
    assert query.text("b") == "x y" and not query.flag("flag") and query.flag("absent", default=True)
    assert query.integer("a") == 1 and query.integer("absent") is None


@pytest.mark.parametrize("raw", ["a=1;b=2", "a=%zz"])
def test_what_go_does_not_parse_is_refused(raw: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid query"):
        Query(raw)


@pytest.mark.parametrize("text", ["1_0", "%D9%A3", "+1"])
def test_numbers_of_python_only_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="expected a number"):
        Query(f"h={text}").integer("h")
