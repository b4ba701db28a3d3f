"""The registry client and a whole pull against Debian's docker-registry on loopback; the layer is really unpacked."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.registry import FakeRegistry
from tests.fakes.state import FakeStateStore
from tests.kernel.debian_registry import (
    PASSWORD,
    USERNAME,
    DebianRegistry,
    debian_registry,
    free_port,
    needs_registry,
)

from tidegate.base.errors import NotFoundError, UnauthorizedError
from tidegate.drivers.content import ContentDirectory
from tidegate.drivers.registry.client import HTTPRegistry
from tidegate.drivers.registry.transport import RegistryConfig
from tidegate.drivers.rootfs.layers import LayerDirectories
from tidegate.engine.events import EventBus
from tidegate.engine.images.service import ImageService
from tidegate.engine.ports import RegistryAuth

pytestmark = [
    needs_registry,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to unpack layers"),
]
AUTH = RegistryAuth(username=USERNAME, password=PASSWORD)


@pytest.fixture(params=[False, True], ids=["open", "htpasswd"])
def registry_at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DebianRegistry]:
    with debian_registry(tmp_path, free_port(), password=request.param) as registry:
        yield registry


def push(registry: DebianRegistry, name: str, files: list[str]) -> str:
    """Push an image of the fake registry's making; returns its id."""
    made = FakeRegistry()
    image_id = made.put_image(name, "1", files)
    for digest, blob in made.blobs.items():
        registry.put_blob(name, digest, blob)
    registry.put_manifest(name, "1", *made.manifests[name, "1"])
    return image_id


def test_pull(registry_at: DebianRegistry, tmp_path: Path) -> None:
    host, auth = registry_at.host, AUTH if registry_at.asks_for_password else None
    image_id = push(registry_at, "team/demo", ["a", "b"])

    async def run() -> None:
        registry = HTTPRegistry(RegistryConfig(timeout_s=10, backoff_s=0))
        layers = LayerDirectories(tmp_path / "layers")
        images = ImageService(
            ContentDirectory(tmp_path / "content"), layers, FakeStateStore(), registry, lambda: 0, EventBus(lambda: 0)
        )
        try:
            assert [message async for message in images.pull(f"{host}/team/demo:1", None, auth)]
            image = images.resolve(f"{host}/team/demo:1")
            assert image.image_id == image_id
            assert (layers.diff_path(image.chain_ids[1]) / "b").read_text() == "b"
            with pytest.raises(NotFoundError, match="manifest unknown"):
                await registry.manifest(f"{host}/team/demo", "missing", auth)
        finally:
            registry.close()

    asyncio.run(run())


def test_credentials(registry_at: DebianRegistry) -> None:
    if not registry_at.asks_for_password:
        pytest.skip("this registry asks for none")
    push(registry_at, "demo", ["a"])
    registry = HTTPRegistry(RegistryConfig(timeout_s=10, backoff_s=0))
    wrong = RegistryAuth(username=USERNAME, password="x", server_address=registry_at.host)
    try:
        for auth in (wrong, None):
            with pytest.raises(NotFoundError, match="pull access denied"):
                asyncio.run(registry.manifest(f"{registry_at.host}/demo", "1", auth))
        with pytest.raises(UnauthorizedError, match="failed with status: 401"):
            asyncio.run(registry.login(wrong))
        assert asyncio.run(registry.login(RegistryAuth(USERNAME, PASSWORD, server_address=registry_at.host))) == ""
    finally:
        registry.close()
