"""Every filter of the list of containers, on fakes."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.fakes.registry import FakeLayerStore, FakeRegistry
from tests.unit.engine.life import Life

from tidegate.api.container_filter import ContainerFilter, Surroundings
from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.drivers.content import ContentDirectory
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.images.service import ImageService
from tidegate.model.container import PublishedPort, Settings, VolumeUse

Around = Callable[[str], list[str]]


def play(tmp_path: Path, body: Callable[[Life, Around], Awaitable[None]]) -> None:
    """Three containers: ``old`` runs and publishes, ``mid`` has a volume and a child's image, ``new`` has nothing."""

    async def scene() -> None:
        life, registry = Life(), FakeRegistry()
        life.boot()
        images = ImageService(ContentDirectory(tmp_path), FakeLayerStore(), life.store, registry, lambda: 1, life.bus)
        for name, files in (("demo", ["a"]), ("child", ["a", "b"]), ("other", ["c"])):
            registry.put_image(f"docker.io/library/{name}", "latest", files)
            [_ async for _ in images.pull(name)]
        demo, child, other = (images.resolve(name) for name in ("demo", "child", "other"))
        ports = (PublishedPort(80, "tcp", "0.0.0.0", 8080),)
        volumes = (VolumeUse("data", "/data"),)
        binds = b'{"HostConfig": {"Binds": ["/srv:/www:ro"]}, "ExposedPorts": {"53/udp": {}}}'
        for new in (
            NewContainer("old", "demo", demo.image_id, {"a": "1"}, settings=Settings(demo.chain_ids, ports=ports)),
            NewContainer("mid", "child", child.image_id, {"a": "2"}, binds, Settings(child.chain_ids, volumes=volumes)),
            NewContainer("new", "other", other.image_id, settings=Settings(other.chain_ids, network="none")),
        ):
            life.now_ns += 1_000
            await life.service.create(new)
        await life.service.start("old")
        around = Surroundings(life.service, images, lambda name: f"{name}-id")

        def shown(**filters: str) -> list[str]:
            text = json.dumps({name.replace("_", "-"): [value] for name, value in filters.items()})
            wanted = ContainerFilter(text, around)
            return [each.name for each in life.service.list() if wanted.shows(each, everything=True)]

        try:
            await asyncio.wait_for(body(life, shown), 30)
        finally:
            await life.close()

    asyncio.run(scene())


CASES = [
    ({}, ["new", "mid", "old"]),
    ({"ancestor": "demo"}, ["mid", "old"]),
    ({"ancestor": "child:latest"}, ["mid"]),
    ({"ancestor": "nothing"}, []),
    ({"before": "mid"}, ["old"]),
    ({"since": "mid"}, ["new"]),
    ({"since": "old", "before": "new"}, ["mid"]),
    ({"expose": "80"}, ["old"]),
    ({"expose": "50-60/udp"}, ["mid"]),
    ({"expose": "53/tcp"}, []),
    ({"publish": "8000-9000"}, ["old"]),
    ({"publish": "80"}, []),
    ({"health": "none"}, ["new", "mid", "old"]),
    ({"health": "healthy"}, []),
    ({"is_task": "false"}, ["new", "mid", "old"]),
    ({"is_task": "true"}, []),
    ({"network": "none"}, ["new"]),
    ({"network": "bridge-i"}, ["mid", "old"]),
    ({"network": "other"}, []),
    ({"volume": "data"}, ["mid"]),
    ({"volume": "/data"}, ["mid"]),
    ({"volume": "/srv"}, ["mid"]),
    ({"volume": "/www"}, ["mid"]),
    ({"label": "a"}, ["mid", "old"]),
    ({"label": "a=2"}, ["mid"]),
    ({"name": "^/?(old|new)$"}, ["new", "old"]),
    ({"name": "^ol"}, ["old"]),
    ({"name": "/mid"}, ["mid"]),
    ({"status": "created"}, ["new", "mid"]),
    ({"status": "running", "label": "a=2"}, []),
    ({"exited": "0"}, []),
]


def test_each_filter_shows_what_it_names(tmp_path: Path) -> None:
    async def body(life: Life, shown: Around) -> None:
        for filters, names in CASES:
            assert shown(**filters) == names, filters
        identity = life.service.resolve("mid").id
        assert shown(id=identity[:12]) == ["mid"]
        assert shown(before=identity[:20]) == ["old"]

    play(tmp_path, body)


BAD = [
    ({"colour": "red"}, "invalid filter 'colour'"),
    ({"status": "alive"}, "invalid filter 'status=alive'"),
    ({"health": "fine"}, "invalid filter 'health=fine'"),
    ({"publish": "80/icmp"}, "invalid filter 'publish=80/icmp'"),
    ({"expose": "90-80"}, "invalid filter 'expose=90-80'"),
    ({"is_task": "maybe"}, "invalid filter 'is-task="),
    ({"name": "(a+)+$"}, "repeat no group"),
    ({"name": "["}, "invalid filter 'name="),
]


def test_a_value_that_means_nothing_is_refused_by_name(tmp_path: Path) -> None:
    async def body(life: Life, shown: Around) -> None:
        for filters, words in BAD:
            with pytest.raises(InvalidParameterError, match=words.replace("(", r"\(")):
                shown(**filters)
        for name in ("before", "since"):
            with pytest.raises(NotFoundError, match="No such container: nobody"):
                shown(**{name: "nobody"})

    play(tmp_path, body)


def test_an_expression_takes_no_time_to_speak_of(tmp_path: Path) -> None:
    async def body(life: Life, shown: Around) -> None:
        await life.service.create(NewContainer("a" * 60, "demo", "sha256:1"))
        began = time.monotonic()
        assert shown(name=".*.*.*.*.*!") == []
        assert time.monotonic() - began < 5

    play(tmp_path, body)
