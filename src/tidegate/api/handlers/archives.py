"""Files of containers: HEAD, GET and PUT of an archive, and export."""

import base64
from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.responses import no_content
from tidegate.api.pipeline import Call, Handler
from tidegate.engine.containers.archives import ArchiveService
from tidegate.engine.file_ports import PathStat
from tidegate.http.messages import Response
from tidegate.spec.timestamps import format_time

_STAT_HEADER = "X-Docker-Container-Path-Stat"
_TAR = ("Content-Type", "application/x-tar")


class ArchiveHandlers(msgspec.Struct, frozen=True):
    """On the archive service."""

    archives: ArchiveService

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ContainerArchiveInfo": self.stat,
            "ContainerArchive": self.read,
            "PutContainerArchive": self.write,
            "ContainerExport": self.export,
        }

    async def stat(self, call: Call) -> Response:
        """HEAD /containers/{id}/archive."""
        found = await self.archives.stat(call.parameters["id"], call.query.text("path"))
        return Response(200, (stat_header(found),))

    async def read(self, call: Call) -> Response:
        """GET /containers/{id}/archive."""
        gzip = accepts_gzip(call.request.headers.tokens("accept-encoding"))
        found, archive = await self.archives.read(call.parameters["id"], call.query.text("path"), gzip=gzip)
        encoding = (("Content-Encoding", "gzip"),) if gzip else ()
        return Response(200, (_TAR, stat_header(found), *encoding), archive)

    async def write(self, call: Call) -> Response:
        """PUT /containers/{id}/archive."""
        await self.archives.write(
            call.parameters["id"],
            call.query.text("path"),
            aiter(call.request.body),
            keep_kinds=call.query.flag("noOverwriteDirNonDir"),
            own=call.query.flag("copyUIDGID"),
        )
        return no_content(200)

    async def export(self, call: Call) -> Response:
        """GET /containers/{id}/export."""
        return Response(200, (_TAR,), await self.archives.export(call.parameters["id"]))


def stat_header(found: PathStat) -> tuple[str, str]:
    """The header that tells a client of the path, as base64 of JSON."""
    document = {
        "name": found.name,
        "size": found.size_bytes,
        "mode": found.mode,
        "mtime": format_time(found.mtime_ns),
        "linkTarget": found.link_target,
    }
    return _STAT_HEADER, base64.b64encode(msgspec.json.encode(document)).decode()


def accepts_gzip(encodings: list[str]) -> bool:
    """Whether the client names gzip and does not weigh it with zero (RFC 9110, section 12.5.3)."""
    for encoding in encodings:
        name, _, weight = encoding.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
