"""What a container changed, and images made of it (``docker diff``, ``docker commit``).

- The container is paused while its files are read, if asked; it runs on afterwards, whatever happens.
- The configuration is the container's, or what the client says instead, altered by Dockerfile instructions.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.base.errors import ConflictError, NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.file_ports import Change, ContainerLayers
from tidegate.engine.images.changes import ImageChange
from tidegate.engine.images.service import ImageService
from tidegate.model.container import Container
from tidegate.model.phases import Phase
from tidegate.spec.changes import apply_changes
from tidegate.spec.container import ContainerConfig
from tidegate.spec.references import parse_reference
from tidegate.spec.stored import stored_request

_WITHOUT_LAYERS = frozenset({Phase.CREATING, Phase.REMOVING, Phase.DEAD})


class CommitRequest(msgspec.Struct, frozen=True):
    """``name`` is the new image's reference, "" for none; ``config`` replaces the container's where it says more."""

    name: str = ""
    author: str = ""
    comment: str = ""
    pause: bool = True
    changes: Sequence[str] = ()
    config: ContainerConfig | None = None


class CommitService(msgspec.Struct, frozen=True):
    """On containers, their layers and the images."""

    containers: ContainerService
    layers: ContainerLayers
    images: ImageService

    async def changes(self, name_or_id: str) -> Sequence[Change]:
        """What differs from the image. Raises NotFoundError, ConflictError for what is half made or half gone."""
        return await self.layers.changes(self._find(name_or_id).id)

    async def commit(self, name_or_id: str, request: CommitRequest) -> str:
        """Make an image; returns its id.

        Raises NotFoundError for the container or the image it was made of, ConflictError as ``changes`` does,
        InvalidParameterError for a malformed name or instruction.
        """
        container = self._find(name_or_id)
        base = self.images.get(container.image_id)
        own = stored_request(container.document)
        config = apply_changes(image_config(request.config or own, own), request.changes)
        words = [*(own.entrypoint or ()), *(own.cmd or ())]
        change = ImageChange(config, request.author, request.comment, " ".join(words), request.name)
        async with self._paused(container, request.pause):
            image_id = await self.images.commit(base, self.layers.diff(container.id), change)
        name = parse_reference(request.name).familiar if request.name else ""
        told = {"comment": request.comment, "imageID": image_id, "imageRef": name}
        self.containers.publish(container.id, "commit", told)
        return image_id

    def _find(self, name_or_id: str) -> Container:
        container = self.containers.resolve(name_or_id)
        if container.state.phase in _WITHOUT_LAYERS:
            raise ConflictError(f"container {container.id} is {container.state.phase.value}: it has no files")
        return container

    @contextlib.asynccontextmanager
    async def _paused(self, container: Container, wanted: bool) -> AsyncIterator[None]:
        if not wanted or container.state.phase is not Phase.RUNNING:
            yield
            return
        try:
            await self.containers.pause(container.id)
        except ConflictError:  # it has just ended, or a client was faster
            if self.containers.resolve(container.id).state.phase is Phase.RUNNING:
                raise
            yield
            return
        try:
            yield
        finally:
            await asyncio.shield(self._unpause(container.id))

    async def _unpause(self, container_id: str) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):  # a client was faster
            await self.containers.unpause(container_id)


def image_config(config: ContainerConfig, container: ContainerConfig) -> Mapping[str, Any]:
    """The OCI config object: what ``config`` says, and the container where it says nothing."""
    environment = {entry.partition("=")[0]: entry for entry in (*container.env, *config.env)}
    fields: dict[str, Any] = {
        "User": config.user or container.user,
        "ExposedPorts": {name: {} for name in (*container.exposed_ports, *config.exposed_ports)},
        "Env": list(environment.values()),
        "Entrypoint": list(config.entrypoint or (() if config.cmd else container.entrypoint or ())),
        "Cmd": list(config.cmd or (() if config.entrypoint else container.cmd or ())),
        "Volumes": {name: {} for name in (*container.volumes, *config.volumes)},
        "WorkingDir": config.working_dir or container.working_dir,
        "Labels": {**container.labels, **config.labels},
        "StopSignal": config.stop_signal or container.stop_signal,
        "Shell": list(config.shell or container.shell or ()),
        "OnBuild": list(config.on_build or ()),
    }
    return {key: value for key, value in fields.items() if value}
