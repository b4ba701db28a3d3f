"""The content store: digests, sizes, and nothing left behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.drivers.content import ContentDirectory
from tidegate.spec.oci_image import digest_of


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_round_trip(tmp_path: Path) -> None:
    async def run() -> None:
        store = ContentDirectory(tmp_path)
        descriptor = await store.ingest(stream(b"ab", b"c"), digest_of(b"abc"), 3)
        assert (descriptor.digest, descriptor.size) == (digest_of(b"abc"), 3)
        assert await store.read(descriptor.digest) == b"abc"
        assert await store.digests() == [descriptor.digest]
        await store.remove(descriptor.digest)
        await store.remove(descriptor.digest)
        with pytest.raises(NotFoundError):
            await store.read(descriptor.digest)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("digest", "size"), [(digest_of(b"other"), 3), (digest_of(b"abc"), 2), (digest_of(b"abc"), 4), ("sha256:../x", 3)]
)
def test_wrong_content_leaves_nothing(tmp_path: Path, digest: str, size: int) -> None:
    store = ContentDirectory(tmp_path)
    with pytest.raises(InvalidParameterError):
        asyncio.run(store.ingest(stream(b"abc"), digest, size))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_recover_removes_interrupted_ingests(tmp_path: Path) -> None:
    store = ContentDirectory(tmp_path)
    (tmp_path / "ingest" / "left").write_bytes(b"x")
    store.recover()
    assert list((tmp_path / "ingest").iterdir()) == []
