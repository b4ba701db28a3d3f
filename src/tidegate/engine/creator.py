"""Making a container out of an image and a client's document; the decisions are in ``creation``."""

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers import ContainerService
from tidegate.engine.creation import Defaults, SourceImage, plan_new_container
from tidegate.engine.images import ImageService
from tidegate.model.container import Container
from tidegate.spec.container import CreateRequest


class ContainerCreator:
    """On containers and images; ``defaults`` are for what the client leaves open."""

    def __init__(self, containers: ContainerService, images: ImageService, defaults: Defaults) -> None:
        self._containers, self._images, self._defaults = containers, images, defaults

    async def create(self, name: str, request: CreateRequest) -> Container:
        """Raises NotFoundError (the image), ConflictError (the name), and what ``plan_new_container`` raises."""
        if not request.image:
            raise InvalidParameterError("no image specified")
        image = self._images.resolve(request.image)
        config = image.config.document.get("config") or {}
        source = SourceImage(request.image, image.image_id, image.chain_ids, config)
        return await self._containers.create(plan_new_container(name, source, request, self._defaults))
