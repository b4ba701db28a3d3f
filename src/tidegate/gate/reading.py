"""What a request asks, read once: operation, query and document. Everything after this acts on that reading."""

from collections.abc import Mapping
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from tidegate.access.asked import Asked, Facts
from tidegate.base.errors import InvalidParameterError
from tidegate.http.messages import Request, split_target
from tidegate.spec.api_version import parse_version
from tidegate.spec.audit.records import digest
from tidegate.spec.catalogue import GRPC, Match, Operation, match
from tidegate.spec.credentials import AUTH, CREDENTIAL_HEADERS, NO_CREDENTIALS, Credentials, read_credentials
from tidegate.spec.documents import MOST_BYTES, Body, Document, body_of, content_type_of, read_document, refuse_encoding
from tidegate.spec.queries import Query, read_query

NOTHING = Asked("-")
"""What a connection asks that has asked nothing yet, or nothing that it may do: only its identity can end it."""
_BODILESS = frozenset({"GET", "HEAD"})
_HEADERS_READ = CREDENTIAL_HEADERS | {
    *("content-length", "transfer-encoding", "content-type", "content-encoding", "upgrade")
}
_REMEMBERED_CHARACTERS = 512
_PROTOCOLS: Mapping[str, str] = {
    "ContainerAttach": "tcp",
    "ContainerAttachWebsocket": "websocket",
    "ExecStart": "tcp",
    "Grpc": "h2c",
    "Session": "h2c",
}


class Reading(msgspec.Struct, frozen=True):
    """``content_type`` is what the forwarded body is called, None without one; ``upgrade`` is the protocol that the
    connection is offered for, "" for none; digests are of what the client sent."""

    found: Match
    query: Query
    document: Document
    body: Body
    content_type: str | None
    asked: Asked
    document_digest: str = ""
    query_digest: str = ""
    upgrade: str = ""
    credentials: Credentials = NO_CREDENTIALS

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
    if _says_nothing_more(request, found):
        return _read_target(request.method, request.target)
    operation_id = found.operation.operation_id
    upgrade = _upgrade_of(found.operation, request)
    has_body = has_content(request)
    refuse_encoding(operation_id, request.headers.get("content-encoding"))
    content_type = content_type_of(operation_id, request.headers.get("content-type"), has_body)
    read_query(operation_id, raw_query)  # what is wrong there is told before a body is waited for
    credentials = read_credentials(operation_id, request.headers)
    kind = body_of(operation_id)
    data = await request.read_all(MOST_BYTES) if kind is not Body.STREAM and has_body else b""
    return _with_credentials(_reading(found, raw_query, content_type, data, upgrade), credentials)


def _says_nothing_more(request: Request, found: Match) -> bool:
    """Whether method and target are all of the request that is read here."""
    return (
        request.method in _BODILESS
        and not found.operation.hijack
        and len(request.target) <= _REMEMBERED_CHARACTERS
        and not any(name in _HEADERS_READ for name, _ in request.headers)
    )


@lru_cache(maxsize=512)
def _read_target(method: str, target: str) -> Reading:
    """A client repeats its requests to the letter: reading is pure, its result immutable."""
    found, raw_query = find_operation(Request(method, target))
    content_type = content_type_of(found.operation.operation_id, None, False)
    return _reading(found, raw_query, content_type, b"", "")


def _reading(found: Match, raw_query: str, content_type: str | None, data: bytes, upgrade: str) -> Reading:
    operation_id = found.operation.operation_id
    query = read_query(operation_id, raw_query)
    document = read_document(operation_id, data)
    asked = Asked(
        operation_id,
        next(iter(found.parameters.values()), ""),
        Facts(query.tree, query.unknown, query.confined, query.dangerous),
        Facts(_mapping(document), document.unknown, document.confined, document.dangerous),
    )
    digests = digest(data), digest(raw_query.encode())
    return Reading(found, query, document, body_of(operation_id), content_type, asked, *digests, upgrade)


def _with_credentials(reading: Reading, credentials: Credentials) -> Reading:
    """An account that is sent along has to be allowed; a build is sent them all, and takes those that are."""
    asked = reading.asked
    if credentials.header == AUTH:
        asked = replace(asked, registries=credentials.hosts)
    return replace(reading, asked=asked, credentials=credentials)


def _upgrade_of(operation: Operation, request: Request) -> str:
    """What a connection may become is known of each operation; an offer where there is nothing to become is ignored.

    Raises InvalidParameterError for an offer that an engine could take up without anybody here knowing what it means.
    """
    offered = request.headers.tokens("upgrade") if operation.hijack else []
    if not offered:
        return ""
    protocol = _PROTOCOLS[operation.operation_id]
    if offered != [protocol]:
        what = f"{operation.method} {operation.template}"
        raise InvalidParameterError(f"Upgrade: {', '.join(offered)!r} is refused: {what} takes {protocol!r} only")
    return protocol


def has_content(request: Request) -> bool:
    """Whether the request announces a body that may have a byte in it."""
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _mapping(document: Document) -> dict[str, object]:
    return dict(document.tree) if isinstance(document.tree, dict) else {}
