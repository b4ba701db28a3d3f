"""The engine's identity, counts and disk usage, on fakes."""

import asyncio
from pathlib import Path

from msgspec.structs import replace
from tests.fakes.registry import FakeLayerStore, FakeRegistry
from tests.unit.engine.life import Life

from tidegate.drivers.content import ContentDirectory
from tidegate.engine.containers.service import ContainerService, NewContainer
from tidegate.engine.images.service import ImageService
from tidegate.engine.system import EngineFacts, Holdings, SystemService
from tidegate.engine.volumes import LocalVolumes
from tidegate.kernel.host import read_host
from tidegate.model.container import Settings, VolumeUse


def test_identity_counts_and_sizes(tmp_path: Path) -> None:
    async def scene() -> None:
        life = Life()
        life.boot()
        volumes = LocalVolumes(life.volumes, life.store, life.bus, life.ports.clock, lambda: containers.list())
        containers = ContainerService(replace(life.ports, volumes=volumes), life.bus, life.timers)
        layers, registry = FakeLayerStore(), FakeRegistry()
        images = ImageService(ContentDirectory(tmp_path), layers, life.store, registry, life.ports.clock, life.bus)
        holdings = Holdings(containers, images, volumes, life.rootfs, layers)
        facts = EngineFacts(tmp_path, "json-file", False, True)

        def service() -> SystemService:
            return SystemService(holdings, facts, life.bus, life.store, life.ports.clock, lambda: read_host(tmp_path))

        system, again = service(), service()
        await system.load()
        await again.load()
        for tag, steps in (("one", ["a", "b"]), ("two", ["a", "c"])):
            registry.put_image("docker.io/library/demo", tag, steps)
            [_ async for _ in images.pull(f"demo:{tag}")]
        image_id = images.resolve("demo:one").image_id
        uses = Settings(volumes=(VolumeUse("data", "/data"),))
        await containers.create(NewContainer("web", "demo:one", image_id, settings=uses))
        await containers.create(NewContainer("idle", "demo:one", image_id))
        await containers.start("web")
        info = await system.info()
        assert len(info.id) == 36 and (await again.info()).id == info.id
        assert (info.running, info.paused, info.stopped, info.images) == (1, 0, 1, 2)
        usage = await system.disk_usage(images=True, containers=True, volumes=True)
        assert usage.images is not None and usage.containers is not None and usage.volumes is not None
        assert {size.containers for size in usage.images} == {0, 2}
        total = sum(size.size_bytes for size in usage.images)
        shared = (total - sum(size.unique_bytes for size in usage.images)) // 2
        assert shared > 0 and usage.layers_bytes == total - shared
        assert {size.container.name: size.is_active for size in usage.containers} == {"web": True, "idle": False}
        assert [(size.volume.name, size.size_bytes, size.containers) for size in usage.volumes] == [("data", 7, 1)]
        nothing = await system.disk_usage(images=False, containers=False, volumes=False)
        assert (nothing.images, nothing.containers, nothing.volumes) == (None, None, None)
        await containers.close()
        await life.close()

    asyncio.run(asyncio.wait_for(scene(), 30))
