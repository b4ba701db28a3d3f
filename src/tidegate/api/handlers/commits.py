"""What a container changed, and images made of it."""

from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.base.errors import InvalidParameterError
from tidegate.engine.images.commits import CommitRequest, CommitService
from tidegate.http.messages import Response
from tidegate.spec.codec import decode
from tidegate.spec.container import ContainerConfig
from tidegate.spec.references import parse_name_and_tag

_KINDS = {"modified": 0, "added": 1, "deleted": 2}


class CommitHandlers(msgspec.Struct, frozen=True):
    """On the commit service."""

    commits: CommitService

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {"ContainerChanges": self.changes, "ImageCommit": self.commit}

    async def changes(self, call: Call) -> Response:
        """GET /containers/{id}/changes."""
        found = await self.commits.changes(call.parameters["id"])
        return json_response([{"Path": change.path, "Kind": _KINDS[change.kind]} for change in found])

    async def commit(self, call: Call) -> Response:
        """POST /commit."""
        query, document = call.query, (await call.document_bytes()).strip()
        if not query.text("container"):
            raise InvalidParameterError("missing container: the query parameter 'container' names it")
        repository = query.text("repo")
        name = str(parse_name_and_tag(repository, query.text("tag")).with_default_tag()) if repository else ""
        request = CommitRequest(
            name,
            query.text("author"),
            query.text("comment"),
            query.flag("pause", True),
            query.texts("changes"),
            decode(ContainerConfig, document) if document not in (b"", b"null") else None,
        )
        return json_response({"Id": await self.commits.commit(query.text("container"), request)}, 201)
