"""What the engine knows of images: records, names, resolving what users type, history, removal, garbage.

An image is its manifest and configuration (blobs) and its layers (by chain id); records are ``image`` (id ->
manifest), ``tag`` (``host/path:tag`` -> id), ``image_digest`` (``host/path@digest`` -> id) and ``image_parent`` (id ->
id of the image that it was committed from). Invariants:

- a record is written after everything it names is stored, and removed before;
- what a running transfer has stored is pinned, so that a removal meanwhile does not take it;
- an image that proves bad leaves nothing; of an interrupted transfer the complete parts stay for the next attempt,
  until a removal or the next boot collects them.

Pull, load, save and import are in ``engine/images/service.py``.
"""

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError, UnavailableError
from tidegate.engine.event_sources.image_events import ImageEvents
from tidegate.engine.events import EventBus
from tidegate.engine.ports import Clock, ContentStore, LayerStore, Registry, StateStore
from tidegate.model.container import Container
from tidegate.model.phases import ALIVE
from tidegate.spec import oci_image
from tidegate.spec.oci_image import (
    ImageConfig,
    ImageReference,
    Manifest,
    Platform,
    parse_reference,
)

Message = Mapping[str, Any]
PARENT = "image_parent"
_WHOLE_ID = re.compile(r"[0-9a-f]{64}")


class Image(msgspec.Struct, frozen=True):
    """``tags`` and ``repo_digests`` are in familiar form (``alpine:latest``); ``chain_ids`` base first.

    ``parent`` is the id of the image that it was committed from, "" for one that came from elsewhere.
    """

    image_id: str
    manifest: Manifest
    manifest_digest: str
    config: ImageConfig
    chain_ids: tuple[str, ...]
    size_bytes: int
    tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    parent: str = ""


class ImageUse(msgspec.Struct, frozen=True):
    """A container that was made from an image, or mounts it; it needs the layers even when the image is gone."""

    image_id: str
    container_id: str
    is_running: bool
    chain_ids: tuple[str, ...] = ()


def image_uses(containers: Iterable[Container]) -> Sequence[ImageUse]:
    """Which images containers were made from, or mount."""
    return [
        ImageUse(image_id, each.id, each.state.phase in ALIVE, each.settings.layers)
        for each in containers
        for image_id in (each.image_id, *(image.image_id for image in each.settings.images))
    ]


