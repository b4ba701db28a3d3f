"""Both shapes of filters."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.filters import labels_match, parse_boolean_filter, parse_filters


@pytest.mark.parametrize("text", ['{"label":{"a=b":true,"c":true,"d":false}}', '{"label":["a=b","c","c"]}'])
def test_shapes(text: str) -> None:
    assert parse_filters(text, {"label"}) == {"label": ("a=b", "c")}


@pytest.mark.parametrize("text", ["", " ", "null", "{}"])
def test_none(text: str) -> None:
    assert parse_filters(text, ()) == {}


def test_unknown() -> None:
    with pytest.raises(InvalidParameterError, match="^invalid filter 'x'$"):
        parse_filters('{"x":["y"]}', {"label"})


@pytest.mark.parametrize(
    "text", ["[]", "[[]]", "x", '"a"', '{"label":"a"}', '{"label":[1]}', '{"label":{"a":1}}', "[" * 99999]
)
def test_refusals(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid filters"):
        parse_filters(text, {"label"})


def test_booleans() -> None:
    assert parse_boolean_filter({}, "dangling", True)
    assert parse_boolean_filter({"dangling": ["1"]}, "dangling", False)
    assert not parse_boolean_filter({"dangling": ["false"]}, "dangling", True)
    for values in (["x"], ["true", "false"]):
        with pytest.raises(InvalidParameterError, match=r"invalid filter 'dangling=\["):
            parse_boolean_filter({"dangling": values}, "dangling", True)


def test_labels() -> None:
    assert labels_match(["a", "b=c=d"], {"a": "", "b": "c=d"})
    assert not labels_match(["a="], {"a": "1"})
    assert not labels_match(["z"], {})
