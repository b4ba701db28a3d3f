"""The body of a request as the gate reads it: by Go's rules, from the tables of every operation, into canonical form.

- What is decided on and what is forwarded are the same tree: ``encode`` writes it, the client's bytes go nowhere.
- Refused with a message that names the field: a key given twice in any spelling, a value of another type or out of
  range, content after the document, deep nesting, whatever is not JSON.
- A field that no table has is listed in ``unknown`` and stays in the tree: who may send it is the policy's decision.
- A body where the operation has none is dropped, as moby drops it; archives are streams and not read here.
- A body that is a form is refused everywhere: moby reads the fields of a form before those of the query.

Queries: ``spec/queries.py``. The classes of fields: ``spec/requests``.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.requests import tables
from tidegate.spec.requests.classification import class_of_operation
from tidegate.spec.requests.readers import read
from tidegate.spec.requests.reading import Tree
from tidegate.spec.requests.risks import Class, Risk

__all__ = [
    "Body",
    "Class",
    "Document",
    "Risk",
    "Tree",
    "body_of",
    "class_of_operation",
    "content_type_of",
    "read_document",
    "refuse_encoding",
]

MOST_BYTES = 4 * 1024 * 1024
"""No document is larger: the largest, a secret or a config, is under 1.5 MB in base64."""
MOST_VALUES = 50_000
"""More than any document has, and little enough that reading them delays nobody else's request by much."""
_MOST_BYTES_TO_MEND = 64 * 1024

_JSON = "application/json"
_FORMS = ("application/x-www-form-urlencoded", "multipart/")


def _no_fields() -> Mapping[str, Class]:
    return MappingProxyType({})


class Body(Enum):
    """What the body of an operation is."""

    NONE = "none"
    DOCUMENT = "document"
    STREAM = "stream"


class Document(msgspec.Struct, frozen=True):
    """``tree`` is plain JSON with canonical keys, None when there is no body; ``fields`` are those with a value.

    Paths are written ``HostConfig.Mounts[].Type``, with ``{}`` for the values of a map.
    """

    operation_id: str
    tree: Tree = None
    unknown: tuple[str, ...] = ()
    fields: Mapping[str, Class] = msgspec.field(default_factory=_no_fields)

    @property
    def confined(self) -> tuple[str, ...]:
        """The fields whose value decides."""
        return tuple(path for path, one in self.fields.items() if one.risk is Risk.CONFINED)

    @property
    def dangerous(self) -> tuple[str, ...]:
        """The fields that reach the host by themselves."""
        return tuple(path for path, one in self.fields.items() if one.risk is Risk.DANGEROUS)

    def encode(self) -> bytes:
        """Canonical JSON: what is forwarded."""
        return b"" if self.tree is None else msgspec.json.encode(self.tree)


def body_of(operation_id: str) -> Body:
    """Whether the operation's body is a document, a stream, or nothing."""
    if tables.body_type(operation_id) is not None:
        return Body.DOCUMENT
    return Body.STREAM if tables.has_stream(operation_id) else Body.NONE


def read_document(operation_id: str, data: bytes) -> Document:
    """The document in ``data``, the whole body. Raises InvalidParameterError."""
    kind = tables.body_type(operation_id)
    if kind is None or not data:
        return Document(operation_id)
    _refuse_costly(data)
    tree, reading = read(kind, data)
    if tree and isinstance(tree, list) and isinstance(tree[0], str):  # no field to be classed by
        reading.present["[]"] = class_of_operation(operation_id)
    return Document(operation_id, tree, tuple(sorted(set(reading.unknown))), MappingProxyType(reading.present))


def _refuse_costly(data: bytes) -> None:
    """Raises InvalidParameterError for what would take long to read: the reader has a loop to share with others."""
    if len(data) > MOST_BYTES:
        raise InvalidParameterError(f"invalid JSON: a document of more than {MOST_BYTES} bytes")
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise InvalidParameterError(f"invalid JSON: a document of more than {MOST_VALUES} values")
    if len(data) > _MOST_BYTES_TO_MEND:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidParameterError(f"invalid JSON: not UTF-8: {error.reason} at byte {error.start}") from error


def refuse_encoding(operation_id: str, content_encoding: str | None) -> None:
    """Raises InvalidParameterError for a document that calls itself compressed: not every reader would unpack it."""
    coding = (content_encoding or "identity").strip().lower()
    if coding != "identity" and body_of(operation_id) is Body.DOCUMENT:
        raise InvalidParameterError(f"unsupported Content-Encoding header ({coding}): send the document as it is")


def content_type_of(operation_id: str, content_type: str | None, has_body: bool) -> str | None:
    """The Content-Type to forward for what the client sent; None for no such header.

    Raises InvalidParameterError: a document that is not called JSON, or a form.
    """
    if not has_body:
        return None
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type.startswith(_FORMS):
        raise InvalidParameterError(f"unsupported Content-Type header ({media_type}): a form is not read by this API")
    kind = body_of(operation_id)
    if kind is Body.NONE:
        return None
    if kind is Body.STREAM:
        return media_type or None
    if media_type != _JSON:
        raise InvalidParameterError(f"unsupported Content-Type header ({media_type}): must be '{_JSON}'")
    return _JSON
