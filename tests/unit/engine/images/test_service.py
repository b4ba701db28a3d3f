"""The image service on an in-memory registry and layer store, with the real content store."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.registry import FakeLayerStore, FakeRegistry, layer_tar
from tests.fakes.state import FakeStateStore

from tidegate.base.errors import ConflictError, InvalidParameterError, NotFoundError, UnavailableError
from tidegate.drivers.content import ContentDirectory
from tidegate.engine.events import EventBus, EventFilter
from tidegate.engine.images.service import ImageService, ImageUse
from tidegate.engine.ports import Descriptor, RegistryAuth
from tidegate.spec.oci_image import OCI_INDEX, parse_reference

REPOSITORY = "docker.io/library/demo"


class World:
    def __init__(self, root: Path) -> None:
        self.registry, self.layers, self.state = FakeRegistry(), FakeLayerStore(), FakeStateStore()
        self.content, self.bus = ContentDirectory(root), EventBus(lambda: 1)
        self.images = self.service()

    def service(self) -> ImageService:
        return ImageService(
            self.content, self.layers, self.state, self.registry, lambda: 1_700_000_000 * 10**9, self.bus
        )


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


def test_references() -> None:
    assert parse_reference("demo").key == REPOSITORY + ":latest"
    assert parse_reference("localhost:5000/a/b:1").key == "localhost:5000/a/b:1"
    assert parse_reference("user/demo").familiar == "user/demo:latest"
    for wrong in ("", "UPPER", "a:b:c", "a@sha256:1", "a//b", "-a"):
        with pytest.raises(InvalidParameterError, match="invalid reference format"):
            parse_reference(wrong)


def test_pull_resolve_history_and_restart(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        image_id = world.registry.put_image(REPOSITORY, "latest", ["a", "b"])
        messages = [message async for message in world.images.pull("demo")]
        assert messages[0] == {"status": "Pulling from library/demo", "id": "latest"}
        assert messages[-1] == {"status": "Status: Downloaded newer image for demo:latest"}
        assert [message["status"] for message in messages].count("Pull complete") == 2
        again = [message async for message in world.images.pull("demo")]
        assert again[-1] == {"status": "Status: Image is up to date for demo:latest"}
        restarted = world.service()
        await restarted.load_records()
        image = restarted.resolve("demo")
        assert image == restarted.resolve(image_id) == restarted.resolve(image_id[7:19])
        assert (image.tags, len(image.repo_digests), len(image.chain_ids)) == (("demo:latest",), 1, 2)
        assert [step["CreatedBy"] for step in restarted.history("demo")] == ["COPY b", "COPY a"]
        with pytest.raises(NotFoundError, match="No such image: other:latest"):
            restarted.resolve("other")

    asyncio.run(run())


def test_pull_chooses_the_platform(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        world.registry.put_image(REPOSITORY, "amd", ["a"])
        raw = world.registry.manifests[REPOSITORY, "amd"][1]
        descriptor, _ = await world.registry.manifest(REPOSITORY, "amd", None)
        platform = {"os": "linux", "architecture": "amd64"}
        entry = {"mediaType": "x", "digest": descriptor.digest, "size": len(raw), "platform": platform}
        index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        world.registry.put_manifest(REPOSITORY, "latest", OCI_INDEX, index)
        assert [message async for message in world.images.pull("demo")]
        with pytest.raises(NotFoundError, match="no matching manifest for linux/s390x"):
            [message async for message in world.images.pull("demo", "linux/s390x")]

    asyncio.run(run())


def test_an_image_that_proves_bad_leaves_nothing_but_what_others_need(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        world.registry.put_image(REPOSITORY, "good", ["a"])
        [message async for message in world.images.pull("demo:good")]
        blobs, layers = await world.content.digests(), await world.layers.chain_ids()
        known = set(world.registry.blobs)
        world.registry.put_image(REPOSITORY, "latest", ["a", "b", "c"])
        damaged = [digest for digest in world.registry.blobs if digest not in known][1]
        world.registry.blobs[damaged] = world.registry.blobs[damaged][:-1] + b"?"
        with pytest.raises(InvalidParameterError):
            [message async for message in world.images.pull("demo")]
        assert [image.tags for image in world.images.list()] == [("demo:good",)]
        assert (await world.content.digests(), await world.layers.chain_ids()) == (blobs, layers)

    asyncio.run(run())


def test_of_an_interrupted_pull_the_complete_parts_stay_for_the_next(tmp_path: Path) -> None:
    class Unreliable(FakeRegistry):
        def blob(self, repository: str, descriptor: Descriptor, auth: RegistryAuth | None) -> AsyncIterator[bytes]:
            asked.append(descriptor.digest)
            if descriptor.digest == broken:
                return broken_off()
            return super().blob(repository, descriptor, auth)

    async def broken_off() -> AsyncIterator[bytes]:
        while len(await world.layers.chain_ids()) < 1:
            await asyncio.sleep(0)
        raise UnavailableError("unexpected EOF")
        yield b""

    async def run() -> None:
        nonlocal broken
        registry.put_image(REPOSITORY, "latest", ["a", "b"])
        first, broken = list(registry.blobs)[:2]
        with pytest.raises(UnavailableError):
            [message async for message in world.images.pull("demo")]
        assert world.images.list() == []
        broken = ""
        [message async for message in world.images.pull("demo")]
        assert asked.count(first) == 1

    asked: list[str] = []
    broken = ""
    world, registry = World(tmp_path), Unreliable()
    world.registry = registry
    world.images = world.service()
    asyncio.run(run())


def test_a_bad_archive_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        one, other = World(tmp_path / "1"), World(tmp_path / "2")
        one.registry.put_image(REPOSITORY, "latest", ["first", "second"])
        [message async for message in one.images.pull("demo")]
        archive = b"".join([chunk async for chunk in one.images.save(["demo"])])
        layer = gzip.compress(layer_tar("second"), mtime=0)
        assert archive.count(layer) == 1
        damaged = archive.replace(
            layer, gzip.compress(layer_tar("secunda"), mtime=0).ljust(len(layer), b"\0")[: len(layer)]
        )
        with pytest.raises(InvalidParameterError):
            [message async for message in other.images.load(chunks(damaged))]
        assert (other.images.list(), await other.content.digests(), other.layers.sizes) == ([], [], {})

    asyncio.run(run())


def test_save_and_load(tmp_path: Path) -> None:
    async def run() -> None:
        one, other = World(tmp_path / "1"), World(tmp_path / "2")
        image_id = one.registry.put_image(REPOSITORY, "latest", ["a", "b"])
        [message async for message in one.images.pull("demo")]
        tar = b"".join([chunk async for chunk in one.images.save(["demo"])])
        loaded = [message async for message in other.images.load(chunks(gzip.compress(tar)))]
        assert loaded == [{"stream": "Loaded image: demo:latest\n"}]
        assert other.images.resolve("demo").manifest == one.images.resolve("demo").manifest
        assert len(await other.content.digests()) == 4 and other.images.list()[0].image_id == image_id
        for wrong in (b"", b"no tar" * 200, layer_tar("x"), gzip.compress(tar)[:-50]):
            with pytest.raises(InvalidParameterError):
                [message async for message in other.images.load(chunks(wrong))]
        assert len(await other.content.digests()) == 4

    asyncio.run(run())


def test_import(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        plain = await world.images.import_tar(chunks(layer_tar("f")), "mine:1", config={"Cmd": ["sh"]})
        packed = await world.images.import_tar(chunks(gzip.compress(layer_tar("f"))), "mine:1", config={"Cmd": ["sh"]})
        assert plain == packed == world.images.resolve("mine:1").image_id
        assert world.images.resolve(plain).config.document["config"] == {"Cmd": ["sh"]}
        assert len(await world.content.digests()) == 3

    asyncio.run(run())


def test_tag_and_remove(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        image_id = world.registry.put_image(REPOSITORY, "latest", ["a"])
        [message async for message in world.images.pull("demo")]
        await world.images.tag("demo", "other:2")
        with pytest.raises(ConflictError, match="must be forced.*multiple repositories"):
            await world.images.remove(image_id)
        assert await world.images.remove("other:2") == [{"Untagged": "other:2"}]
        for running, text in ((True, "cannot be forced"), (False, "must force")):
            with pytest.raises(ConflictError, match=text):
                await world.images.remove("demo", uses=[ImageUse(image_id, "c" * 64, running)])
        removed = await world.images.remove("demo")
        assert removed[0] == {"Untagged": "demo:latest"} and {"Deleted": image_id} in removed
        assert (world.images.list(), world.layers.sizes, list(await world.content.digests())) == ([], {}, [])

    asyncio.run(run())


def test_layers_of_a_container_outlive_its_image_and_the_removal_of_others(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        for tag, layer in (("one", "a"), ("two", "b")):
            world.registry.put_image(REPOSITORY, tag, [layer])
            [message async for message in world.images.pull(f"demo:{tag}")]
        one = world.images.resolve("demo:one")
        use = ImageUse(one.image_id, "c" * 64, False, one.chain_ids)
        await world.images.remove("demo:one", force=True, uses=[use])
        await world.images.remove("demo:two", uses=[use])
        assert list(world.layers.sizes) == list(one.chain_ids)

    asyncio.run(run())


def test_what_is_done_with_images_is_told_with_their_labels(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        pulled = world.registry.put_image(REPOSITORY, "latest", ["a"])
        [_ async for _ in world.images.pull("demo")]
        labelled = await world.images.import_tar(chunks(layer_tar("b")), "made:1", config={"Labels": {"a": "b"}})
        await world.images.tag("demo", "localhost:5000/other")
        saved = b"".join([chunk async for chunk in world.images.save(["demo"])])
        await world.images.remove("localhost:5000/other")
        await world.images.remove("demo")
        [_ async for _ in world.images.load(chunks(saved))]
        told = world.bus.past(EventFilter({"type": ["image"]}), None, None)
        assert [(each.action, each.actor_id, dict(each.attributes)) for each in told] == [
            ("pull", "demo:latest", {"name": "demo"}),
            ("import", labelled, {"a": "b", "name": labelled}),
            ("tag", labelled, {"a": "b", "name": "made:1"}),
            ("tag", pulled, {"name": "localhost:5000/other:latest"}),
            ("save", pulled, {"name": pulled}),
            ("untag", pulled, {"name": pulled}),
            ("untag", pulled, {"name": pulled}),
            ("delete", pulled, {"name": pulled}),
            ("load", pulled, {"name": pulled}),
        ]

    asyncio.run(run())
