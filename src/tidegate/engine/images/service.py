"""The image service: pull, load, save, import; records and names are inherited from ``engine/images/records.py``.

Invariants:

- layers come in parallel and are unpacked in parallel; the record is written when all are there;
- progress is Docker's JSON messages as dicts; errors are raised, before the first message or after it;
- what a running transfer has stored is pinned, so that a removal meanwhile does not take it.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.images import archives
from tidegate.engine.images.changes import ImageChange
from tidegate.engine.images.records import PARENT, Image, ImageRecords, ImageUse, Message
from tidegate.engine.ports import Descriptor, RegistryAuth
from tidegate.spec import oci_image
from tidegate.spec.oci_image import (
    BlobReference,
    ImageConfig,
    ImageReference,
    Manifest,
    digest_of,
    parse_reference,
)

__all__ = ["Image", "ImageService", "ImageUse", "Message"]

Emit = Callable[[Message], None]


class ImageService(ImageRecords):
    """``load_records`` comes first, once. Methods are safe to run at the same time on one loop.

    ``parallel_downloads`` is how many layers a pull that begins now fetches at once.
    """

    parallel_downloads = 3

    async def pull(
        self, name: str, platform: str | None = None, auth: RegistryAuth | None = None
    ) -> AsyncGenerator[Message, None]:
        """Messages of a pull. NotFoundError, UnauthorizedError, UnavailableError as the registry answers."""
        reference = parse_reference(name)
        wanted = oci_image.parse_platform(platform) if platform else self.platform
        repository, spelled = reference.repository, reference.digest or reference.tag
        top, raw = await self._registry.manifest(repository, spelled, auth)
        descriptor, document = top, oci_image.parse_manifest(raw, top.media_type)
        yield {"status": f"Pulling from {repository.partition('/')[2]}", "id": spelled}
        if isinstance(document, oci_image.Index):
            entry = oci_image.choose_platform(document, wanted)
            descriptor, raw = await self._registry.manifest(repository, entry.digest, auth)
            document = oci_image.parse_manifest(raw, entry.media_type)
        if not isinstance(document, Manifest):
            raise InvalidParameterError(f"{name}: an index within an index")
        fetched = document
        image_id = fetched.config.digest
        before = self._find(reference)
        transfer = self._transfer(lambda emit: self._fetch(repository, fetched, auth, emit))
        async with contextlib.aclosing(transfer):
            async for message in transfer:
                yield message
        await self._name("image_digest", f"{repository}@{top.digest}", image_id)
        if reference.tag:
            await self._name("tag", reference.key, image_id)
        config = self._images[image_id][2].document
        self._events.tell_of_reference("pull", reference.familiar, reference.familiar_name, config)
        yield {"status": f"Digest: {top.digest}"}
        news = "Image is up to date for" if before == image_id else "Downloaded newer image for"
        yield {"status": f"Status: {news} {reference.familiar}"}

    async def _transfer(self, work: "Callable[[Emit], Any]") -> AsyncGenerator[Message, None]:
        """Run ``work`` as a task that ends with this iterator, and yield what it emits."""
        queue: asyncio.Queue[Message | None] = asyncio.Queue()
        task = asyncio.create_task(work(queue.put_nowait), name="image-transfer")
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (message := await queue.get()) is not None:
                yield message
            await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _fetch(self, repository: str, manifest: Manifest, auth: RegistryAuth | None, emit: Emit) -> None:
        blobs = [manifest.config.digest, digest_of(manifest.raw), *(layer.digest for layer in manifest.layers)]
        async with self._pinned(blobs):
            config_blob = await self._blob(repository, manifest.config, auth, None)
            if manifest.config.size > oci_image.MAX_DOCUMENT_BYTES:
                raise InvalidParameterError("image config is too large")
            await self._content.ingest(config_blob, manifest.config.digest, manifest.config.size)
            config = oci_image.parse_config(await self._content.read(manifest.config.digest))
            slots = asyncio.Semaphore(self.parallel_downloads)

            async def download(layer: BlobReference) -> None:
                if not self._content.exists(layer.digest):
                    async with slots:
                        blob = await self._blob(repository, layer, auth, emit)
                        await self._content.ingest(blob, layer.digest, layer.size)
                emit({"status": "Download complete", "progressDetail": {}, "id": _short(layer.digest)})

            await self._store(manifest, config, emit, download)

    async def _blob(
        self, repository: str, blob: BlobReference, auth: RegistryAuth | None, emit: Emit | None
    ) -> AsyncIterator[bytes]:
        source = self._registry.blob(repository, Descriptor(blob.media_type, blob.digest, blob.size), auth)

        async def counted() -> AsyncIterator[bytes]:
            current, told = 0, 0
            async for chunk in source:
                current += len(chunk)
                if emit is not None and (current - told > max(blob.size // 50, 1 << 18) or current == blob.size):
                    told = current
                    emit(_progress("Downloading", blob, current))
                yield chunk

        return counted()

    async def _store(
        self, manifest: Manifest, config: ImageConfig, emit: Emit, download: "Callable[[BlobReference], Any]"
    ) -> None:
        """Bring in and unpack every layer, in parallel, then write the record."""
        if len(manifest.layers) != len(config.diff_ids):
            raise InvalidParameterError(
                f"invalid image: {len(manifest.layers)} layers, the config names {len(config.diff_ids)}"
            )
        chain = oci_image.chain_ids(config.diff_ids)

        async def bring(number: int, layer: BlobReference) -> None:
            await download(layer)
            if not self._layers.exists(chain[number]):
                emit(_progress("Extracting", layer, layer.size))
                path, parent = self._content.path(layer.digest), chain[number - 1] if number else None
                await self._layers.unpack(chain[number], parent, path, layer.media_type, config.diff_ids[number])
            emit({"status": "Pull complete", "progressDetail": {}, "id": _short(layer.digest)})

        async with self._pinned(layers=chain):
            for layer in manifest.layers:
                emit({"status": "Pulling fs layer", "progressDetail": {}, "id": _short(layer.digest)})
            try:
                async with asyncio.TaskGroup() as tasks:
                    for number, layer in enumerate(manifest.layers):
                        tasks.create_task(bring(number, layer), name=f"layer-{_short(layer.digest)}")
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from group
            await self._record(manifest, config)

    # ------------------------------------------------------------------------- load, save, import

    async def load(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[Message, None]:
        """Read an archive; one ``stream`` message per image."""
        async with self._spooled(chunks) as spool:
            archive = await asyncio.to_thread(archives.Archive, self._content.path(spool.digest))
            try:
                for found in await asyncio.to_thread(archives.list_images, archive, self.platform):
                    image_id, tags = await self._load_one(archive, found)
                    for tag in tags:
                        yield {"stream": f"Loaded image: {tag}\n"}
                    if not tags:
                        yield {"stream": f"Loaded image ID: {image_id}\n"}
            finally:
                archive.close()

    async def _load_one(self, archive: archives.Archive, found: archives.ArchivedImage) -> "tuple[str, list[str]]":
        config, references = oci_image.parse_config(found.config_raw), [parse_reference(tag) for tag in found.tags]
        layers: list[BlobReference] = []
        async with contextlib.AsyncExitStack() as pinned:
            for name in found.layer_names:
                stored = await self._content.ingest(_in_threads(archive.chunks(name)), None, None)
                await pinned.enter_async_context(self._pinned([stored.digest]))
                start = await asyncio.to_thread(archives.first_bytes, self._content.path(stored.digest))
                layers.append(BlobReference(archives.layer_media_type(start), stored.digest, stored.size))
            manifest = _manifest_of(found, layers)
            await self._store(manifest, config, lambda _: None, _already_here)
        image_id = digest_of(found.config_raw)
        for reference in references:
            await self._name("tag", reference.key, image_id)
        self._events.tell("load", image_id, config.document)
        return image_id, [reference.familiar for reference in references]

    @contextlib.asynccontextmanager
    async def _spooled(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Descriptor]:
        """An upload as a plain (decompressed) blob, pinned meanwhile, removed afterwards unless an image uses it."""
        pins: Counter[str] = Counter()
        try:
            stored = await self._content.ingest(chunks, None, None)
            pins[stored.digest] += 1
            self._pins[stored.digest] += 1
            unpacked = archives.stream_chunks(self._content.path(stored.digest))
            plain = await self._content.ingest(_in_threads(unpacked), None, None)
            pins[plain.digest] += 1
            self._pins[plain.digest] += 1
            yield plain
        finally:
            self._pins -= pins
            for digest in pins:
                if not self.is_used(digest):
                    await self._content.remove(digest)

    def save(self, names: Sequence[str]) -> AsyncIterator[bytes]:
        """One tar, docker-archive and OCI layout at once; NotFoundError before the first byte."""
        images = [(self.resolve(name), name) for name in names]
        plan = [(image.manifest, _tags_to_save(image, name)) for image, name in images]
        small, digests = archives.plan_archive(plan)
        for image, _ in images:
            self._events.tell("save", image.image_id, image.config.document)
        return self._archive_bytes(small, digests)

    async def _archive_bytes(self, small: Mapping[str, bytes], digests: Sequence[str]) -> AsyncIterator[bytes]:
        for name, data in small.items():
            yield archives.member_header(name, len(data)) + data + archives.padding(len(data))
        for digest in digests:
            path = self._content.path(digest)
            size = path.stat().st_size
            yield archives.member_header(archives.blob_name(digest), size)
            async for chunk in _in_threads(archives.file_chunks(path)):
                yield chunk
            yield archives.padding(size)
        yield archives.END_OF_ARCHIVE

    async def import_tar(
        self, chunks: AsyncIterator[bytes], name: str = "", message: str = "", config: Message | None = None
    ) -> str:
        """An image of one layer from a tar in any compression; returns its id. ``config`` is the OCI config object."""
        reference = parse_reference(name) if name else None
        async with self._spooled(chunks) as layer:
            return await self._import_layer(layer, reference, message, config)

    async def _import_layer(
        self, layer: Descriptor, reference: ImageReference | None, message: str, config: Message | None
    ) -> str:
        created = datetime.fromtimestamp(self._clock() // 10**9, UTC).isoformat().replace("+00:00", "Z")
        document = {
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "created": created,
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
            "history": [{"created": created, "comment": message or "Imported from -"}],
        }
        raw = json.dumps(document).encode()
        found = archives.ArchivedImage(raw, (), (), None)
        manifest = _manifest_of(found, [BlobReference(oci_image.OCI_LAYER, layer.digest, layer.size)])
        await self._store(manifest, oci_image.parse_config(raw), lambda _: None, _already_here)
        await self._appeared(raw, reference, "import")
        return digest_of(raw)

    async def _appeared(self, raw: bytes, reference: ImageReference | None, action: str) -> None:
        """Name and tell of an image that was made here; ``raw`` is its configuration."""
        image_id, config = digest_of(raw), oci_image.parse_config(raw).document
        if reference is not None:
            await self._name("tag", reference.key, image_id)
        self._events.tell(action, image_id, config)
        if reference is not None:
            self._events.tell("tag", image_id, config, reference.familiar)

    async def commit(self, base: Image, diff: AsyncIterator[bytes], change: ImageChange) -> str:
        """``base`` with one more layer, an uncompressed tar, and another configuration; returns the new image's id.

        A layer without entries is left out. Raises what the stores raise; nothing is left then.
        """
        reference = parse_reference(change.name) if change.name else None
        layer = await self._content.ingest(diff, None, None)
        async with self._pinned([layer.digest]):
            is_empty = layer.digest == oci_image.EMPTY_LAYER
            layers = [*base.manifest.layers]
            layers += [] if is_empty else [BlobReference(oci_image.OCI_LAYER, layer.digest, layer.size)]
            raw = json.dumps(change.document(base, None if is_empty else layer.digest, self._clock())).encode()
            manifest = _manifest_of(archives.ArchivedImage(raw, (), (), None), layers)
            await self._store(manifest, oci_image.parse_config(raw), lambda _: None, _already_here)
            await self._state.put(PARENT, digest_of(raw), base.image_id.encode())
            self._parents[digest_of(raw)] = base.image_id
            await self._appeared(raw, reference, "create")
        return digest_of(raw)


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A blocking iterator's chunks, each fetched in a thread."""
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


