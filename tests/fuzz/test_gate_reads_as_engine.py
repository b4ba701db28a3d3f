"""Whatever bytes the gate accepts, the engine reads the same in them as in what the gate forwards in their stead."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fuzz.hostile_json import Writer

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.codec import decode, encode
from tidegate.spec.container import CreateRequest, ExecCreateRequest, ExecStartRequest, UpdateRequest
from tidegate.spec.documents import Document, read_document
from tidegate.spec.requests import tables
from tidegate.spec.requests.types import Listed, Mapped, Named, Type
from tidegate.spec.volume import VolumeCreateRequest

ENGINE: dict[str, type[msgspec.Struct]] = {
    "ContainerCreate": CreateRequest,
    "ContainerUpdate": UpdateRequest,
    "ContainerExec": ExecCreateRequest,
    "ExecStart": ExecStartRequest,
    "VolumeCreate": VolumeCreateRequest,
}
SEEDS = st.integers(0, 2**48)


def accepted(operation_id: str, data: bytes) -> Document | None:
    try:
        return read_document(operation_id, data)
    except InvalidParameterError:
        return None


def engine_reading(operation_id: str, data: bytes) -> Any:
    try:
        found = decode(ENGINE[operation_id], data)
    except InvalidParameterError:
        return None
    if isinstance(found, VolumeCreateRequest) and found.cluster_volume_spec is not None:
        return msgspec.structs.replace(found, cluster_volume_spec={})  # kept undecoded, to be refused by name
    return found


def hostile(operation_id: str, seed: int) -> bytes:
    kind = tables.body_type(operation_id)
    assert kind is not None
    return Writer(seed).text(kind)


@pytest.mark.parametrize("operation_id", sorted(ENGINE))
@settings(max_examples=400, deadline=None)
@given(SEEDS)
@example(0)
def test_the_engine_reads_the_same_in_both(operation_id: str, seed: int) -> None:
    data = hostile(operation_id, seed)
    document = accepted(operation_id, data)
    if document is None or document.tree is None:
        return
    forwarded = document.encode()
    ours = engine_reading(operation_id, data)
    assert ours == engine_reading(operation_id, forwarded), (data, forwarded)
    assert accepted(operation_id, forwarded) == document, data
    if ours is not None:
        kind = tables.body_type(operation_id)
        assert kind is not None
        assert set(values(kind, json.loads(encode(ours)))) <= set(document.fields), data


def values(kind: Type, tree: object, path: str = "") -> Iterator[str]:
    """The paths of what the engine keeps of a document, in the gate's notation."""
    if isinstance(kind, Named) and isinstance(tree, dict):
        for field in tables.document(kind.name).fields.values():
            if field.name in tree:
                place = f"{path}.{field.name}".lstrip(".")
                if tree[field.name] and not isinstance(field.type, Named):
                    yield place
                yield from values(field.type, tree[field.name], place)
    elif isinstance(kind, Listed) and isinstance(tree, list):
        for each in tree:
            yield from values(kind.item, each, f"{path}[]")
    elif isinstance(kind, Mapped) and isinstance(tree, dict):
        for each in tree.values():
            yield from values(kind.value, each, f"{path}{{}}")


@pytest.mark.parametrize("operation_id", sorted(tables.body_operations()))
@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_every_document_is_refused_or_read_back_as_itself(operation_id: str, seed: int) -> None:
    data = hostile(operation_id, seed)
    document = accepted(operation_id, data)
    if document is not None:
        assert accepted(operation_id, document.encode()) == document, data
