"""Writable root filesystems of containers on overlayfs; fits ``RootFilesystems`` of ``engine/ports.py``.

Layout: ``DATA_ROOT/rootfs/CONTAINER_ID/{upper,work,merged,lower}``; ``lower`` is a text file of chain ids, base first,
written last by ``prepare``, so that a directory without it is a preparation that was cut off and can be removed. What
was removed lies in ``DATA_ROOT/trash`` until it has been deleted.

- Layers are mounted with ``lowerdir+`` (Linux 6.7): one option a layer, so that their number is not limited by a page
  of options. Older kernels (Debian 12's) get mount(2), with layers named by descriptors where their paths do not fit:
  about 200 then do, which is more than the 128 that dockerd takes.
- Blocking work runs in a thread. ``mount``, ``unmount`` and ``remove`` are idempotent.
- Who reads the files of a container holds its root filesystem: whichever ends last, container or hold, unmounts it.
- A container in a user namespace has its layers mapped as they are mounted (``drivers/mounts/idmapped.py``): what is
  on disk keeps the ids that the container sees, and may be mounted without the mapping another time.
- Directories are never redirected nor files copied up without their content: an upper directory alone tells what its
  container changed.

Source: Documentation/filesystems/overlayfs.rst, sections "Multiple lower layers" and "Permission model".
"""

import asyncio
import contextlib
import errno
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from tidegate.base.errors import InternalError, InvalidParameterError, NotFoundError, NotSupportedError
from tidegate.drivers.mounts.idmapped import MappedIds, mapped_layers
from tidegate.drivers.project_limits import FIRST, ProjectLimits
from tidegate.drivers.rootfs.trash import Trash
from tidegate.drivers.shared_memory import unmount_shared_memory
from tidegate.engine.file_ports import WritableLayer
from tidegate.kernel import mounts
from tidegate.kernel.credentials import with_filesystem_ids
from tidegate.kernel.tree_size import tree_bytes

