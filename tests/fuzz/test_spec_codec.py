"""The codec accepts or refuses, and reads back what it wrote."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import decode, encode
from tidegate.spec.container import CreateRequest

KEYS = st.sampled_from(
    ["HostConfig", "hostconfig", "Cmd", "Binds", "Memory", "Labels", "Mounts", "Privileged", "x", "ſ"]
)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS | st.text(), inner),
    max_leaves=12,
)


def accepted(data: bytes) -> CreateRequest | None:
    try:
        return decode(CreateRequest, data)
    except InvalidParameterError:
        return None


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    accepted(data)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(KEYS, TREES))
def test_any_json(tree: Any) -> None:
    request = accepted(json.dumps(tree).encode())
    if request is not None:
        assert decode(CreateRequest, encode(request), strict=True) == request
