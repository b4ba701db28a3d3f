"""What the unpacker refuses and how the layer store reads its report; the real child is in tests/kernel."""

import asyncio
import gzip
import sys
import tarfile
from pathlib import Path

import pytest

from tidegate.base.errors import InternalError, InvalidParameterError
from tidegate.drivers.rootfs import unpack
from tidegate.drivers.rootfs.layers import LayerDirectories, choose_compression, parse_report
from tidegate.spec.oci_image import OCI_LAYER, digest_of

CHAIN = digest_of(b"chain")


def test_entry_paths() -> None:
    assert unpack.parse_entry_path("./a//b/") == ("a", "b")
    assert unpack.parse_entry_path("/etc/passwd") == ("etc", "passwd")
    assert unpack.parse_entry_path("a..b/..c") == ("a..b", "..c")
    for name in ("..", "../x", "a/../../x", "a/..", "a\0b"):
        with pytest.raises(unpack.RefusedEntryError):
            unpack.parse_entry_path(name)
    for name in ("/etc/passwd", "../x", ".", ""):
        with pytest.raises(unpack.RefusedEntryError):
            unpack.parse_link_path(name)


@pytest.mark.parametrize(
    ("depth", "target", "climbs"),
    [
        (0, "usr/lib", False),
        (1, "../usr", False),
        (1, "../../etc", True),
        (3, "/../etc", True),
        (2, "/usr/../x", False),
    ],
)
def test_symlinks_that_climb(depth: int, target: str, climbs: bool) -> None:
    assert unpack.climbs_above_root(depth, target) is climbs


def test_attributes_of_an_entry() -> None:
    member = tarfile.TarInfo("a")
    member.pax_headers = {
        "mtime": "1.000000007",
        "SCHILY.xattr.user.a": "\udcff",
        "SCHILY.xattr.trusted.overlay.redirect": "/x",
    }
    assert unpack.modification_time_ns(member) == 1_000_000_007
    assert unpack.extended_attributes(member) == {"user.a": b"\xff"}


def test_compression_follows_the_bytes(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(gzip.compress(b"x"))
    assert choose_compression(blob, OCI_LAYER) == "gzip"
    with pytest.raises(InvalidParameterError, match="unknown media type"):
        choose_compression(blob, "text/html")


def test_reports() -> None:
    with pytest.raises(InvalidParameterError, match="register layer: no"):
        parse_report(b'{"error":"no","kind":"invalid"}')
    with pytest.raises(InternalError):
        parse_report(b'{"error":"disk full","kind":"host"}')
    with pytest.raises(InternalError):
        parse_report(b"")


def unpack_with(script: str, root: Path, diff_id: str) -> int:
    blob = root / "blob"
    blob.write_bytes(b"whatever")

    async def run() -> int:
        store = LayerDirectories(root / "layers", child=(sys.executable, "-c", script))
        size = await store.unpack(CHAIN, None, blob, OCI_LAYER, diff_id)
        assert store.exists(CHAIN) and list(await store.chain_ids()) == [CHAIN]
        await store.remove(CHAIN)
        await store.remove(CHAIN)
        assert not store.exists(CHAIN)
        return size

    return asyncio.run(run())


def test_unpack_and_remove(tmp_path: Path) -> None:
    script = 'print(\'{"diff_id":"D","size_bytes":7,"opaque":[]}\')'
    assert unpack_with(script, tmp_path, "D") == 7


@pytest.mark.parametrize("script", ["raise SystemExit(3)", 'print(\'{"diff_id":"E","size_bytes":7,"opaque":[]}\')'])
def test_failed_unpack_leaves_nothing(tmp_path: Path, script: str) -> None:
    with pytest.raises((InternalError, InvalidParameterError)):
        unpack_with(script, tmp_path, "D")
    assert [path.name for path in (tmp_path / "layers").rglob("*")] == [".unpacking"]