_OPTIONS_PAGE_BYTES = 4095  # mount(2): data is at most a page with its NUL
_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_NO_SUCH_OPTION = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class OverlayRootFilesystems:
    """``layer_path`` answers where the layer of a chain id is unpacked.

    ``ids`` is the mapping of containers that have one; their layers are staged in ``stage`` while they are mounted.
    """

    def __init__(
        self,
        data_root: Path,
        layer_path: Callable[[str], Path],
        ids: Callable[[], MappedIds] | None = None,
        stage: Path = Path("/run/tidegate/mounts"),
    ) -> None:
        self._root = data_root / "rootfs"
        self._ids, self._stage = ids, stage
        self._layer_path = layer_path
        self.trash = Trash(data_root / "trash")
        self._limits = ProjectLimits(FIRST, self._written, "StorageOpt size: the root filesystem")
        self._holds: Counter[str] = Counter()
        self._left_mounted: set[str] = set()

    async def prepare(self, container_id: str, chain_ids: Sequence[str], most_bytes: int = 0) -> None:
        """Raises NotFoundError when a layer is missing; NotSupportedError for a limit that the disk does not keep;
        InternalError when the disk refuses."""
        await asyncio.to_thread(self._prepare, self._home(container_id), tuple(chain_ids), most_bytes)

    async def mount(self, container_id: str, *, mapped: bool = False) -> Path:
        """Raises NotFoundError when it was never prepared, NotSupportedError on a kernel too old for the layers."""
        self._left_mounted.discard(container_id)
        return await asyncio.to_thread(self._mount, self._home(container_id), mapped)

    async def unmount(self, container_id: str) -> None:
        """Raises InternalError when the kernel refuses; one not mounted is success. One that is held is left to it."""
        if self._holds[container_id]:
            self._left_mounted.add(container_id)
            return
        await asyncio.to_thread(_unmount_home, self._home(container_id))

    @contextlib.asynccontextmanager
    async def hold(self, container_id: str, *, mapped: bool = False) -> AsyncIterator[Path]:
        """Mounted for as long as the context lasts: one upper directory must not be mounted twice."""
        merged = self._home(container_id) / "merged"
        if not self._holds[container_id] and not await asyncio.to_thread(merged.is_mount):
            self._left_mounted.add(container_id)
        self._holds[container_id] += 1
        try:
            yield await asyncio.to_thread(self._mount, self._home(container_id), mapped)
        finally:
            self._holds -= Counter([container_id])
            if not self._holds[container_id] and container_id in self._left_mounted:
                self._left_mounted.discard(container_id)
                await asyncio.shield(self.unmount(container_id))

    async def remove(self, container_id: str) -> None:
        """Raises InternalError when the disk refuses; one already gone is success."""
        await asyncio.to_thread(self._remove, self._home(container_id))

    def writable_layer(self, container_id: str) -> WritableLayer:
        """Where the container's layers are. Raises NotFoundError when they were never prepared."""
        home = self._home(container_id)
        return WritableLayer(home / "upper", [self._existing_layer(each) for each in reversed(_chain_ids(home))])

    async def container_ids(self) -> Sequence[str]:
        return await asyncio.to_thread(self._container_ids)

    async def usage_bytes(self, container_id: str) -> int:
        """Bytes written by the container: the apparent size of the upper directory, hard links counted once."""
        return await asyncio.to_thread(tree_bytes, self._home(container_id) / "upper")

    def _written(self) -> Iterator[Path]:
        """Of those that are and those on their way out."""
        for parent in (self._root, self._root.with_name("trash")):
            for home in parent.iterdir() if parent.is_dir() else ():
                yield home / "upper"

    def _home(self, container_id: str) -> Path:
        if not _CONTAINER_ID.fullmatch(container_id):
            raise InvalidParameterError(f"invalid container id {container_id!r}")
        return self._root / container_id

    def _container_ids(self) -> Sequence[str]:
        return sorted(entry.name for entry in self._root.iterdir()) if self._root.is_dir() else ()

    def _prepare(self, home: Path, chain_ids: Sequence[str], most_bytes: int) -> None:
        layers = [self._existing_layer(chain_id) for chain_id in chain_ids]
        try:
            home.mkdir(mode=0o710, parents=True, exist_ok=True)
            for name in ("upper", "work", "merged", "empty"):
                (home / name).mkdir(mode=0o755, exist_ok=True)
            if layers:  # the upper directory's attributes are those of the merged root
                top = layers[-1].stat()
                os.chown(home / "upper", top.st_uid, top.st_gid)
                (home / "upper").chmod(top.st_mode & 0o7777)
            if most_bytes:
                self._limits.limit([home / "upper", home / "work"], most_bytes)
            temporary = home / "lower.tmp"
            temporary.write_text("".join(f"{chain_id}\n" for chain_id in chain_ids))
            temporary.replace(home / "lower")
        except OSError as error:
            raise InternalError(f"cannot prepare the root filesystem of {home.name}: {error}") from error

    def _existing_layer(self, chain_id: str) -> Path:
        path = self._layer_path(chain_id)
        if not path.is_dir():
            raise NotFoundError(f"layer does not exist: {chain_id}")
        return path

    def _mount(self, home: Path, mapped: bool) -> Path:
        merged = home / "merged"
        chain_ids = _chain_ids(home)
        if merged.is_mount():
            return merged
        # overlayfs wants the topmost lower directory first, and at least one
        lower = [str(self._existing_layer(chain_id)) for chain_id in reversed(chain_ids)] or [str(home / "empty")]
        try:
            if mapped:
                self._mount_mapped(home, lower)
            else:
                mount_layers(lower, _writable(home), merged)
        except OSError as error:
            raise InternalError(f"cannot mount the root filesystem of {home.name}: {error}") from error
        return merged

    def _mount_mapped(self, home: Path, lower: Sequence[str]) -> None:
        if self._ids is None:
            raise InternalError("there is no mapping for a user namespace")
        ids = self._ids()
        # Not below the container's own directory: what is removed there must never be a layer.
        stage = self._stage / f"{home.name}.layers"
        with mapped_layers([str(home), *lower], ids, stage) as (own, *layers):
            with_filesystem_ids(ids.uid, ids.gid, lambda: mount_layers(layers, _writable(Path(own)), home / "merged"))

    def _remove(self, home: Path) -> None:
        _unmount_home(home)
        try:
            self.trash.put(home)
        except OSError as error:
            raise InternalError(f"cannot remove the root filesystem of {home.name}: {error}") from error


