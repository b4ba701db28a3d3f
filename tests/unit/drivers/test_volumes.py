"""Local volumes on a temporary directory."""

import asyncio
import os
from pathlib import Path

import pytest

from tidegate.base.errors import InternalError, InvalidParameterError, NotFoundError
from tidegate.drivers.volumes import LocalVolumeStore


def test_create_names_remove_are_idempotent(tmp_path: Path) -> None:
    async def body() -> None:
        store = LocalVolumeStore(tmp_path / "volumes")
        assert await store.names() == []
        path = await store.create("data")
        (path / "kept").touch()
        assert await store.create("data") == path and (path / "kept").exists()
        assert await store.names() == ["data"]
        await store.remove("data")
        await store.remove("data")
        assert await store.names() == []

    asyncio.run(body())


def test_copy_up_keeps_modes_links_and_follows_no_symlink(tmp_path: Path) -> None:
    source = tmp_path / "image"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "run").write_text("x")
    (source / "sub" / "run").chmod(0o4750)
    (source / "sub" / "same").hardlink_to(source / "sub" / "run")
    (source / "escape").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe", 0o640)
    source.chmod(0o1777)

    async def body() -> None:
        store = LocalVolumeStore(tmp_path / "volumes")
        path = await store.create("data")
        await store.copy_up("data", source)
        assert (path / "sub" / "run").stat().st_mode & 0o7777 == 0o4750
        assert (path / "sub" / "same").stat().st_ino == (path / "sub" / "run").stat().st_ino
        assert os.readlink(path / "escape") == "/etc/passwd" and (path / "pipe").is_fifo()
        assert path.stat().st_mode & 0o7777 == 0o1777
        assert [each.name for each in path.parent.iterdir()] == ["_data"]

    asyncio.run(body())


def test_a_filled_volume_is_left_and_a_symlinked_source_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "new").touch()
    (tmp_path / "link").symlink_to(tmp_path / "image")

    async def body() -> None:
        store = LocalVolumeStore(tmp_path / "volumes")
        path = await store.create("data")
        await store.copy_up("data", tmp_path / "link")
        assert not list(path.iterdir())
        (path / "old").touch()
        await store.copy_up("data", tmp_path / "image")
        assert [each.name for each in path.iterdir()] == ["old"]
        with pytest.raises(NotFoundError, match="no such volume"):
            await store.copy_up("other", tmp_path / "image")

    asyncio.run(body())


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "-x", "x" * 256, "a\n"])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameterError):
        LocalVolumeStore(tmp_path).path(name)


def test_an_unusable_root_is_an_internal_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InternalError):
        asyncio.run(LocalVolumeStore(tmp_path / "file").create("data"))
