"""Queries by Go's rules and Docker's, in canonical form."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.catalogue import OPERATIONS
from tidegate.spec.queries import Risk, read_query
from tidegate.spec.query_string import MOST_PARAMETERS, boolean, encode_query_string, number, parse_query_string


def test_pairs_are_parted_and_unescaped_as_in_go() -> None:
    assert parse_query_string("a=1&&b=x+y%20z&c&a=%2B&=v&d=e=f") == [
        ("a", "1"),
        ("b", "x y z"),
        ("c", ""),
        ("a", "+"),
        ("", "v"),
        ("d", "e=f"),
    ]
    assert parse_query_string("") == []


@pytest.mark.parametrize("raw", ["a=1;b=2", "a;=1", "a=%", "a=%zz", "%4=1", "a=%ff", "a&" * (MOST_PARAMETERS + 1)])
def test_what_go_refuses_is_refused(raw: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid query"):
        parse_query_string(raw)


def test_pairs_are_written_as_go_writes_them() -> None:
    assert encode_query_string([("a b", "x/y&z"), ("c", "é~-._*")]) == "a+b=x%2Fy%26z&c=%C3%A9~-._%2A"


@pytest.mark.parametrize(
    ("text", "value"),
    [("", False), ("0", False), (" NO ", False), ("False", False), ("none\u3000", False), ("1", True), ("x", True),
     ("\x1c0", True), ("off", True)],
)  # fmt: skip
def test_booleans(text: str, value: bool) -> None:
    assert boolean(text) is value


@pytest.mark.parametrize("text", [" 1", "1_0", "٣", "1.0", "0x1", "9223372036854775808", "1" * 30, "--1", ""])
def test_numbers_are_decimal(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid parameter t=.*: expected a number"):
        number("t", text)


def test_values_are_read_and_forwarded_in_one_form() -> None:
    query = read_query("ContainerDelete", "v=True&force=no&link=")
    assert query.tree == {"v": True, "force": False, "link": False}
    assert query.encode() == "v=1&force=0&link="
    query = read_query("ContainerStop", "t=%2B05&signal=SIG+TERM")
    assert query.tree == {"t": 5, "signal": "SIG TERM"}
    assert query.encode() == "t=5&signal=SIG+TERM"
    assert read_query("ContainerStop", "t=").encode() == "t="


def test_a_parameter_given_twice_is_refused_unless_it_is_a_list() -> None:
    with pytest.raises(InvalidParameterError, match="parameter remote is given 2 times: give it once"):
        read_query("ImageBuild", "remote=&remote=http://x")
    assert read_query("ImageBuild", "t=a&t=b").tree == {"t": ["a", "b"]}


def test_names_keep_their_case() -> None:
    query = read_query("ImageCreate", "fromimage=x")
    assert query.unknown == ("fromimage",) and query.encode() == "fromimage=x"


@pytest.mark.parametrize(
    "text",
    ['{"label":["a=b","c","c"]}', '{"label":{"a=b":true,"c":true}}', ' {"label" : ["a=b", "c"]}'],
)
def test_filters_have_one_form(text: str) -> None:
    query = read_query("ContainerList", encode_query_string([("filters", text)]))
    assert query.filters == {"label": ["a=b", "c"]}
    assert parse_query_string(query.encode()) == [("filters", '{"label":{"a=b":true,"c":true}}')]


@pytest.mark.parametrize("text", ["", "null", "{}"])
def test_no_filters(text: str) -> None:
    assert read_query("BuildPrune", f"filters={text}").filters == {}
    assert read_query("BuildPrune", "filters=").encode() == "filters="


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "1",
        '"x"',
        "{",
        '{"a":1}',
        '{"a":{"b":false}}',
        '{"a":{"b":1}}',
        '{"a":[1]}',
        '{"a":["x"],"a":["y"]}',
        "[" * 100_000,
    ],
)
def test_filters_of_no_form_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="invalid filters"):
        read_query("ContainerList", encode_query_string([("filters", text)]))


def test_a_filter_is_added_in_its_place() -> None:
    query = read_query("ContainerList", "all=1&filters=%7B%22label%22%3A%5B%22a%22%5D%7D&size=1")
    narrowed = query.with_filters({"label": ["a", "tidegate.owner=alice"]})
    assert narrowed.filters == {"label": ["a", "tidegate.owner=alice"]}
    assert parse_query_string(narrowed.encode()) == [
        ("all", "1"),
        ("filters", '{"label":{"a":true,"tidegate.owner=alice":true}}'),
        ("size", "1"),
    ]
    assert read_query("ContainerList", "").with_filters({"label": ["x"]}).filters == {"label": ["x"]}


def test_json_in_parameters_is_read_like_a_document() -> None:
    raw = encode_query_string([("buildargs", '{"A":null,"B":"1"}'), ("ulimits", '[{"name":"nofile","HARD":1}]')])
    query = read_query("ImageBuild", raw)
    assert query.tree == {"buildargs": {"A": None, "B": "1"}, "ulimits": [{"Name": "nofile", "Hard": 1}]}
    assert ("ulimits", '[{"Name":"nofile","Hard":1}]') in parse_query_string(query.encode())
    for text in ('{"A":"1","A":"2"}', '{"A":1}', "[]"):
        with pytest.raises(InvalidParameterError, match="invalid parameter buildargs: invalid JSON"):
            read_query("ImageBuild", encode_query_string([("buildargs", text)]))
    with pytest.raises(InvalidParameterError, match="invalid parameter ulimits: unknown field"):
        read_query("ImageBuild", encode_query_string([("ulimits", '[{"Foo":1}]')]))


def test_what_is_present_and_its_class() -> None:
    query = read_query("ImageBuild", "t=a&networkmode=host&remote=&cgroupparent=%2F&q=0&zed=1")
    assert {name: one.risk for name, one in query.fields.items()} == {
        "t": Risk.HARMLESS,
        "networkmode": Risk.CONFINED,
        "cgroupparent": Risk.DANGEROUS,
    }
    assert query.confined == ("networkmode",) and query.dangerous == ("cgroupparent",)
    assert query.unknown == ("zed",)


@pytest.mark.parametrize("operation_id", [op.operation_id for op in OPERATIONS])
def test_an_empty_query_says_nothing(operation_id: str) -> None:
    query = read_query(operation_id, "")
    assert not query.tree and query.encode() == ""