def _writable(home: Path) -> Sequence[tuple[str, str]]:
    return [("upperdir", str(home / "upper")), ("workdir", str(home / "work"))]


def _chain_ids(home: Path) -> Sequence[str]:
    try:
        return (home / "lower").read_text().split()
    except FileNotFoundError as error:
        raise NotFoundError(f"no root filesystem prepared for container {home.name}") from error


def mount_layers(lower: Sequence[str], options: Sequence[tuple[str, str]], target: Path, attributes: int = 0) -> None:
    """``lower`` topmost first; ``attributes`` of mount_setattr(2), of which an old kernel knows read-only.

    Raises OSError; NotSupportedError when only a newer kernel could mount them.
    """
    options = [*options, *_tuning(Path("/sys/module/overlay/parameters"))]
    if not knows_lowerdir_plus(os.uname().release):  # asking an older kernel costs a line in its log each time
        mount_by_data(lower, options, target, attributes & mounts.MS_RDONLY)
        return
    try:
        each = [("lowerdir+", path) for path in lower]
        mounts.mount_filesystem("overlay", "overlay", str(target), [*each, *options], attributes)
    except OSError as error:
        if error.errno not in _NO_SUCH_OPTION:
            raise
        mount_by_data(lower, options, target, attributes & mounts.MS_RDONLY)


def knows_lowerdir_plus(release: str) -> bool:
    """Whether a kernel of this release (``uname -r``) is new enough, 6.7 or later."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (6, 7)


def mount_by_data(lower: Sequence[str], options: Sequence[tuple[str, str]], target: Path, flags: int = 0) -> None:
    """mount(2). Raises OSError; NotSupportedError when even the shortest names do not fit."""
    with contextlib.ExitStack() as held:
        if len(os.fsencode(_mount_data(lower, options))) > _OPTIONS_PAGE_BYTES:
            lower = [f"/proc/self/fd/{_held_open(path, held)}" for path in lower]
        mounts.mount("overlay", str(target), "overlay", flags, plan_mount_data(lower, options))


def _held_open(path: str, held: contextlib.ExitStack) -> int:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    held.callback(os.close, fd)
    return fd


def plan_mount_data(lower: Sequence[str], options: Sequence[tuple[str, str]]) -> str:
    """The option string for mount(2), for kernels without ``lowerdir+``; colons, commas and backslashes escaped.

    Raises NotSupportedError when it does not fit in a page.
    """
    data = _mount_data(lower, options)
    if len(os.fsencode(data)) > _OPTIONS_PAGE_BYTES:
        raise NotSupportedError(
            f"this kernel cannot mount an image of {len(lower)} layers: overlayfs with lowerdir+ needs Linux 6.7"
        )
    return data


def _mount_data(lower: Sequence[str], options: Sequence[tuple[str, str]]) -> str:
    fields = [("lowerdir", ":".join(_escape(path, ":") for path in lower))]
    fields += [(key, _escape(value)) for key, value in options]
    return ",".join(f"{key}={value}" for key, value in fields)


def _escape(path: str, extra: str = "") -> str:
    return "".join(f"\\{character}" if character in "\\," + extra else character for character in path)


def _tuning(parameters: Path) -> list[tuple[str, str]]:
    """What the module knows of: ``index=off``, as Docker mounts (an index would bind the upper directory to its
    layers' inodes, and a layer copied to another disk would then fail with ESTALE), and a plain upper directory."""
    return [(name, "off") for name in ("index", "redirect_dir", "metacopy") if (parameters / name).exists()]


def _unmount_home(home: Path) -> None:
    unmount_shared_memory(home)
    _unmount(home / "merged")


def _unmount(merged: Path) -> None:
    while True:
        try:
            mounts.umount2(str(merged), mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:  # not (or no longer) a mount point
                return
            raise InternalError(f"cannot unmount {merged}: {error}") from error
