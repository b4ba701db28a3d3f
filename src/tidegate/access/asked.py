"""What a client asks, as the decision sees it: an operation of the catalogue and everything the request says.

Built from what ``spec`` read by Go's rules; the decision never sees raw bytes, and what is forwarded is the canonical
form of exactly this.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from tidegate.spec.catalogue import match
from tidegate.spec.documents import Document, read_document
from tidegate.spec.queries import Query, read_query


def _nothing() -> Mapping[str, object]:
    return MappingProxyType({})


class Facts(msgspec.Struct, frozen=True):
    """One document or query, read: ``tree`` has canonical keys.

    ``unknown`` are the fields nobody knows. ``confined`` and ``dangerous`` are the fields that have a value other than
    zero and whose class is not harmless, in the notation ``HostConfig.Mounts[].Type``.
    """

    tree: Mapping[str, object] = msgspec.field(default_factory=_nothing)
    unknown: tuple[str, ...] = ()
    confined: tuple[str, ...] = ()
    dangerous: tuple[str, ...] = ()


class Subject(msgspec.Struct, frozen=True):
    """The object that a request is about, as the engine knows it: a client may have named it by any part of its id.

    An exec is told of by its container; ``object_id`` is that of the object itself.
    """

    object_id: str
    name: str
    labels: Mapping[str, str]


class Asked(msgspec.Struct, frozen=True):
    """``object_id`` is the ``{id}`` or ``{name}`` of the path, "" where the operation has none.

    A body that is a stream (a build context, an archive, a hijacked connection) has no facts. ``subject`` is looked up
    where ``Policy.subject_kind`` wants it. ``registries`` is the host that an account sent along says it is of.
    """

    operation_id: str
    object_id: str = ""
    query: Facts = msgspec.field(default_factory=Facts)
    document: Facts = msgspec.field(default_factory=Facts)
    subject: Subject | None = None
    registries: tuple[str, ...] = ()


def read_asked(method: str, target: str, body: bytes = b"") -> Asked:
    """A request line and its body, read. Raises InvalidParameterError, NotFoundError when it is no operation."""
    path, _, raw_query = target.partition("?")
    found = match(method, path)
    operation_id = found.operation.operation_id
    object_id = next(iter(found.parameters.values()), "")
    return asked_of(read_query(operation_id, raw_query), read_document(operation_id, body), object_id)


def asked_of(query: Query, document: Document, object_id: str) -> Asked:
    """What was read of a request, as the decision sees it."""
    tree = document.tree if isinstance(document.tree, dict) else {}
    return Asked(
        query.operation_id,
        object_id,
        Facts(query.tree, query.unknown, query.confined, query.dangerous),
        Facts(tree, document.unknown, document.confined, document.dangerous),
    )


class Usage(msgspec.Struct, frozen=True):
    """What a client's objects take already, without the one that is asked about."""

    containers: int = 0
    memory_bytes: int = 0
    nano_cpus: int = 0
    published_ports: int = 0
