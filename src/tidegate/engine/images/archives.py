"""Image archives: reading what ``docker load`` is given, planning what ``docker save`` sends.

An archive is an OCI layout and a docker-archive in one tar; either alone is read. Members are only read, never
extracted. Names inside are looked up, not opened as paths, so that they cannot leave the archive.
"""

import bz2
import gzip
import json
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import zstandard

from tidegate.base.errors import InvalidParameterError
from tidegate.spec import oci_image
from tidegate.spec.oci_image import INDEX_TYPES, MAX_DOCUMENT_BYTES, OCI_INDEX, OCI_LAYER, Manifest, digest_of

CHUNK_BYTES = 1 << 20
_BLOCK = 512


class ArchivedImage(msgspec.Struct, frozen=True):
    """One image of an archive; ``manifest_raw`` is None when the archive holds no manifest for it."""

    config_raw: bytes
    layer_names: tuple[str, ...]
    tags: tuple[str, ...]
    manifest_raw: bytes | None


def open_decompressed(path: Path) -> IO[bytes]:
    """The file, decompressed by its first bytes: gzip, bzip2, xz, zstd, or as it is."""
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path))
    if start.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(path))
    if start.startswith(b"\xfd7zXZ\0"):
        return cast("IO[bytes]", lzma.open(path))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return cast("IO[bytes]", zstandard.open(path, "rb"))
    return path.open("rb")


def layer_media_type(start: bytes) -> str:
    if start.startswith(b"\x1f\x8b"):
        return OCI_LAYER + "+gzip"
    return OCI_LAYER + "+zstd" if start.startswith(b"\x28\xb5\x2f\xfd") else OCI_LAYER


class Archive:
    """An uncompressed tar on disk, by member name. Blocking: use in a thread, from one at a time."""

    def __init__(self, path: Path) -> None:
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115 - closed by close
            self._members = {posixpath.normpath(member.name): member for member in self._tar}
        except tarfile.TarError as error:
            raise InvalidParameterError(f"invalid archive: {error}") from error

    def close(self) -> None:
        self._tar.close()

    def __contains__(self, name: str) -> bool:
        return posixpath.normpath(name) in self._members

    def chunks(self, name: str) -> Iterator[bytes]:
        file = self._tar.extractfile(self._member(name))
        while file is not None and (chunk := file.read(CHUNK_BYTES)):
            yield chunk

    def read(self, name: str) -> bytes:
        if self._member(name).size > MAX_DOCUMENT_BYTES:
            raise InvalidParameterError(f"invalid archive: {name} is larger than {MAX_DOCUMENT_BYTES} bytes")
        return b"".join(self.chunks(name))

    def _member(self, name: str) -> tarfile.TarInfo:
        wanted = posixpath.normpath(name)
        for _ in range(8):
            member = self._members.get(wanted)
            if member is None:
                break
            if member.isreg():
                return member
            if not (member.issym() or member.islnk()):
                break
            base = posixpath.dirname(wanted) if member.issym() else ""
            wanted = posixpath.normpath(posixpath.join(base, member.linkname))
        raise InvalidParameterError(f"invalid archive: does not contain {name}")


def list_images(archive: Archive, platform: oci_image.Platform) -> list[ArchivedImage]:
    """Images of the archive: ``manifest.json`` names them where it exists, else ``index.json``."""
    manifests = list(_layout_manifests(archive, platform)) if "index.json" in archive else []
    if "manifest.json" not in archive:
        if not manifests:
            raise InvalidParameterError("invalid archive: does not contain a manifest.json")
        return [_from_layout(archive, manifest, tags) for manifest, tags in manifests]
    by_config = {manifest.config.digest: manifest.raw for manifest, _ in manifests}
    return [_from_docker_archive(archive, entry, by_config) for entry in _docker_entries(archive)]


def _docker_entries(archive: Archive) -> list[Mapping[str, Any]]:
    try:
        entries = json.loads(archive.read("manifest.json"))
    except ValueError as error:
        raise InvalidParameterError(f"invalid archive: manifest.json: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidParameterError("invalid archive: manifest.json: not a list of objects")
    return entries


def _strings(value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidParameterError(f"invalid archive: manifest.json: {field}: not a list of strings")
    return tuple(value)


def _from_docker_archive(archive: Archive, entry: Mapping[str, Any], by_config: Mapping[str, bytes]) -> ArchivedImage:
    (config_name,) = _strings([entry.get("Config")], "Config")
    config_raw = archive.read(config_name)
    layers, tags = _strings(entry.get("Layers") or [], "Layers"), _strings(entry.get("RepoTags") or [], "RepoTags")
    return ArchivedImage(config_raw, layers, tags, by_config.get(digest_of(config_raw)))


def blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _layout_manifests(archive: Archive, platform: oci_image.Platform) -> Iterator[tuple[Manifest, tuple[str, ...]]]:
    top = oci_image.parse_manifest(archive.read("index.json"), OCI_INDEX)
    for entry in top.manifests if isinstance(top, oci_image.Index) else ():
        name = (entry.annotations or {}).get("io.containerd.image.name", "")
        document = oci_image.parse_manifest(_checked_blob(archive, entry.digest), entry.media_type)
        if entry.media_type in INDEX_TYPES and isinstance(document, oci_image.Index):
            chosen = oci_image.choose_platform(document, platform)
            document = oci_image.parse_manifest(_checked_blob(archive, chosen.digest), chosen.media_type)
        if isinstance(document, Manifest):
            yield document, (name,) if name else ()


def _checked_blob(archive: Archive, digest: str) -> bytes:
    raw = archive.read(blob_name(digest))
    if digest_of(raw) != digest:
        raise InvalidParameterError(f"invalid archive: {blob_name(digest)} has another digest")
    return raw


def _from_layout(archive: Archive, manifest: Manifest, tags: tuple[str, ...]) -> ArchivedImage:
    names = tuple(blob_name(layer.digest) for layer in manifest.layers)
    return ArchivedImage(_checked_blob(archive, manifest.config.digest), names, tags, manifest.raw)


def plan_archive(images: Sequence[tuple[Manifest, Sequence[str]]]) -> tuple[dict[str, bytes], list[str]]:
    """Small members by name, and the digests of the blobs to send; ``images`` are manifests with familiar tags."""
    docker, entries, digests = [], [], dict[str, None]()
    for manifest, tags in images:
        names = [blob_name(layer.digest) for layer in manifest.layers]
        docker.append({"Config": blob_name(manifest.config.digest), "RepoTags": list(tags), "Layers": names})
        descriptor = {
            "mediaType": oci_image.parse_document(manifest.raw, "manifest").get("mediaType", oci_image.OCI_MANIFEST),
            "digest": digest_of(manifest.raw),
            "size": len(manifest.raw),
        }
        named = [{"annotations": {"io.containerd.image.name": oci_image.parse_reference(tag).key}} for tag in tags]
        entries += [descriptor | extra for extra in named or [{}]]
        digests |= dict.fromkeys([descriptor["digest"], manifest.config.digest, *(x.digest for x in manifest.layers)])
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    small = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        "manifest.json": json.dumps(docker).encode(),
    }
    return small, list(digests)


def member_header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.PAX_FORMAT)


def padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)


END_OF_ARCHIVE = b"\0" * (2 * _BLOCK)


def first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(6)


def file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def stream_chunks(path: Path) -> Iterator[bytes]:
    """The file's decompressed bytes; InvalidParameterError when they are damaged."""
    try:
        with open_decompressed(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError) as error:
        raise InvalidParameterError(f"invalid archive: {error}") from error