async def _already_here(_: BlobReference) -> None:
    """The download of a layer that came with the archive."""


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _progress(status: str, blob: BlobReference, current: int) -> Message:
    return {"status": status, "progressDetail": {"current": current, "total": blob.size}, "id": _short(blob.digest)}


def _manifest_of(found: archives.ArchivedImage, layers: Sequence[BlobReference]) -> Manifest:
    """The archive's own manifest when it speaks of these layers, else one made for them."""
    if found.manifest_raw is not None:
        own = oci_image.parse_manifest(found.manifest_raw)
        if isinstance(own, Manifest) and [layer.digest for layer in own.layers] == [layer.digest for layer in layers]:
            return own
    config = {"mediaType": oci_image.OCI_CONFIG, "digest": digest_of(found.config_raw), "size": len(found.config_raw)}
    entries = [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers]
    document = {"schemaVersion": 2, "mediaType": oci_image.OCI_MANIFEST, "config": config, "layers": entries}
    made = oci_image.parse_manifest(json.dumps(document).encode())
    if not isinstance(made, Manifest):
        raise InvalidParameterError("not an image manifest")
    return made


def _tags_to_save(image: Image, name: str) -> Sequence[str]:
    """An image asked for by id goes without names, as in Docker."""
    if image.image_id.removeprefix("sha256:").startswith(name.removeprefix("sha256:")):
        return ()
    reference = parse_reference(name)
    return (reference.familiar,) if reference.tag else ()
