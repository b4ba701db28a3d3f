"""The registry client and a whole pull against Debian's docker-registry on loopback; the layer is really unpacked."""

import asyncio
import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.fakes.registry import FakeRegistry
from tests.fakes.state import FakeStateStore

from tidegate.base.errors import NotFoundError, TidegateError, UnauthorizedError
from tidegate.drivers.content import ContentDirectory
from tidegate.drivers.layers import LayerDirectories
from tidegate.drivers.registry import HTTPRegistry, RegistryConfig
from tidegate.engine.images import ImageService
from tidegate.engine.ports import RegistryAuth

BINARY = shutil.which("docker-registry")
pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="Debian's docker-registry is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to unpack layers"),
]
AUTH = RegistryAuth(username="u", password="p")
HTPASSWD = (
    "u:$2b$04$nZhi/8WuKlwMvdcyiTh5JeD92trzmWT9NqyFtC73UnGoUFdYuVq62\n"  # bcrypt of "p", 16 rounds: cheap on purpose
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(host: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    address, _, port = host.partition(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((address, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"docker-registry did not come up: {log.read_text()[-2000:]}")


@pytest.fixture(params=[False, True], ids=["open", "htpasswd"])
def registry_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, RegistryAuth | None]]:
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": host},
    }
    if request.param:
        (tmp_path / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    (tmp_path / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BINARY or "", "serve", str(tmp_path / "config.yml")], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_listening(host, process, log)
        yield host, AUTH if request.param else None
    finally:
        process.kill()
        process.wait()


def send(host: str, method: str, target: str, body: bytes = b"", content_type: str = "") -> str:
    """A request with the credentials; returns the Location header."""
    connection = http.client.HTTPConnection(host, timeout=20)
    headers = {"Authorization": "Basic " + base64.b64encode(b"u:p").decode()}
    connection.request(method, target, body, headers | {"Content-Type": content_type or "application/octet-stream"})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status in (201, 202), (method, target, response.status, text)
    return response.getheader("Location") or ""


def push(host: str, name: str, files: list[str]) -> str:
    """Push an image of the fake registry's making; returns its id."""
    made = FakeRegistry()
    image_id = made.put_image(f"{host}/{name}", "1", files)
    for digest, blob in made.blobs.items():
        place = urlsplit(send(host, "POST", f"/v2/{name}/blobs/uploads/"))
        send(host, "PUT", f"{place.path}?{place.query}&digest={digest}", blob)
    media_type, raw = made.manifests[f"{host}/{name}", "1"]
    send(host, "PUT", f"/v2/{name}/manifests/1", raw, media_type)
    return image_id


def test_pull(registry_host: tuple[str, RegistryAuth | None], tmp_path: Path) -> None:
    host, auth = registry_host
    image_id = push(host, "team/demo", ["a", "b"])

    async def run() -> None:
        registry = HTTPRegistry(RegistryConfig(timeout_s=10, backoff_s=0))
        layers = LayerDirectories(tmp_path / "layers")
        images = ImageService(ContentDirectory(tmp_path / "content"), layers, FakeStateStore(), registry, lambda: 0)
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


def test_wrong_credentials(registry_host: tuple[str, RegistryAuth | None]) -> None:
    host, auth = registry_host
    if auth is None:
        pytest.skip("this registry asks for none")
    push(host, "demo", ["a"])
    registry = HTTPRegistry(RegistryConfig(timeout_s=10, backoff_s=0))
    try:
        for wrong in (RegistryAuth(username="u", password="x"), None):
            with pytest.raises(TidegateError) as caught:
                asyncio.run(registry.manifest(f"{host}/demo", "1", wrong))
            assert isinstance(caught.value, UnauthorizedError)
    finally:
        registry.close()
