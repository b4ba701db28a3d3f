"""Making a container out of an image and a client's document; the decisions are in ``creation`` and ``limits``."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.creation.joining import resolve_joined
from tidegate.engine.creation.limits import plan_limits
from tidegate.engine.creation.plan import Defaults, Related, SourceImage, plan_new_container
from tidegate.engine.images.service import ImageService
from tidegate.engine.isolation.runtimes import Runtimes
from tidegate.engine.isolation.security_options import check_security_options
from tidegate.engine.links.requested import resolve_links
from tidegate.engine.logging.options import merge_log_config
from tidegate.engine.logging.plans import log_warnings
from tidegate.engine.mounts.validation import check_bind_sources
from tidegate.engine.mounts.volumes_from import inherit_mounts
from tidegate.kernel.host import HostFacts
from tidegate.model.container import Container, MountedImage
from tidegate.spec.container import CreateRequest, Mount

_CLOSED_LINKS = (
    "Links give names and variables only: with icc off, containers reach each other by published ports alone",
)


class Created(NamedTuple):
    """A new container, and what of its document was left out."""

    container: Container
    warnings: Sequence[str]


class Abilities(msgspec.Struct, frozen=True):
    """What can be limited and confined, and by which runtimes; ``exists`` answers of a path of the host."""

    host: HostFacts
    exists: Callable[[str], bool]
    runtimes: Runtimes


class ContainerCreator:
    """On containers and images; ``defaults`` fill what is left open, ``able`` is what this host can do."""

    def __init__(self, containers: ContainerService, images: ImageService, defaults: Defaults, able: Abilities) -> None:
        self._containers, self._images, self._defaults, self._able = containers, images, defaults, able

    def configure(self, defaults: Defaults) -> None:
        """For containers that are made from now on."""
        self._defaults = defaults

    async def create(self, name: str, request: CreateRequest) -> Created:
        """Raises NotFoundError (image), ConflictError (name), what the plans of its parts raise."""
        if not request.image:
            raise InvalidParameterError("no image specified")
        image = self._images.resolve(request.image)
        config = image.config.document.get("config") or {}
        self._able.runtimes.check(request.host_config.runtime)
        check_security_options(request.host_config.security_opt, self._able.host.controls)
        possible = plan_limits(request.host_config, self._able.host.cgroups)
        request = msgspec.structs.replace(request, host_config=possible.host_config)
        request = resolve_joined(request, self._containers.resolve)
        mounted = tuple(self._mounted_images(request.host_config.mounts))
        source = SourceImage(request.image, image.image_id, image.chain_ids, config, mounted)
        find = self._containers.resolve
        related = Related(inherit_mounts(request, find), resolve_links(request.host_config, find))
        planned = plan_new_container(name, source, request, self._defaults, related)
        await asyncio.to_thread(check_bind_sources, request.host_config, self._able.exists)
        container = await self._containers.create(planned)
        asked = request.host_config.log_config
        closed = _CLOSED_LINKS if related.links and not self._defaults.icc else ()
        log = log_warnings(merge_log_config(asked, self._defaults.log))
        return Created(container, (*possible.warnings, *closed, *log))

    def _mounted_images(self, mounts: Iterable[Mount]) -> Iterator[MountedImage]:
        """Raises InvalidParameterError: at create, the docker CLI takes a 404 for the container's own image."""
        for mount in mounts:
            if mount.type == "image" and mount.source:
                try:
                    image = self._images.resolve(mount.source)
                except NotFoundError as error:
                    raise InvalidParameterError(error.message) from error
                yield MountedImage(mount.target.rstrip("/"), image.image_id, tuple(image.chain_ids))
