"""Volumes with their records, and prune, on fakes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.fakes.registry import FakeLayerStore, FakeRegistry
from tests.unit.engine.life import Life

from tidegate.base.errors import (
    ConflictError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
    NotSupportedError,
    TidegateError,
)
from tidegate.drivers.content import ContentDirectory
from tidegate.engine.containers.service import ContainerService, NewContainer
from tidegate.engine.images.service import ImageService
from tidegate.engine.mounts.volume_options import DeviceMount
from tidegate.engine.prune import PruneService
from tidegate.engine.volumes import LocalVolumes
from tidegate.model.container import Settings, VolumeUse
from tidegate.spec.volume import ANONYMOUS_LABEL, VolumeCreateRequest


@dataclass
class World:
    """Containers that use recorded volumes, as in the engine."""

    life: Life
    containers: ContainerService
    volumes: LocalVolumes
    images: ImageService
    registry: FakeRegistry
    prunes: PruneService

    async def container(self, name: str, *uses: VolumeUse, image_id: str = "sha256:1") -> str:
        new = NewContainer(name, "demo", image_id, {"for": name}, settings=Settings(volumes=uses))
        return (await self.containers.create(new)).id

    def restarted_volumes(self) -> LocalVolumes:
        return LocalVolumes(self.life.volumes, self.life.store, self.life.bus, lambda: 5, self.containers.list)


def play(tmp_path: Path, body: Callable[[World], Awaitable[None]]) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        clock = life.ports.clock
        volumes = LocalVolumes(life.volumes, life.store, life.bus, clock, lambda: containers.list())
        containers = ContainerService(replace(life.ports, volumes=volumes), life.bus, life.timers)
        layers, registry = FakeLayerStore(), FakeRegistry()
        images = ImageService(ContentDirectory(tmp_path), layers, life.store, registry, clock, life.bus)
        prunes = PruneService(containers, images, volumes, life.rootfs, layers, life.bus, clock)
        try:
            await asyncio.wait_for(body(World(life, containers, volumes, images, registry, prunes)), 30)
        finally:
            await containers.close()
            await life.close()

    asyncio.run(scene())


def test_a_volume_keeps_its_record_across_a_restart(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        made = await world.volumes.make(VolumeCreateRequest(name="data", labels={"a": "b"}))
        assert await world.volumes.make(VolumeCreateRequest(name="data", labels={"c": "d"})) == made
        anonymous = await world.volumes.make(VolumeCreateRequest())
        assert len(anonymous.name) == 64 and anonymous.is_anonymous
        await world.life.volumes.create("unrecorded")
        again = world.restarted_volumes()
        await again.load()
        assert again.resolve("data") == made and again.resolve("unrecorded").created_at_ns == 5
        assert world.life.events() == ["volume create", "volume create"]

    play(tmp_path, body)


def test_a_volume_whose_directory_was_not_made_is_completed_at_boot(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.volumes.make(VolumeCreateRequest(name="data"))
        world.life.volumes.volumes.clear()
        await world.restarted_volumes().load()
        assert list(world.life.volumes.volumes) == ["data"]

    play(tmp_path, body)


def test_a_volume_in_use_stays_and_an_anonymous_one_goes_with_its_container(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        nameless = VolumeUse("0" * 64, "/cache", anonymous=True)
        identity = await world.container("web", VolumeUse("data", "/data"), nameless)
        assert world.volumes.resolve(nameless.name).labels == {ANONYMOUS_LABEL: ""}
        with pytest.raises(ConflictError, match=f"remove data: volume is in use - .{identity}"):
            await world.volumes.delete("data", force=True)
        await world.container("other", VolumeUse(nameless.name, "/cache"))
        await world.containers.remove("web", volumes=True)
        assert world.volumes.used_names() == {nameless.name: 1}
        await world.volumes.delete("data")
        with pytest.raises(NotFoundError, match="get data: no such volume"):
            await world.volumes.delete("data")
        await world.volumes.delete("data", force=True)
        assert list(world.life.volumes.volumes) == [nameless.name]

    play(tmp_path, body)


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        (VolumeCreateRequest(name="a", driver="nfs"), NotFoundError, 'plugin "nfs" not found'),
        (VolumeCreateRequest(name="a", driver_opts={"device": "/x"}), InvalidParameterError, 'required option: "type"'),
        (VolumeCreateRequest(name="a", driver_opts={"size": "1m"}), InvalidParameterError, "no quota support"),
        (VolumeCreateRequest(name="a", driver_opts={"colour": "red"}), InvalidParameterError, 'option: "colour"'),
        (VolumeCreateRequest(name="a", cluster_volume_spec={}), NotSupportedError, "ClusterVolumeSpec"),
    ],
)
def test_what_is_not_done_is_refused_by_name(
    tmp_path: Path, request_: VolumeCreateRequest, kind: type[TidegateError], words: str
) -> None:
    async def body(world: World) -> None:
        with pytest.raises(kind, match=words):
            await world.volumes.make(request_)
        assert not world.life.store.records

    play(tmp_path, body)


def test_a_volume_with_a_device_is_mounted_from_its_first_use_to_its_last(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,ro"}
        await world.volumes.make(VolumeCreateRequest(name="data", driver_opts=options))
        one = await world.container("one", VolumeUse("data", "/data"))
        two = await world.container("two", VolumeUse("data", "/data"), VolumeUse("plain", "/plain"))
        mounted = world.life.volumes.mounted
        assert mounted == {}, "the copy of a create holds nothing"
        await world.containers.start(one)
        assert mounted == {"data": DeviceMount("tmpfs", "tmpfs", 1, "size=1m")}
        await world.containers.start(two)
        await world.volumes.end_use(one)
        async with world.volumes.hold(world.containers.resolve(one)):
            await world.volumes.end_use(two)
            assert list(mounted) == ["data"]
        assert mounted == {}
        assert await world.volumes.usage_bytes("data") == 0 and await world.volumes.usage_bytes("plain") == 7

    play(tmp_path, body)


def test_after_a_crash_what_nobody_uses_is_unmounted(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        options = {"type": "none", "device": "/srv", "o": "bind"}
        for name in ("used", "left"):
            await world.volumes.make(VolumeCreateRequest(name=name, driver_opts=options))
        identity = await world.container("one", VolumeUse("used", "/data"))
        await world.containers.start(identity)
        world.life.volumes.mounted["left"] = world.life.volumes.mounted["used"]
        again = world.restarted_volumes()
        await again.load()
        await again.settle()
        assert list(world.life.volumes.mounted) == ["used"]
        await again.end_use(identity)
        assert world.life.volumes.mounted == {}

    play(tmp_path, body)


def test_a_device_that_cannot_be_mounted_fails_the_start(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        use = VolumeUse("data", "/d", copy_up=False, driver_options={"type": "ext4", "device": "/broken"})
        identity = await world.container("one", use)
        with pytest.raises(InternalError, match="failed to mount local volume"):
            await world.containers.start(identity)
        assert world.volumes.resolve("data").options == {"type": "ext4", "device": "/broken"}

    play(tmp_path, body)


def test_prune_of_volumes_takes_anonymous_ones_unless_asked_for_all(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        anonymous = await world.volumes.make(VolumeCreateRequest())
        await world.volumes.make(VolumeCreateRequest(name="kept", labels={"keep": ""}))
        await world.volumes.make(VolumeCreateRequest(name="named"))
        await world.container("web", VolumeUse("used", "/data"))
        pruned = await world.prunes.volumes({}, everything=False)
        assert (pruned.deleted, pruned.reclaimed_bytes) == ([anonymous.name], 7)
        assert (await world.prunes.volumes({"label!": ["keep"]}, everything=True)).deleted == ["named"]
        assert [each.name for each in world.volumes.list()] == ["kept", "used"]
        assert world.life.events()[-1] == "volume prune"

    play(tmp_path, body)


def test_prune_of_containers_takes_those_at_rest_by_label_and_age(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        old = await world.container("old")
        await world.container("running")
        await world.containers.start("running")
        world.life.now_ns = 100 * 10**9
        young = await world.container("young")
        assert (await world.prunes.stopped({"label": ["for=nobody"]})).deleted == []
        assert (await world.prunes.stopped({"until": ["50"]})).deleted == [old]
        assert (await world.prunes.stopped({})).deleted == [young]
        assert [each.name for each in world.containers.list()] == ["running"]
        with pytest.raises(InvalidParameterError):
            await world.prunes.stopped({"until": ["soon"]})

    play(tmp_path, body)


def test_prune_of_images_leaves_named_and_used_ones(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        used = world.registry.put_image("docker.io/library/demo", "latest", ["a"])
        [_ async for _ in world.images.pull("demo")]
        world.registry.put_image("docker.io/library/demo", "latest", ["b"])
        [_ async for _ in world.images.pull("demo")]
        await world.container("web", image_id=used)
        assert (await world.prunes.unused_images({}, dangling_only=True)).messages == []
        await world.containers.remove("web")
        pruned = await world.prunes.unused_images({}, dangling_only=True)
        assert {"Deleted": used} in pruned.messages and pruned.reclaimed_bytes > 0
        assert [image.tags for image in world.images.list()] == [("demo:latest",)]
        await world.prunes.unused_images({}, dangling_only=False)
        assert world.images.list() == []

    play(tmp_path, body)
