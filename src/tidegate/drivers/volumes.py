"""Local volumes as directories: fits ``engine.ports.VolumeStore``.

- a volume is ROOT/NAME/_data; names are checked here once more, since they become paths;
- ``copy_up`` fills an empty volume through a temporary sibling directory that is renamed into place, so that a crash
  leaves it empty or filled, never half filled. Ownership, modes, times, xattrs, links and device nodes are kept;
- a volume that is a device has it mounted there: it is filled in place;
- no symlink of the source is followed.
"""

import asyncio
import os
import re
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tidegate.base.errors import InternalError, InvalidParameterError, NotFoundError
from tidegate.drivers.mounts.devices import mount_device, unmount_all
from tidegate.drivers.project_limits import FIRST_OF_VOLUMES, ProjectLimits
from tidegate.engine.mounts.volume_options import DeviceMount
from tidegate.kernel.mounts import mount_points
from tidegate.kernel.project_quotas import project_number
from tidegate.kernel.tree_size import tree_bytes

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_FILLING = "_filling"
_T = TypeVar("_T")


class LocalVolumeStore:
    """Volumes under one root directory."""

    def __init__(self, root: Path, host_mounts: Path = Path("/proc/self/ns/mnt")) -> None:
        """``host_mounts`` is the host's mount namespace."""
        self._root, self._host_mounts = root, host_mounts
        self._limits = ProjectLimits(FIRST_OF_VOLUMES, lambda: root.glob("*/_data"), "a volume")

    def path(self, name: str) -> Path:
        """Where the volume's data is. Raises InvalidParameterError for a name that is none."""
        if not NAME.fullmatch(name) or len(name) > 255:
            raise InvalidParameterError(
                f'create {name}: "{name}" includes invalid characters for a local volume name, '
                'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
                "If you intended to pass a host directory, use absolute path"
            )
        return self._root / name / "_data"

    async def create(self, name: str, most_bytes: int = 0) -> Path:
        """See ``VolumeStore``; one that exists is left as it is. Raises InternalError."""
        path = self.path(name)
        return await _in_thread(lambda: self._make(path, most_bytes))

    async def copy_up(self, name: str, source: Path) -> None:
        """Fill an empty volume. Raises NotFoundError for no such volume, InternalError."""
        path = self.path(name)
        await _in_thread(lambda: _fill(path, source))

    async def mount(self, name: str, wanted: DeviceMount) -> None:
        """See ``VolumeStore``. Raises InternalError with the kernel's reason."""
        path = self.path(name)
        await _in_thread(lambda: _mount(wanted, path, self._host_mounts))

    async def unmount(self, name: str) -> None:
        """See ``VolumeStore``. Raises InternalError."""
        path = self.path(name)
        await _in_thread(lambda: unmount_all(path))

    async def remove(self, name: str) -> None:
        """Remove volume and data, never what is mounted; one already gone is success. Raises InternalError."""
        path = self.path(name).parent
        await _in_thread(lambda: _remove(path))

    async def names(self) -> Sequence[str]:
        """Every volume. Raises InternalError."""
        return await _in_thread(lambda: _names(self._root))

    async def usage_bytes(self, name: str) -> int:
        """Size of the data. Raises InternalError."""
        path = self.path(name)
        return await _in_thread(lambda: tree_bytes(path))

    def _make(self, path: Path, most_bytes: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o701)
        path.mkdir(exist_ok=True, mode=0o755)
        if most_bytes and not any(path.iterdir()):
            self._limits.limit([path], most_bytes)
        return path


async def _in_thread(work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(work)
    except (OSError, shutil.Error) as error:
        raise InternalError(f"volume store: {error}") from error


def _mount(wanted: DeviceMount, path: Path, host_mounts: Path) -> None:
    if str(path) not in mount_points(str(path)):
        mount_device(wanted, path, host_mounts)


def _remove(directory: Path) -> None:
    if not directory.exists():
        return
    unmount_all(directory / "_data")
    below = mount_points(str(directory))
    if below:
        raise InternalError(f"remove {directory.name}: something is mounted at {below[0]}")
    shutil.rmtree(directory)


def _names(root: Path) -> Sequence[str]:
    if not root.exists():
        return []
    return sorted(each.name for each in root.iterdir() if (each / "_data").is_dir())


def _fill(target: Path, source: Path) -> None:
    if not target.is_dir():
        raise NotFoundError(f"get {target.parent.name}: no such volume")
    if source.is_symlink() or not source.is_dir() or any(target.iterdir()):
        return
    # Of another filesystem, or limited in what is written there: nothing can be renamed to it.
    if str(target) in mount_points(str(target)) or project_number(target):
        _copy_entries(source, target)
        return
    filling = target.with_name(_FILLING)
    if filling.exists():
        shutil.rmtree(filling)
    _copy_tree(source, filling)
    filling.rename(target)  # rename(2) replaces an empty directory


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir()
    _copy_entries(source, target)


def _copy_entries(source: Path, target: Path) -> None:
    links: dict[tuple[int, int], Path] = {}
    with os.scandir(source) as entries:
        for entry in entries:
            _copy_entry(Path(entry.path), target / entry.name, links)
    _copy_attributes(source, target)


def _copy_entry(source: Path, target: Path, links: dict[tuple[int, int], Path]) -> None:
    status = source.lstat()
    identity = (status.st_dev, status.st_ino)
    if stat.S_ISDIR(status.st_mode):
        _copy_tree(source, target)
        return
    if status.st_nlink > 1 and identity in links:
        target.hardlink_to(links[identity])
        return
    if stat.S_ISREG(status.st_mode):
        shutil.copyfile(source, target, follow_symlinks=False)
    elif stat.S_ISLNK(status.st_mode):
        target.symlink_to(source.readlink())
    elif not stat.S_ISSOCK(status.st_mode):
        os.mknod(target, status.st_mode, status.st_rdev)
    else:
        return  # a socket of a process that is not there
    links[identity] = target
    _copy_attributes(source, target)


def _copy_attributes(source: Path, target: Path) -> None:
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)  # after chown, which clears set-id bits
