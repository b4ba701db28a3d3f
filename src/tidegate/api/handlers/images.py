"""Images: pull, import, load, save, list, inspect, history, tag, remove."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.api.handlers.registries import credentials
from tidegate.api.handlers.responses import json_response, no_content, progress_response
from tidegate.api.pipeline import Call, Handler
from tidegate.base.errors import InvalidParameterError, NotSupportedError
from tidegate.engine.containers import ContainerService
from tidegate.engine.event_sources.image_events import image_labels
from tidegate.engine.image_records import Image, image_uses
from tidegate.engine.images import ImageService
from tidegate.engine.ports import RegistryAuth
from tidegate.http.messages import Response
from tidegate.spec.auth import parse_auth_header
from tidegate.spec.changes import apply_changes
from tidegate.spec.filters import labels_match, parse_filters
from tidegate.spec.references import parse_name_and_tag
from tidegate.spec.timestamps import parse_time

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
        """POST /images/load."""
        return await progress_response(self.images.load(aiter(call.request.body)))

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
        uses = [use.image_id for use in image_uses(self.containers.list())]
        rows = []
        for image in self.images.list():
            if filters.get("dangling") and (str(not image.tags).lower() not in filters["dangling"]):
                continue
            names = (*image.tags, *(tag.rpartition(":")[0] for tag in image.tags))
            if filters.get("reference") and not any(name in filters["reference"] for name in names):
                continue
            labels = image_labels(image.config.document)
            if labels_match(filters.get("label", ()), labels):
                rows.append(summary(image, labels, uses.count(image.image_id)))
        return json_response(sorted(rows, key=lambda row: -int(row["Created"])))

    async def inspect(self, call: Call) -> Response:
        """GET /images/{name}/json."""
        return json_response(inspect_view(self.images.resolve(call.parameters["name"])))

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


def summary(image: Image, labels: Mapping[str, str], containers: int) -> dict[str, Any]:
    """A row of GET /images/json."""
    return {
        "Id": image.image_id,
        "ParentId": "",
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.repo_digests),
        "Created": created_unix(image),
        "Size": image.size_bytes,
        "SharedSize": -1,
        "VirtualSize": image.size_bytes,
        "Labels": dict(labels),
        "Containers": containers,
    }


def created_unix(image: Image) -> int:
    """Seconds; an image without a date is as old as the epoch."""
    text = image.config.document.get("created")
    return parse_time(text, 0) // 1_000_000_000 if isinstance(text, str) and text else 0


def inspect_view(image: Image) -> dict[str, Any]:
    """GET /images/{name}/json."""
    document = image.config.document
    return {
        "Id": image.image_id,
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.repo_digests),
        "Parent": "",
        "Comment": "",
        "Created": document.get("created") or "",
        "DockerVersion": "",
        "Author": document.get("author") or "",
        "Config": document.get("config") or {},
        "Architecture": image.config.platform.architecture,
        "Os": image.config.platform.os,
        "Size": image.size_bytes,
        "GraphDriver": {"Name": "overlay2", "Data": {}},
        "RootFS": {"Type": "layers", "Layers": list(image.config.diff_ids)},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }
