"""Volumes that are devices, on the real kernel."""

import asyncio
import os
from pathlib import Path

import pytest

from tidegate.base.errors import InternalError
from tidegate.drivers.volumes import LocalVolumeStore
from tidegate.engine.mounts.volume_options import DeviceMount, device_mount
from tidegate.kernel import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def wanted(**options: str) -> DeviceMount:
    found = device_mount(options)
    assert found is not None
    return found


def test_a_tmpfs_comes_and_goes(tmp_path: Path) -> None:
    async def body() -> None:
        store = LocalVolumeStore(tmp_path / "volumes")
        path = await store.create("v")
        tmpfs = wanted(type="tmpfs", device="tmpfs", o="size=64k,noexec,mode=700")
        await store.mount("v", tmpfs)
        await store.mount("v", tmpfs)
        assert mounts.mount_points(str(path)) == (str(path),)
        assert path.stat().st_mode & 0o777 == 0o700
        (tmp_path / "image/etc").mkdir(parents=True)
        (tmp_path / "image/etc/name").write_text("from the image")
        await store.copy_up("v", tmp_path / "image")
        assert (path / "etc/name").read_text() == "from the image"
        await store.unmount("v")
        await store.unmount("v")
        assert list(path.iterdir()) == []
        await store.mount("v", tmpfs)
        await store.remove("v")
        assert mounts.mount_points(str(tmp_path)) == () and not path.exists()

    asyncio.run(body())


def test_a_directory_of_the_host_outlives_its_volume(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "below").mkdir(parents=True)

    async def body() -> None:
        store = LocalVolumeStore(tmp_path / "volumes")
        path = await store.create("v")
        await store.mount("v", wanted(type="none", device=str(shared), o="rbind,ro"))
        assert (path / "below/file").read_text() == "kept"
        with pytest.raises(OSError, match="Read-only file system"):
            (path / "x").touch()
        await store.remove("v")

    mounts.mount("tmpfs", str(shared), "tmpfs")
    try:
        mounts.mount("none", str(shared), flags=mounts.MS_SHARED)
        (shared / "below").mkdir()
        mounts.mount("tmpfs", str(shared / "below"), "tmpfs")
        (shared / "below/file").write_text("kept")
        asyncio.run(body())
        assert (shared / "below/file").read_text() == "kept"
    finally:
        mounts.umount2(str(shared), mounts.MNT_DETACH)
    assert mounts.mount_points(str(tmp_path)) == ()


def test_what_cannot_be_mounted_is_told_without_a_password(tmp_path: Path) -> None:
    async def body() -> None:
        store = LocalVolumeStore(tmp_path / "volumes")
        path = await store.create("v")
        with pytest.raises(InternalError) as caught:
            await store.mount("v", wanted(type="none", device="/no/such/place", o="bind"))
        assert caught.value.message.endswith(f"mount /no/such/place:{path}, flags: 0x1000: no such file or directory")
        with pytest.raises(InternalError) as caught:
            await store.mount("v", wanted(type="nosuchfs", device="x", o="password=secret"))
        assert "secret" not in caught.value.message and "no such device" in caught.value.message
        await store.remove("v")

    asyncio.run(body())
