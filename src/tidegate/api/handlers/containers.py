"""Containers: the life, the list, and waiting."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tidegate.api.handlers.responses import json_response, later_document, no_content
from tidegate.api.pipeline import Call, Handler
from tidegate.api.views.containers import inspect_view, status_of
from tidegate.api.views.summary_rows import SummaryRows
from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers import ContainerService, WaitCondition
from tidegate.engine.creation import parse_signal, plan_new_container
from tidegate.engine.execs import ExecService
from tidegate.engine.images import ImageService
from tidegate.engine.ports import Clock
from tidegate.http.messages import Response
from tidegate.model.container import Container
from tidegate.model.phases import State
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest
from tidegate.spec.filters import Filters, labels_match, parse_filters

LIST_FILTERS = frozenset({"ancestor", "exited", "id", "label", "name", "status"})
_CONDITIONS = ("", "not-running", "next-exit", "removed")


@dataclass(frozen=True, slots=True)
class ContainerHandlers:
    """``log_path`` answers where a container's log is."""

    containers: ContainerService
    execs: ExecService
    images: ImageService
    log_path: Callable[[str], Path]
    clock: Clock
    rows: SummaryRows = field(default_factory=SummaryRows)

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ContainerList": self.list,
            "ContainerCreate": self.create,
            "ContainerInspect": self.inspect,
            "ContainerStart": self.start,
            "ContainerStop": self.stop,
            "ContainerRestart": self.restart,
            "ContainerKill": self.kill,
            "ContainerPause": self.pause,
            "ContainerUnpause": self.unpause,
            "ContainerRename": self.rename,
            "ContainerDelete": self.delete,
            "ContainerWait": self.wait,
        }

    async def list(self, call: Call) -> Response:
        """GET /containers/json."""
        filters = parse_filters(call.query.text("filters"), LIST_FILTERS)
        limit = call.query.integer("limit")
        everything = call.query.flag("all") or bool(limit) or "status" in filters or "exited" in filters
        everyone = self.containers.list()
        chosen = (
            everyone
            if everything and not filters
            else [each for each in everyone if self._shown(each, filters, everything)]
        )
        rows = chosen[:limit] if limit and limit > 0 else chosen
        now_ns = self.clock()
        attachment, row = self.containers.attachment, self.rows.row
        shown = [row(each, attachment(each.id), now_ns) for each in rows]
        self.rows.keep_only({each.id for each in everyone})
        return json_response(shown)

    def _shown(self, container: Container, filters: Filters, everything: bool) -> bool:
        status = status_of(container.state)
        if not everything and status not in ("running", "paused", "restarting"):
            return False
        names, ids, statuses = (filters.get(name, ()) for name in ("name", "id", "status"))
        ancestors, codes = filters.get("ancestor", ()), filters.get("exited", ())
        return (
            (not names or any(name.removeprefix("/") in container.name for name in names))
            and (not ids or any(container.id.startswith(prefix) for prefix in ids))
            and (not statuses or status in statuses)
            and (not codes or (status == "exited" and str(container.state.exit_code) in codes))
            and (not ancestors or any(self._descends(container, ancestor) for ancestor in ancestors))
            and labels_match(filters.get("label", ()), container.labels)
        )

    def _descends(self, container: Container, ancestor: str) -> bool:
        return ancestor in (container.image, container.image.partition(":")[0]) or container.image_id.removeprefix(
            "sha256:"
        ).startswith(ancestor.removeprefix("sha256:"))

    async def create(self, call: Call) -> Response:
        """POST /containers/create."""
        request = decode(CreateRequest, await call.document_bytes())
        if not request.image:
            raise InvalidParameterError("no image specified")
        image = self.images.resolve(request.image)
        config = image.config.document.get("config") or {}
        name = call.query.text("name")
        new = plan_new_container(name, request.image, image.image_id, image.chain_ids, config, request)
        container = await self.containers.create(new)
        return json_response({"Id": container.id, "Warnings": []}, 201)

    async def inspect(self, call: Call) -> Response:
        """GET /containers/{id}/json."""
        container = self.containers.resolve(call.parameters["id"])
        execs = list(self.execs.of_container(container.id))
        attachment = self.containers.attachment(container.id)
        return json_response(inspect_view(container, attachment, self.log_path(container.id), execs, call.profile))

    async def start(self, call: Call) -> Response:
        """POST /containers/{id}/start."""
        return no_content(204 if await self.containers.start(call.parameters["id"]) else 304)

    async def stop(self, call: Call) -> Response:
        """POST /containers/{id}/stop."""
        stopped = await self.containers.stop(call.parameters["id"], call.query.integer("t"), _signal(call))
        return no_content(204 if stopped else 304)

    async def restart(self, call: Call) -> Response:
        """POST /containers/{id}/restart."""
        await self.containers.restart(call.parameters["id"], call.query.integer("t"), _signal(call))
        return no_content()

    async def kill(self, call: Call) -> Response:
        """POST /containers/{id}/kill."""
        await self.containers.kill(call.parameters["id"], _signal(call) or parse_signal("KILL"))
        return no_content()

    async def pause(self, call: Call) -> Response:
        """POST /containers/{id}/pause."""
        return await _then_nothing(self.containers.pause(call.parameters["id"]))

    async def unpause(self, call: Call) -> Response:
        """POST /containers/{id}/unpause."""
        return await _then_nothing(self.containers.unpause(call.parameters["id"]))

    async def rename(self, call: Call) -> Response:
        """POST /containers/{id}/rename."""
        return await _then_nothing(self.containers.rename(call.parameters["id"], call.query.text("name")))

    async def delete(self, call: Call) -> Response:
        """DELETE /containers/{id}."""
        if call.query.flag("link"):
            raise InvalidParameterError("link: links are not supported by this engine")
        force, volumes = call.query.flag("force"), call.query.flag("v")
        return await _then_nothing(self.containers.remove(call.parameters["id"], force=force, volumes=volumes))

    async def wait(self, call: Call) -> Response:
        """POST /containers/{id}/wait: the head goes out at once, the status when it is known."""
        condition = call.query.text("condition")
        if condition not in _CONDITIONS:
            raise InvalidParameterError(f"invalid condition: {condition!r}")
        waiting = self.containers.wait(call.parameters["id"], cast(WaitCondition, condition or "not-running"))

        def view(state: State) -> object:
            return {"StatusCode": state.exit_code}

        return Response(200, (("Content-Type", "application/json"),), later_document(waiting, view))


def _signal(call: Call) -> int | None:
    text = call.query.text("signal")
    return parse_signal(text) if text else None


async def _then_nothing(work: Awaitable[None]) -> Response:
    await work
    return no_content()
