"""Blobs by digest on disk: ``ROOT/blobs/sha256/HEX``, made under ``ROOT/ingest`` and renamed when complete.

Fits ``engine.ports.ContentStore``. Invariants:

- a file under ``blobs`` is complete, fsynced and has the digest of its name;
- whatever is found under ``ingest`` at start belongs to nobody and is removed by ``recover``.
"""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from tidegate.base.errors import InternalError, InvalidParameterError, NotFoundError
from tidegate.engine.ports import Descriptor

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_OCTETS = "application/octet-stream"


class ContentDirectory:
    """The content store of one data root."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self._ingest = root / "ingest"
        for directory in (self._blobs, self._ingest):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def recover(self) -> None:
        """Remove what interrupted ingests left. Only at boot: a running ingest would lose its file."""
        for leftover in self._ingest.iterdir():
            leftover.unlink()

    def path(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise InvalidParameterError(f"invalid digest {digest!r}")
        return self._blobs / match[1]

    def exists(self, digest: str) -> bool:
        return self.path(digest).is_file()

    async def read(self, digest: str) -> bytes:
        try:
            return await asyncio.to_thread(self.path(digest).read_bytes)
        except FileNotFoundError as error:
            raise NotFoundError(f"content {digest} not found") from error

    async def write(self, data: bytes, expected_digest: str | None = None) -> Descriptor:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        return await self.ingest(chunks(), expected_digest, len(data))

    async def ingest(
        self, chunks: AsyncIterator[bytes], expected_digest: str | None, expected_size: int | None
    ) -> Descriptor:
        """Store a stream; a digest or size that differs is InvalidParameterError and leaves nothing."""
        if expected_digest is not None:
            self.path(expected_digest)
        fd, name = await asyncio.to_thread(tempfile.mkstemp, dir=self._ingest)
        temporary = Path(name)
        hasher, size = hashlib.sha256(), 0
        try:
            async for chunk in chunks:
                size += len(chunk)
                if expected_size is not None and size > expected_size:
                    raise InvalidParameterError(f"content is longer than the expected {expected_size} bytes")
                await _finish(asyncio.ensure_future(asyncio.to_thread(_append, fd, hasher.update, chunk)))
            digest = "sha256:" + hasher.hexdigest()
            _check(digest, size, expected_digest, expected_size)
            await _finish(asyncio.ensure_future(asyncio.to_thread(_publish, fd, temporary, self.path(digest))))
        except OSError as error:
            raise InternalError(f"cannot store content: {error}") from error
        finally:
            os.close(fd)
            temporary.unlink(missing_ok=True)
        return Descriptor(_OCTETS, digest, size)

    async def remove(self, digest: str) -> None:
        await asyncio.to_thread(self.path(digest).unlink, missing_ok=True)

    async def digests(self) -> Sequence[str]:
        names = await asyncio.to_thread(lambda: sorted(entry.name for entry in self._blobs.iterdir()))
        return ["sha256:" + name for name in names]


async def _finish(work: "asyncio.Future[None]") -> None:
    """Await a step in a thread; when cancelled, wait for it first, since it still uses the file descriptor."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _append(fd: int, update: Callable[[bytes], None], chunk: bytes) -> None:
    update(chunk)
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]


def _check(digest: str, size: int, expected_digest: str | None, expected_size: int | None) -> None:
    if expected_size is not None and size != expected_size:
        raise InvalidParameterError(f"content has {size} bytes, expected {expected_size}")
    if expected_digest is not None and digest != expected_digest:
        raise InvalidParameterError(f"content has digest {digest}, expected {expected_digest}")


def _publish(fd: int, temporary: Path, final: Path) -> None:
    os.fsync(fd)
    temporary.rename(final)
    directory = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
