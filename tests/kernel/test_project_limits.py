"""Limits of root filesystems by project quotas, on an ext4 image of the test's own in a mount namespace of its own."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.base.errors import NotSupportedError
from tidegate.drivers.rootfs.overlay import OverlayRootFilesystems

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
NO_QUOTAS = 77
STORY = """
import asyncio, errno, os, sys
from pathlib import Path
from tidegate.drivers.rootfs.overlay import OverlayRootFilesystems
from tidegate.drivers.project_limits import FIRST, FIRST_OF_VOLUMES
from tidegate.drivers.volumes import LocalVolumeStore
from tidegate.kernel.project_quotas import project_limit, project_of

root = Path(sys.argv[1])
filesystems = OverlayRootFilesystems(root, lambda chain_id: root / chain_id)

def write(path, size):
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())

async def story():
    await filesystems.prepare("small", [], 4 << 20)
    await filesystems.prepare("other", [], 8 << 20)
    await filesystems.prepare("open", [])
    numbers = [project_of(root / "rootfs" / name / "upper") for name in ("small", "other", "open")]
    assert numbers == [FIRST + 1, FIRST + 2, 0], numbers
    assert project_of(root / "rootfs/small") == 0
    assert project_limit(root, FIRST + 2) == 8 << 20
    merged = {name: await filesystems.mount(name) for name in ("small", "other", "open")}
    write(merged["open"] / "file", 12 << 20)
    write(merged["other"] / "file", 6 << 20)
    try:
        write(merged["small"] / "file", 6 << 20)
    except OSError as error:
        print("stopped", errno.errorcode[error.errno])
    (merged["small"] / "file").unlink()
    write(merged["small"] / "file", 2 << 20)
    for name in merged:
        await filesystems.unmount(name)
    await filesystems.remove("other")
    await OverlayRootFilesystems(root, lambda chain_id: root / chain_id).prepare("next", [], 8 << 20)
    print("next", project_of(root / "rootfs/next/upper") - FIRST)
    volumes = LocalVolumeStore(root / "volumes")
    path = await volumes.create("v", 4 << 20)
    await volumes.create("v", 4 << 20)
    assert project_of(path) == FIRST_OF_VOLUMES + 2, project_of(path) - FIRST_OF_VOLUMES
    (root / "image/kept").mkdir(parents=True)
    await volumes.copy_up("v", root / "image")
    try:
        write(path / "file", 6 << 20)
    except OSError as error:
        print("stopped", errno.errorcode[error.errno])

asyncio.run(story())
"""


@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="no mkfs.ext4 on this machine")
def test_a_container_is_stopped_where_its_limit_is_and_no_other(tmp_path: Path) -> None:
    image, root, script = tmp_path / "image", tmp_path / "root", tmp_path / "story.py"
    root.mkdir()
    script.write_text(STORY)
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "project,quota", str(image)], check=True)
    inside = f"mount -o loop,prjquota {image} {root} 2>/dev/null || exit {NO_QUOTAS}; {sys.executable} {script} {root}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", inside], capture_output=True, check=False)
    if done.returncode == NO_QUOTAS:
        pytest.skip("this kernel has no project quotas")
    assert done.returncode == 0, done.stderr.decode()
    stopped, number, volume_stopped = done.stdout.decode().splitlines()
    assert {stopped, volume_stopped} <= {"stopped EDQUOT", "stopped ENOSPC"}
    assert number == "next 3"


def test_where_the_disk_keeps_no_limit_it_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "tmpfs"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(root)], check=True)
    try:
        filesystems = OverlayRootFilesystems(root, lambda chain_id: root / chain_id)
        with pytest.raises(NotSupportedError, match="only where the data root has project quotas"):
            asyncio.run(filesystems.prepare("c", [], 1 << 20))
    finally:
        subprocess.run(["umount", str(root)], check=True)
