"""Debian's docker-registry on loopback, with or without htpasswd authentication, and raw requests to it."""

import base64
import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

BINARY = shutil.which("docker-registry")
needs_registry = pytest.mark.skipif(BINARY is None, reason="Debian's docker-registry is not installed")
USERNAME, PASSWORD = "u", "p"
HTPASSWD = (
    "u:$2b$04$nZhi/8WuKlwMvdcyiTh5JeD92trzmWT9NqyFtC73UnGoUFdYuVq62\n"  # bcrypt of "p", 16 rounds: cheap on purpose
)


@dataclass(frozen=True)
class DebianRegistry:
    """A running registry; blobs lie under ``root``."""

    host: str
    root: Path
    asks_for_password: bool

    def send(self, method: str, target: str, body: bytes = b"", content_type: str = "") -> str:
        """A request with the credentials; returns the Location header."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        headers = {"Authorization": "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()}
        connection.request(method, target, body, headers | {"Content-Type": content_type or "application/octet-stream"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        assert response.status in (201, 202), (method, target, response.status, text)
        return response.getheader("Location") or ""

    def put_blob(self, name: str, digest: str, blob: bytes) -> None:
        place = urlsplit(self.send("POST", f"/v2/{name}/blobs/uploads/"))
        self.send("PUT", f"{place.path}?{place.query}&digest={digest}", blob)

    def put_manifest(self, name: str, reference: str, media_type: str, raw: bytes) -> None:
        self.send("PUT", f"/v2/{name}/manifests/{reference}", raw, media_type)

    def blob_path(self, digest: str) -> Path:
        """Where the registry keeps a blob."""
        value = digest.removeprefix("sha256:")
        return self.root / "docker/registry/v2/blobs/sha256" / value[:2] / value / "data"


@contextmanager
def debian_registry(
    root: Path, port: int, *, password: bool, enter: Sequence[str] = (), listens: Callable[[int], bool] | None = None
) -> Iterator[DebianRegistry]:
    """A registry of its own on 127.0.0.1; ``enter`` is put before the command, ``listens`` probes the port there."""
    registry = DebianRegistry(f"127.0.0.1:{port}", root / "registry", password)
    config: dict[str, object] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(registry.root)}},
        "http": {"addr": registry.host},
    }
    if password:
        (root / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "htpasswd")}}
    (root / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (root / "log").open("wb") as log:
        command = [*enter, BINARY or "", "serve", str(root / "config.yml")]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 20
        while not (listens or is_listening)(port):
            died = process.poll() is not None or time.monotonic() > deadline
            assert not died, f"docker-registry did not come up: {(root / 'log').read_text()[-2000:]}"
            time.sleep(0.02)
        yield registry
    finally:
        process.kill()
        process.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
