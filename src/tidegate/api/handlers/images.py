"""Images: pull, import, load, save, list, inspect, history, tag, remove."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from tidegate.api.handlers.registries import credentials
from tidegate.api.handlers.responses import json_response, no_content, progress_response, stream_response
from tidegate.api.pipeline import Call, Handler
from tidegate.api.versions.answers import shown_to
from tidegate.api.views.images import inspect_view, summary_view
from tidegate.base.errors import InvalidParameterError, NotSupportedError
from tidegate.engine.containers.service import ContainerService
from tidegate.engine.event_sources.image_events import image_labels
from tidegate.engine.images.records import Image, image_uses
from tidegate.engine.images.service import ImageService
from tidegate.engine.ports import RegistryAuth
from tidegate.http.messages import Response
from tidegate.spec.auth import parse_auth_header
from tidegate.spec.changes import apply_changes
from tidegate.spec.filters import Filters, labels_match, parse_filters
from tidegate.spec.references import parse_name_and_tag

LIST_FILTERS = frozenset({"dangling", "label", "reference"})
_TAR = (("Content-Type", "application/x-tar"),)


class ImageHandlers(msgspec.Struct, frozen=True):
    """On the image service; ``containers`` tells which images are in use."""

    images: ImageService
    containers: ContainerService

    def table(self) -> Mapping[str, Handler]:
        """Operation id to handler."""
        return {
            "ImageCreate": self.create,
            "ImageLoad": self.load,
            "ImageGet": self.save_one,
            "ImageGetAll": self.save,
            "ImageList": self.list,
            "ImageInspect": self.inspect,
            "ImageHistory": self.history,
            "ImageTag": self.tag,
            "ImageDelete": self.delete,
        }

    async def create(self, call: Call) -> Response:
        """POST /images/create: pull, or import with ``fromSrc=-``."""
        query = call.query
        if query.text("fromSrc"):
            if query.text("fromSrc") != "-":
                raise NotSupportedError("fromSrc: only an archive in the request's body (-) is supported")
            repository = query.text("repo")
            name = str(parse_name_and_tag(repository, query.text("tag"))) if repository else ""
            config = apply_changes({}, query.texts("changes"))
            image_id = await self.images.import_tar(aiter(call.request.body), name, query.text("message"), config)
            return json_response({"status": image_id})
        reference = parse_name_and_tag(query.text("fromImage"), query.text("tag")).with_default_tag()
        auth = registry_auth(call.request.headers.get("x-registry-auth"))
        messages = self.images.pull(str(reference), query.text("platform") or None, auth)
        return await progress_response(messages)

    async def load(self, call: Call) -> Response:
        """POST /images/load: docker-py reads why it failed from the stream, whenever that is known."""
        return stream_response(self.images.load(aiter(call.request.body)))

    async def save_one(self, call: Call) -> Response:
        """GET /images/{name}/get."""
        return Response(200, _TAR, self.images.save([call.parameters["name"]]))

    async def save(self, call: Call) -> Response:
        """GET /images/get."""
        names = list(call.query.texts("names"))
        if not names:
            raise InvalidParameterError("names: at least one image is required")
        return Response(200, _TAR, self.images.save(names))

    async def list(self, call: Call) -> Response:
        """GET /images/json."""
        filters = parse_filters(call.query.text("filters"), LIST_FILTERS)
        if call.profile.filters_images_by_name and call.query.text("filter"):
            filters = {**filters, "reference": (*filters.get("reference", ()), call.query.text("filter"))}
        uses = Counter(use.image_id for use in image_uses(self.containers.list()))
        unique = self.images.unique_bytes() if call.query.flag("shared-size") else {}
        rows = []
        for image in self.images.list():
            if _matches(image, filters):
                shared_bytes = image.size_bytes - unique[image.image_id] if unique else -1
                users = uses[image.image_id] if call.profile.lists_uses_of_images else -1
                row = summary_view(image, users, shared_bytes)
                rows.append(shown_to(call.profile, "ImageSummary", row))
        return json_response(sorted(rows, key=lambda row: -int(row["Created"])))

    async def inspect(self, call: Call) -> Response:
        """GET /images/{name}/json."""
        image = self.images.resolve(call.parameters["name"])
        return json_response(shown_to(call.profile, "ImageInspect", inspect_view(image)))

    async def history(self, call: Call) -> Response:
        """GET /images/{name}/history."""
        return json_response(self.images.history(call.parameters["name"]))

    async def tag(self, call: Call) -> Response:
        """POST /images/{name}/tag."""
        target = str(parse_name_and_tag(call.query.text("repo"), call.query.text("tag")).with_default_tag())
        await self.images.tag(call.parameters["name"], target)
        return no_content(201)

    async def delete(self, call: Call) -> Response:
        """DELETE /images/{name}."""
        name = call.parameters["name"]
        uses = image_uses(self.containers.list())
        return json_response(await self.images.remove(name, force=call.query.flag("force"), uses=uses))


def registry_auth(header: str | None) -> RegistryAuth | None:
    """``X-Registry-Auth``. Raises InvalidParameterError."""
    auth = parse_auth_header(header)
    return None if auth is None else credentials(auth)


def _matches(image: Image, filters: Filters) -> bool:
    dangling, references = filters.get("dangling", ()), filters.get("reference", ())
    names = (*image.tags, *(tag.rpartition(":")[0] for tag in image.tags))
    return (
        (not dangling or str(not image.tags).lower() in dangling)
        and (not references or any(name in references for name in names))
        and labels_match(filters.get("label", ()), image_labels(image.config.document))
    )
