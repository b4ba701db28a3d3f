"""Go itself reads the same in what a client sent and in what the gate forwards in its stead; skipped where no Go is."""

import shutil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fuzz.go_reader import GoReader
from tests.fuzz.hostile_json import Writer

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.documents import read_document
from tidegate.spec.query_string import encode_query_string, parse_query_string
from tidegate.spec.requests import tables

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="no Go on this machine")

STRICTER = ("duplicate field", "max depth", "of type float64", "Extra data", "more than")
"""What the gate refuses and Go does not: ambiguity, depth, numbers in unknown fields, content after the document."""


def go_reading(go: GoReader, operation_id: str, data: bytes) -> object:
    try:
        return without_null_lists(go.read(operation_id, data))
    except ValueError:
        return ValueError


def without_null_lists(tree: object) -> object:
    """A list that is null is an empty one to us, and to moby, which ranges over both alike."""
    if isinstance(tree, dict):
        return {key: without_null_lists(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [without_null_lists(each) for each in tree]
    return [] if tree is None else tree


@pytest.mark.parametrize("operation_id", sorted(tables.body_operations()))
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**48))
@example(0)
def test_documents(go: GoReader, operation_id: str, seed: int) -> None:
    kind = tables.body_type(operation_id)
    assert kind is not None
    data = Writer(seed).text(kind)
    theirs = go_reading(go, operation_id, data)
    try:
        document = read_document(operation_id, data)
    except InvalidParameterError as error:
        assert theirs is ValueError or any(words in error.message for words in STRICTER), (data, error)
        return
    assert theirs is not ValueError, data
    assert go_reading(go, operation_id, document.encode()) == theirs, (data, document.encode())


QUERIES = st.text(alphabet="aK&=;+%24fF /é\x00", max_size=24)


@settings(max_examples=500, deadline=None)
@given(QUERIES)
def test_queries(go: GoReader, raw: str) -> None:
    theirs = go_reading(go, "query", raw.encode())
    try:
        pairs = parse_query_string(raw)
    except InvalidParameterError as error:
        assert theirs is ValueError or "not UTF-8" in error.message, raw
        return
    ours: dict[str, list[str]] = {}
    for name, value in pairs:
        ours.setdefault(name, []).append(value)
    assert theirs == ours, raw
    assert go_reading(go, "query", encode_query_string(pairs).encode()) == ours
