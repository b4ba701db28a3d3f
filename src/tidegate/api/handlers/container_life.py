"""A container's life: create, start, stop, restart, kill, pause, rename, update, remove, wait."""

from collections.abc import Awaitable, Mapping
from typing import cast

import msgspec

from tidegate.api.handlers.responses import json_response, later_document, no_content
from tidegate.api.mount_versions import upgrade_mounts
from tidegate.api.pipeline import Call, Handler
from tidegate.api.versions.requests import as_newest, refuse_dropped
from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers.service import ContainerService, WaitCondition
from tidegate.engine.containers.updates import UpdateService
from tidegate.engine.creation.creator import ContainerCreator
from tidegate.engine.creation.plan import parse_signal
from tidegate.engine.links.removal import LinkRemoval
from tidegate.http.messages import Response
from tidegate.model.phases import Phase, State
from tidegate.spec.codec import decode
from tidegate.spec.container import CreateRequest, UpdateRequest

_CONDITIONS = ("", "not-running", "next-exit", "removed")


class ContainerLifeHandlers(msgspec.Struct, frozen=True):
    """On the container service, and those that make containers and change limits."""

    containers: ContainerService
    creator: ContainerCreator
    updates: UpdateService
    links: LinkRemoval

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ContainerCreate": self.create,
            "ContainerStart": self.start,
            "ContainerStop": self.stop,
            "ContainerRestart": self.restart,
            "ContainerKill": self.kill,
            "ContainerPause": self.pause,
            "ContainerUnpause": self.unpause,
            "ContainerRename": self.rename,
            "ContainerUpdate": self.update,
            "ContainerDelete": self.delete,
            "ContainerWait": self.wait,
        }

    async def create(self, call: Call) -> Response:
        """POST /containers/create."""
        request = as_newest(call.profile, decode(CreateRequest, await call.document_bytes()))
        refuse_dropped(call.profile, request)
        request = upgrade_mounts(request, call.profile)
        created = await self.creator.create(call.query.text("name"), request)
        return json_response({"Id": created.container.id, "Warnings": list(created.warnings)}, 201)

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

    async def update(self, call: Call) -> Response:
        """POST /containers/{id}/update."""
        request = as_newest(call.profile, decode(UpdateRequest, await call.document_bytes()))
        return json_response({"Warnings": list(await self.updates.update(call.parameters["id"], request))})

    async def delete(self, call: Call) -> Response:
        """DELETE /containers/{id}."""
        if call.query.flag("link"):
            return await _then_nothing(self.links.remove(call.parameters["id"]))
        force, volumes = call.query.flag("force"), call.query.flag("v")
        return await _then_nothing(self.containers.remove(call.parameters["id"], force=force, volumes=volumes))

    async def wait(self, call: Call) -> Response:
        """POST /containers/{id}/wait: the head goes out at once, the status when it is known."""
        condition = call.query.text("condition")
        if condition not in _CONDITIONS:
            raise InvalidParameterError(f"invalid condition: {condition!r}")
        waiting = self.containers.wait(call.parameters["id"], cast(WaitCondition, condition or "not-running"))

        def view(state: State) -> object:
            failed = {"Error": {"Message": state.error}} if state.phase is Phase.DEAD else {}
            return {"StatusCode": state.exit_code, **failed}

        return Response(200, (("Content-Type", "application/json"),), later_document(waiting, view))


def _signal(call: Call) -> int | None:
    text = call.query.text("signal")
    return parse_signal(text) if text else None


async def _then_nothing(work: Awaitable[None]) -> Response:
    await work
    return no_content()
