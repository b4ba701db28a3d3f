"""Image documents: descriptors, manifests, indexes and configurations of OCI image-spec 1.1 and Docker schema 2.

A manifest or a configuration keeps its ``raw`` bytes, since digests are over bytes; what is parsed here is read-only.
Every ``parse_`` function raises InvalidParameterError naming the field that is wrong. Docker schema 1 is refused.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.base.errors import InvalidParameterError, NotFoundError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)
LAYER_COMPRESSION: Mapping[str, str] = {
    OCI_LAYER: "",
    OCI_LAYER + "+gzip": "gzip",
    OCI_LAYER + "+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    DOCKER_LAYER: "",
    DOCKER_LAYER + ".gzip": "gzip",
    DOCKER_LAYER + ".zstd": "zstd",
}
EMPTY_LAYER = "sha256:" + hashlib.sha256(bytes(1024)).hexdigest()
"""The diff id of an archive without entries."""
MAX_DOCUMENT_BYTES = 4 << 20
MAX_LAYERS = 1000

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Platform(msgspec.Struct, frozen=True):
    """``os/architecture[/variant]``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class BlobReference(msgspec.Struct, frozen=True):
    """A descriptor as it stands in a document; ``platform`` is set on the entries of an index."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] | None = None


class Manifest(msgspec.Struct, frozen=True):
    raw: bytes
    config: BlobReference
    layers: tuple[BlobReference, ...]


class Index(msgspec.Struct, frozen=True):
    raw: bytes
    manifests: tuple[BlobReference, ...]


class ImageConfig(msgspec.Struct, frozen=True):
    """``document`` is the decoded configuration, ``diff_ids`` its layers, base first."""

    raw: bytes
    document: Mapping[str, Any]
    platform: Platform
    diff_ids: tuple[str, ...]


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def parse_digest(value: object, field: str = "digest") -> str:
    """A sha256 digest, the only algorithm accepted."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise InvalidParameterError(f"{field}: invalid digest {value!r}")
    return value


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """Chain ids, base first (image-spec config.md, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain


def parse_platform(text: str) -> Platform:
    """``linux/arm64/v8`` or ``linux/amd64``."""
    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise InvalidParameterError(f'"{text}": unknown operating system or architecture: invalid argument')
    return Platform(*parts)


def parse_document(raw: bytes, what: str) -> Mapping[str, Any]:
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InvalidParameterError(f"{what}: larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"{what}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidParameterError(f"{what}: not a JSON object")
    return document


def _parse_platform_object(value: object, field: str) -> Platform | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidParameterError(f"{field}: not an object")
    parts = [value.get(key) or "" for key in ("os", "architecture", "variant")]
    if not all(isinstance(part, str) for part in parts):
        raise InvalidParameterError(f"{field}: not strings")
    return Platform(*parts)


def parse_descriptor(value: object, field: str) -> BlobReference:
    if not isinstance(value, dict):
        raise InvalidParameterError(f"{field}: not an object")
    size, media_type = value.get("size"), value.get("mediaType", "")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidParameterError(f"{field}.size: invalid size {size!r}")
    if not isinstance(media_type, str):
        raise InvalidParameterError(f"{field}.mediaType: not a string")
    annotations = value.get("annotations")
    return BlobReference(
        media_type,
        parse_digest(value.get("digest"), f"{field}.digest"),
        size,
        _parse_platform_object(value.get("platform"), f"{field}.platform"),
        annotations if isinstance(annotations, dict) else None,
    )


def parse_manifest(raw: bytes, media_type: str = "") -> Manifest | Index:
    """A manifest or an index, told apart by the document itself and only then by ``media_type``."""
    document = parse_document(raw, "manifest")
    if document.get("schemaVersion") != 2:
        raise InvalidParameterError("manifest.schemaVersion: only schema version 2 is supported")
    kind = document.get("mediaType") or media_type
    if "manifests" in document and ("layers" in document or "config" in document):
        raise InvalidParameterError("manifest: both an index and an image (CVE-2021-41190)")
    if kind in INDEX_TYPES or (kind not in MANIFEST_TYPES and "manifests" in document):
        return Index(raw, _descriptors(document, "manifests"))
    layers = _descriptors(document, "layers")
    if len(layers) > MAX_LAYERS:
        raise InvalidParameterError(f"manifest.layers: more than {MAX_LAYERS}")
    return Manifest(raw, parse_descriptor(document.get("config"), "config"), layers)


def _descriptors(document: Mapping[str, Any], field: str) -> tuple[BlobReference, ...]:
    entries = document.get(field)
    if not isinstance(entries, list):
        raise InvalidParameterError(f"manifest.{field}: not a list")
    return tuple(parse_descriptor(entry, f"{field}[{position}]") for position, entry in enumerate(entries))


def parse_config(raw: bytes) -> ImageConfig:
    document = parse_document(raw, "image config")
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list):
        raise InvalidParameterError("image config: rootfs.diff_ids: not a list")
    if not isinstance(document.get("config") or {}, dict) or not isinstance(document.get("history") or [], list):
        raise InvalidParameterError("image config: config or history is of the wrong type")
    platform = _parse_platform_object(document, "image config") or Platform("linux", "")
    checked = tuple(parse_digest(diff_id, f"rootfs.diff_ids[{n}]") for n, diff_id in enumerate(diff_ids))
    return ImageConfig(raw, document, platform, checked)


def choose_platform(index: Index, wanted: Platform) -> BlobReference:
    """The entry for ``wanted``: exact variant first, then any variant of the architecture that can run there."""
    fitting = [
        entry
        for entry in index.manifests
        if entry.platform and (entry.platform.os, entry.platform.architecture) == (wanted.os, wanted.architecture)
    ]
    variants = _runnable_variants(wanted)
    for variant in variants:
        for entry in fitting:
            if entry.platform and entry.platform.variant == variant:
                return entry
    raise NotFoundError(f"no matching manifest for {wanted} in the manifest list entries: no match for platform")


def _runnable_variants(wanted: Platform) -> list[str]:
    if wanted.architecture == "arm" and wanted.variant[1:].isdecimal():
        return [f"v{number}" for number in range(int(wanted.variant[1:]), 4, -1)] + [""]
    if wanted.architecture == "arm64":
        return [wanted.variant or "v8", "", "v8"]
    return [wanted.variant, ""] if wanted.variant else ["", "v1"]


_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class ImageReference(msgspec.Struct, frozen=True):
    """A normalised reference: ``repository`` is ``host/path``; at least one of ``tag`` and ``digest`` is set."""

    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def familiar_name(self) -> str:
        return self.repository.removeprefix("docker.io/").removeprefix("library/")

    @property
    def familiar(self) -> str:
        return f"{self.familiar_name}@{self.digest}" if self.digest else f"{self.familiar_name}:{self.tag}"

    @property
    def key(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse_reference(text: str) -> ImageReference:
    """As distribution/reference: ``alpine`` is ``docker.io/library/alpine:latest``; a digest outranks a tag."""
    name, _, digest = text.partition("@")
    slash = name.rfind("/")
    colon = name.find(":", slash + 1)
    tag = name[colon + 1 :] if colon >= 0 else ""
    name = name[:colon] if colon >= 0 else name
    host, separator, path = name.partition("/")
    if not separator or not (set(".:") & set(host) or host == "localhost" or host != host.lower()):
        host, path = "docker.io", name
    if host in ("docker.io", "index.docker.io"):
        host, path = "docker.io", path if "/" in path else "library/" + path
    valid = _DOMAIN.fullmatch(host) and _PATH.fullmatch(path) and len(host + path) < 255
    if not valid or ("@" in text and not _DIGEST.fullmatch(digest)) or (colon >= 0 and not _TAG.fullmatch(tag)):
        raise InvalidParameterError(f"invalid reference format: {text!r}")
    return ImageReference(f"{host}/{path}", "" if digest else tag or "latest", digest)
