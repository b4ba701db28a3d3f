"""What a request asks, read once: operation, query and document. Everything after this acts on that reading."""

import msgspec

from tidegate.access.asked import Asked, Facts
from tidegate.http.messages import Request, split_target
from tidegate.spec.api_version import parse_version
from tidegate.spec.audit_records import digest
from tidegate.spec.catalogue import GRPC, Match, match
from tidegate.spec.documents import MOST_BYTES, Body, Document, body_of, content_type_of, read_document, refuse_encoding
from tidegate.spec.queries import Query, read_query

NOTHING = Asked("-")
"""What a connection asks that has asked nothing yet, or nothing that it may do: only its identity can end it."""


class Reading(msgspec.Struct, frozen=True):
    """``content_type`` is what the forwarded body is called, None without one; digests are of what the client sent."""

    found: Match
    query: Query
    document: Document
    body: Body
    content_type: str | None
    asked: Asked
    document_digest: str = ""
    query_digest: str = ""

    @property
    def operation_id(self) -> str:
        return self.found.operation.operation_id


def find_operation(request: Request) -> tuple[Match, str]:
    """The operation and the raw query. Raises InvalidParameterError, NotFoundError when there is no such operation.

    A version below the tables' is refused: an old engine would read documents otherwise. One above passes: its new
    fields are unknown here, and those the policy sees.
    """
    path, raw_query = split_target(request.target)
    if (request.method, path) == (GRPC.method, GRPC.template):
        return Match(None, GRPC, {}), raw_query
    found = match(request.method, path)
    if found.version is not None:
        parse_version(found.version)
    return found, raw_query


async def read_request(request: Request, found: Match, raw_query: str) -> Reading:
    """Raises InvalidParameterError naming what cannot be read, BodyTooLargeError for a document beyond MOST_BYTES."""
    operation_id = found.operation.operation_id
    kind = body_of(operation_id)
    has_body = has_content(request)
    refuse_encoding(operation_id, request.headers.get("content-encoding"))
    content_type = content_type_of(operation_id, request.headers.get("content-type"), has_body)
    query = read_query(operation_id, raw_query)
    data = await request.read_all(MOST_BYTES) if kind is not Body.STREAM and has_body else b""
    document = read_document(operation_id, data)
    asked = Asked(
        operation_id,
        next(iter(found.parameters.values()), ""),
        Facts(query.tree, query.unknown, query.confined, query.dangerous),
        Facts(_mapping(document), document.unknown, document.confined, document.dangerous),
    )
    return Reading(found, query, document, kind, content_type, asked, digest(data), digest(raw_query.encode()))


def has_content(request: Request) -> bool:
    """Whether the request announces a body that may have a byte in it."""
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _mapping(document: Document) -> dict[str, object]:
    return dict(document.tree) if isinstance(document.tree, dict) else {}