class ImageRecords:
    """``load_records`` comes first, once. Methods are safe to run at the same time on one loop."""

    def __init__(
        self,
        content: ContentStore,
        layers: LayerStore,
        state: StateStore,
        registry: Registry,
        clock: Clock,
        bus: EventBus,
    ) -> None:
        self._content, self._layers, self._state, self._registry = content, layers, state, registry
        self._clock, self._events = clock, ImageEvents(bus)
        self.platform = Platform("linux", "amd64")
        self._images: dict[str, tuple[str, Manifest, ImageConfig]] = {}
        self._names: dict[str, dict[str, str]] = {"tag": {}, "image_digest": {}}
        self._parents: dict[str, str] = {}
        self._pins: Counter[str] = Counter()

    async def load_records(self) -> None:
        """Read the records at boot."""
        for image_id, record in (await self._state.load("image")).items():
            digest = json.loads(record)["manifest"]
            manifest = oci_image.parse_manifest(await self._content.read(digest))
            if isinstance(manifest, Manifest):
                self._images[image_id] = (digest, manifest, oci_image.parse_config(await self._content.read(image_id)))
        for kind, names in (*self._names.items(), (PARENT, self._parents)):
            names.update({key: value.decode() for key, value in (await self._state.load(kind)).items()})

    # ------------------------------------------------------------------------- reading

    def list(self) -> "Sequence[Image]":
        return [self.get(image_id) for image_id in self._images]

    def get(self, image_id: str) -> Image:
        if image_id not in self._images:
            raise NotFoundError(f"No such image: {image_id}")
        digest, manifest, config = self._images[image_id]
        chain = tuple(oci_image.chain_ids(config.diff_ids))
        tags, digests = (
            tuple(sorted(parse_reference(key).familiar for key, value in names.items() if value == image_id))
            for names in (self._names["tag"], self._names["image_digest"])
        )
        size = sum(self._layers.size_bytes(chain_id) for chain_id in chain)
        parent = self._parents.get(image_id, "")
        return Image(image_id, manifest, digest, config, chain, size, tags, digests, parent)

    def resolve(self, name_or_id: str) -> Image:
        """By reference first, then by id or a unique prefix of it.

        Raises NotFoundError "No such image: NAME", InvalidParameterError for what can be no name.
        """
        prefix = name_or_id.removeprefix("sha256:")
        if name_or_id in self._images:
            return self.get(name_or_id)
        reference = None if _WHOLE_ID.fullmatch(prefix) else parse_reference(name_or_id)
        if reference is not None and (image_id := self._find(reference)) is not None:
            return self.get(image_id)
        found = [key for key in self._images if prefix and key.startswith("sha256:" + prefix)]
        if len(found) > 1:
            raise InvalidParameterError(f"image ID prefix {name_or_id} is ambiguous")
        if not found:
            is_name = reference is not None and reference.tag and not name_or_id.startswith("sha256:")
            raise NotFoundError(f"No such image: {reference.familiar if reference and is_name else name_or_id}")
        return self.get(found[0])

    def _find(self, reference: ImageReference) -> str | None:
        return self._names["image_digest" if reference.digest else "tag"].get(reference.key)

    def history(self, name_or_id: str) -> "Sequence[Message]":
        """Newest first, as ``GET /images/NAME/history``."""
        image = self.resolve(name_or_id)
        chain, steps = iter(image.chain_ids), []
        for entry in image.config.document.get("history") or []:
            chain_id = None if entry.get("empty_layer") else next(chain, None)
            steps.append(
                {
                    "Id": "<missing>",
                    "Created": _unix_time(entry.get("created")),
                    "CreatedBy": entry.get("created_by", ""),
                    "Tags": None,
                    "Size": self._layers.size_bytes(chain_id) if chain_id else 0,
                    "Comment": entry.get("comment", ""),
                }
            )
        if steps:
            steps[-1] |= {"Id": image.image_id, "Tags": list(image.tags) or None}
        return steps[::-1]

    # ------------------------------------------------------------------------- names and removal

    async def tag(self, name_or_id: str, target: str) -> None:
        image, reference = self.resolve(name_or_id), parse_reference(target)
        if reference.digest:
            raise InvalidParameterError("refusing to create a tag with a digest reference")
        await self._name("tag", reference.key, image.image_id)
        self._events.tell("tag", image.image_id, image.config.document, reference.familiar)

    async def _name(self, kind: str, key: str, image_id: str) -> None:
        await self._state.put(kind, key, image_id.encode())
        self._names[kind][key] = image_id

    async def remove(
        self, name_or_id: str, *, force: bool = False, uses: Sequence[ImageUse] = ()
    ) -> "Sequence[Message]":
        """Untag, and delete with the last name. ConflictError in Docker's wording while containers use it."""
        image = self.resolve(name_or_id)
        users = [use for use in uses if use.image_id == image.image_id]
        by_id = image.image_id.removeprefix("sha256:").startswith(name_or_id.removeprefix("sha256:"))
        by_name = not by_id or name_or_id in (tag.partition(":")[0] for tag in image.tags)
        keys = self._keys_of(image.image_id)
        if by_name:
            reference = parse_reference(name_or_id)
            kind = "image_digest" if reference.digest else "tag"
            if len([key for other, key in keys if other == "tag"]) > 1 and kind == "tag":
                return await self._untag(image, [(kind, reference.key)])
        _check_removable(image, name_or_id if by_name else "", users, force)
        untagged = await self._untag(image, [*keys, ("image", image.image_id)])
        self._events.tell("delete", image.image_id, image.config.document)
        deleted = await self.collect_garbage([chain_id for use in uses for chain_id in use.chain_ids])
        return [*untagged, {"Deleted": image.image_id}, *({"Deleted": chain_id} for chain_id in deleted)]

    def _keys_of(self, image_id: str) -> "Sequence[tuple[str, str]]":
        return [(kind, key) for kind, names in self._names.items() for key, value in names.items() if value == image_id]

    async def _untag(self, image: Image, records: Sequence[tuple[str, str]]) -> "Sequence[Message]":
        """Remove names, and the image itself if its record is among ``records``, at once."""
        parents = [(PARENT, key) for kind, key in records if kind == "image" and key in self._parents]
        await self._state.apply([(kind, key, None) for kind, key in (*records, *parents)])
        untagged = []
        for kind, key in records:
            if kind == "image":
                self._images.pop(key, None)
                self._parents.pop(key, None)
                continue
            self._names[kind].pop(key, None)
            untagged.append({"Untagged": parse_reference(key).familiar})
            if kind == "tag":
                self._events.tell("untag", image.image_id, image.config.document)
        return untagged

    def unique_bytes(self) -> Mapping[str, int]:
        """By image id, what would be free without it: the layers that it shares with no other."""
        found = self.list()
        owners = Counter(chain_id for image in found for chain_id in set(image.chain_ids))
        return {
            image.image_id: sum(self._layers.size_bytes(each) for each in image.chain_ids if owners[each] == 1)
            for image in found
        }

    async def collect_garbage(self, keep_chain_ids: Sequence[str] = ()) -> "Sequence[str]":
        """Remove blobs and layers no image names and no transfer pins; returns the chain ids removed.

        ``keep_chain_ids`` are those of containers, whose image may have been removed by force. Also run at boot.
        """
        used = {digest for image_id in self._images for digest in self._parts(image_id)}
        for digest in await self._content.digests():
            if digest not in used and not self.is_used(digest):
                await self._content.remove(digest)
        removed = []
        for chain_id in await self._layers.chain_ids():
            if chain_id not in used and chain_id not in keep_chain_ids and not self.is_used(chain_id):
                await self._layers.remove(chain_id)
                removed.append(chain_id)
        return removed

    @contextlib.asynccontextmanager
    async def _pinned(self, blobs: Sequence[str] = (), layers: Sequence[str] = ()) -> AsyncIterator[None]:
        """Keep what a transfer brings from removal; what an image that proves bad has brought is removed."""
        pins = Counter([*blobs, *layers])
        brought = [chain_id for chain_id in layers if not self._layers.exists(chain_id)]
        self._pins += pins
        try:
            yield
        except BaseException as error:
            self._pins -= pins
            if not _is_interruption(error):
                await self._discard(blobs, brought)
            raise
        self._pins -= pins

    async def _discard(self, blobs: Sequence[str], chain_ids: Sequence[str]) -> None:
        for chain_id in reversed(chain_ids):
            if not self.is_used(chain_id):
                await self._layers.remove(chain_id)
        for digest in blobs:
            if not self.is_used(digest):
                await self._content.remove(digest)

    def _parts(self, image_id: str) -> "Sequence[str]":
        """Digests of an image's blobs, and the chain ids of its layers."""
        manifest_digest, manifest, config = self._images[image_id]
        blobs = (image_id, manifest_digest, *(layer.digest for layer in manifest.layers))
        return (*blobs, *oci_image.chain_ids(config.diff_ids))

    def is_used(self, digest: str) -> bool:
        """Whether an image or a running transfer needs the blob or layer."""
        return self._pins[digest] > 0 or any(digest in self._parts(image_id) for image_id in self._images)

    async def _record(self, manifest: Manifest, config: ImageConfig) -> None:
        digest = (await self._content.write(manifest.raw)).digest
        image_id = (await self._content.write(config.raw)).digest
        await self._state.put("image", image_id, json.dumps({"manifest": digest}).encode())
        self._images[image_id] = (digest, manifest, config)


def _is_interruption(error: BaseException) -> bool:
    """Whether the transfer was cut short, by its client or the network, and the image itself may be good."""
    return isinstance(error, asyncio.CancelledError | GeneratorExit | UnavailableError)


def _unix_time(text: object) -> int:
    try:
        return int(datetime.fromisoformat(str(text)[:19]).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


def _check_removable(image: Image, name: str, users: Sequence[ImageUse], force: bool) -> None:
    short = image.image_id[7:19]
    repositories = {tag.rpartition(":")[0] for tag in image.tags}
    running = next((use for use in users if use.is_running), None)
    if running is not None:
        raise ConflictError(
            f"conflict: unable to delete {name or short} (cannot be forced) - "
            f"image is being used by running container {running.container_id[:12]}"
        )
    if force:
        return
    if users and name:
        raise ConflictError(
            f'conflict: unable to remove repository reference "{name}" (must force) - '
            f"container {users[0].container_id[:12]} is using its referenced image {short}"
        )
    if users:
        raise ConflictError(
            f"conflict: unable to delete {short} (must be forced) - "
            f"image is being used by stopped container {users[0].container_id[:12]}"
        )
    if not name and len(repositories) > 1:
        raise ConflictError(
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
