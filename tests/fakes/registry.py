"""A registry, a layer store in memory, and images to put into them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tidegate.base.errors import InvalidParameterError, NotFoundError, UnauthorizedError
from tidegate.engine.ports import Descriptor, RegistryAuth
from tidegate.spec.oci_image import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, digest_of


class FakeRegistry:
    """Fits ``engine.ports.Registry``: manifests by (repository, tag or digest), blobs by digest."""

    def __init__(self) -> None:
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}

    def put_manifest(self, repository: str, tag: str, media_type: str, raw: bytes) -> None:
        for reference in (tag, digest_of(raw)):
            self.manifests[repository, reference] = (media_type, raw)

    def put_image(
        self, repository: str, tag: str, files: Sequence[str], more: Mapping[str, object] | None = None
    ) -> str:
        """One gzip layer for each file name; ``more`` of the configuration. Returns the image's id."""
        layers, diff_ids = [], []
        for name in files:
            tar = layer_tar(name)
            blob = gzip.compress(tar, mtime=0)
            diff_ids.append(digest_of(tar))
            layers.append(self._put(OCI_LAYER + "+gzip", blob))
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"diff_ids": diff_ids}}
        history = [{"created": "2024-01-01T00:00:00Z", "created_by": f"COPY {name}"} for name in files]
        raw_config = json.dumps({**config, "history": history, **(more or {})}).encode()
        manifest = {"schemaVersion": 2, "config": self._put(OCI_CONFIG, raw_config), "layers": layers}
        self.put_manifest(repository, tag, OCI_MANIFEST, json.dumps(manifest).encode())
        return digest_of(raw_config)

    def _put(self, media_type: str, data: bytes) -> dict[str, object]:
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    async def manifest(self, repository: str, reference: str, auth: RegistryAuth | None) -> tuple[Descriptor, bytes]:
        if (repository, reference) not in self.manifests:
            raise NotFoundError(f"manifest for {repository}:{reference} not found: manifest unknown: manifest unknown")
        media_type, raw = self.manifests[repository, reference]
        return Descriptor(media_type, digest_of(raw), len(raw)), raw

    async def blob(self, repository: str, descriptor: Descriptor, auth: RegistryAuth | None) -> AsyncIterator[bytes]:
        yield self.blobs[descriptor.digest]

    async def login(self, auth: RegistryAuth) -> str:
        if auth.password != "right":
            raise UnauthorizedError(f"login attempt to {auth.server_address} failed with status: 401 Unauthorized")
        return ""


class FakeLayerStore:
    """Fits ``engine.ports.LayerStore``: checks diff ids, keeps only sizes."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def exists(self, chain_id: str) -> bool:
        return chain_id in self.sizes

    async def unpack(self, chain_id: str, parent: str | None, blob_path: Path, media_type: str, diff_id: str) -> int:
        data = blob_path.read_bytes()
        plain = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        if "sha256:" + hashlib.sha256(plain).hexdigest() != diff_id:
            raise InvalidParameterError("failed to register layer: diff_id")
        self.sizes[chain_id] = len(plain)
        return len(plain)

    async def remove(self, chain_id: str) -> None:
        self.sizes.pop(chain_id, None)

    async def chain_ids(self) -> Sequence[str]:
        return list(self.sizes)

    def size_bytes(self, chain_id: str) -> int:
        return self.sizes[chain_id]


def layer_tar(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(name)
        tar.addfile(member, io.BytesIO(name.encode()))
    return buffer.getvalue()
