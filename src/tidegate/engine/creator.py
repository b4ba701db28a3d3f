"""Making a container out of an image and a client's document; the decisions are in ``creation`` and ``limits``."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers import ContainerService
from tidegate.engine.creation import Defaults, Related, SourceImage, plan_new_container
from tidegate.engine.images import ImageService
from tidegate.engine.isolation.security_options import check_security_options
from tidegate.engine.joining import resolve_joined
from tidegate.engine.limits import plan_limits
from tidegate.engine.links.requested import resolve_links
from tidegate.engine.logging.options import merge_log_config
from tidegate.engine.logging.plans import log_warnings
from tidegate.engine.volumes_from import inherit_mounts
from tidegate.kernel.host import HostFacts
from tidegate.model.container import Container
from tidegate.spec.container import CreateRequest


class Created(NamedTuple):
    """A new container, and what of its document was left out."""

    container: Container
    warnings: Sequence[str]


class ContainerCreator:
    """On containers and images; ``defaults`` fill what is left open, ``host`` is what can be limited and confined."""

    def __init__(self, containers: ContainerService, images: ImageService, defaults: Defaults, host: HostFacts) -> None:
        self._containers, self._images, self._defaults, self._host = containers, images, defaults, host

    async def create(self, name: str, request: CreateRequest) -> Created:
        """Raises NotFoundError (image), ConflictError (name), what the plans of its parts raise."""
        if not request.image:
            raise InvalidParameterError("no image specified")
        image = self._images.resolve(request.image)
        config = image.config.document.get("config") or {}
        check_security_options(request.host_config.security_opt, self._host.controls)
        possible = plan_limits(request.host_config, self._host.cgroups)
        request = msgspec.structs.replace(request, host_config=possible.host_config)
        request = resolve_joined(request, self._containers.resolve)
        source = SourceImage(request.image, image.image_id, image.chain_ids, config)
        find = self._containers.resolve
        related = Related(inherit_mounts(request, find), resolve_links(request.host_config, find))
        planned = plan_new_container(name, source, request, self._defaults, related)
        container = await self._containers.create(planned)
        asked = request.host_config.log_config
        return Created(container, (*possible.warnings, *log_warnings(merge_log_config(asked, self._defaults.log))))
