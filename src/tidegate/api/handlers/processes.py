"""What the host says of a container's processes: top."""

from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.responses import json_response
from tidegate.api.pipeline import Call, Handler
from tidegate.engine.processes import ProcessService
from tidegate.http.messages import Response


class ProcessHandlers(msgspec.Struct, frozen=True):
    """On the process service."""

    processes: ProcessService

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {"ContainerTop": self.top}

    async def top(self, call: Call) -> Response:
        """GET /containers/{id}/top."""
        found = await self.processes.top(call.parameters["id"], call.query.text("ps_args"))
        return json_response({"Titles": found.titles, "Processes": found.rows})
