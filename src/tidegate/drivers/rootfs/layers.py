"""Unpacked layers on disk: ``ROOT/HEX/diff`` by chain id, with ``ROOT/HEX/size``.

Fits ``engine.ports.LayerStore``. A layer is unpacked under ``ROOT/.unpacking`` by ``drivers.unpack`` in a confined
child, its opaque directories are marked, and only then is it renamed; what is under a chain id is whole and synced.
"""

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.base.errors import InternalError, InvalidParameterError, NotFoundError
from tidegate.spec.oci_image import LAYER_COMPRESSION

_CHAIN_ID = re.compile(r"sha256:([0-9a-f]{64})")
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
CHILD = (sys.executable, "-I", "-m", "tidegate.drivers.rootfs.unpack")


class LayerDirectories:
    """The layers of one data root. ``child`` is the command that unpacks, given TARGET and COMPRESSION."""

    def __init__(self, root: Path, child: Sequence[str] = CHILD, parallel: int = 2) -> None:
        self._root, self._child = root, tuple(child)
        self._unpacking = root / ".unpacking"
        self._unpacking.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._slots = asyncio.Semaphore(parallel)

    def recover(self) -> None:
        """Remove what interrupted unpacks and removals left. Only at boot."""
        for leftover in self._unpacking.iterdir():
            shutil.rmtree(leftover)

    def diff_path(self, chain_id: str) -> Path:
        """The directory for overlayfs's ``lowerdir``."""
        return self._directory(chain_id) / "diff"

    def exists(self, chain_id: str) -> bool:
        return self._directory(chain_id).is_dir()

    def size_bytes(self, chain_id: str) -> int:
        try:
            return int((self._directory(chain_id) / "size").read_text())
        except FileNotFoundError as error:
            raise NotFoundError(f"layer {chain_id} not found") from error

    async def unpack(self, chain_id: str, parent: str | None, blob_path: Path, media_type: str, diff_id: str) -> int:
        """See the port. ``parent`` is not needed: layers are laid over each other only at mount."""
        if self.exists(chain_id):
            return self.size_bytes(chain_id)
        async with self._slots:
            temporary = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._unpacking))
            try:
                return await self._unpack_into(temporary, chain_id, blob_path, media_type, diff_id)
            except OSError as error:
                raise InternalError(f"failed to register layer: {error}") from error
            finally:
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True))

    async def _unpack_into(self, temporary: Path, chain_id: str, blob_path: Path, media_type: str, diff_id: str) -> int:
        target = temporary / "diff"
        target.mkdir(mode=0o755)
        compression = await asyncio.to_thread(choose_compression, blob_path, media_type)
        report = parse_report(await self._run_child(target, compression, blob_path))
        if report["diff_id"] != diff_id:
            raise InvalidParameterError(
                f"failed to register layer: diff_id is {report['diff_id']}, the image config says {diff_id}"
            )
        await asyncio.to_thread(_complete, temporary, report["opaque"], report["size_bytes"])
        try:
            temporary.rename(self._directory(chain_id))
        except OSError:
            if not self.exists(chain_id):  # another pull won the race: same chain id, same content
                raise
        await asyncio.to_thread(_sync_directory, self._root)
        return int(report["size_bytes"])

    async def _run_child(self, target: Path, compression: str, blob_path: Path) -> bytes:
        with blob_path.open("rb") as blob:
            child = await asyncio.create_subprocess_exec(
                *self._child,
                str(target),
                compression,
                stdin=blob,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            )
        try:
            output, complaint = await child.communicate()
        except asyncio.CancelledError:
            child.kill()
            await asyncio.shield(child.wait())
            raise
        if child.returncode != 0:
            text = complaint.decode(errors="replace").strip()[-500:]
            raise InternalError(f"failed to register layer: the unpacker ended with {child.returncode}: {text}")
        return output

    async def remove(self, chain_id: str) -> None:
        grave = self._unpacking / ("removed-" + chain_id.removeprefix("sha256:"))
        try:
            self._directory(chain_id).rename(grave)
        except FileNotFoundError:
            return
        await asyncio.to_thread(shutil.rmtree, grave)

    async def chain_ids(self) -> Sequence[str]:
        names = await asyncio.to_thread(lambda: sorted(entry.name for entry in self._root.iterdir()))
        return ["sha256:" + name for name in names if not name.startswith(".")]

    def _directory(self, chain_id: str) -> Path:
        match = _CHAIN_ID.fullmatch(chain_id)
        if match is None:
            raise InvalidParameterError(f"invalid chain id {chain_id!r}")
        return self._root / match[1]


def choose_compression(blob_path: Path, media_type: str) -> str:
    """By media type when it is one we know, checked against the blob's first bytes, which decide when they differ."""
    declared = LAYER_COMPRESSION.get(media_type)
    with blob_path.open("rb") as blob:
        start = blob.read(4)
    found = next((name for magic, name in _MAGIC if start.startswith(magic)), "")
    if declared is None and media_type and media_type != "application/octet-stream":
        raise InvalidParameterError(f"failed to register layer: unknown media type {media_type!r}")
    return found


def parse_report(output: bytes) -> Mapping[str, Any]:
    """The child's JSON; its errors are raised, refused archives as InvalidParameterError."""
    try:
        report = json.loads(output)
    except ValueError as error:
        raise InternalError("failed to register layer: the unpacker said nothing") from error
    if "error" in report:
        kind = InvalidParameterError if report.get("kind") == "invalid" else InternalError
        raise kind(f"failed to register layer: {report['error']}")
    return dict(report)


def _complete(temporary: Path, opaque: Sequence[str], size_bytes: int) -> None:
    for path in opaque:
        _mark_opaque(temporary / "diff", path)
    with (temporary / "size").open("w") as file:
        file.write(str(size_bytes))
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o700)
    _sync_directory(temporary)


def _mark_opaque(root: Path, path: str) -> None:
    """Opened component by component without following symlinks: the tree was written by a stranger."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in Path(path).parts:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = below
        os.setxattr(fd, "trusted.overlay.opaque", b"y")
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
