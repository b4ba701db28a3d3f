"""Mounts made for the runtime to bind: parts of volumes, views of images, peers of the host's shared mounts.

- A staged mount is STAGE/KEY/NUMBER; the runtime binds it into the container, which keeps it alive. So it is needed
  only until the container has started, and ``clear`` takes down whatever is left of a key: it is idempotent.
- A bind is a clone made in the host's mount namespace, of which the engine's own is a slave at best: what is mounted
  there now is seen, and a mount made in a shared one appears there. Every other clone is made a slave at once, and a
  shared one before it is taken down: unmounting a peer would unmount the host's too.
- A subpath is opened by the kernel beneath its volume (openat2(2), RESOLVE_BENEATH) and cloned from that descriptor:
  whoever shares the volume and exchanges a directory for a symlink meanwhile leads nowhere.

Source: mount_namespaces(7); moby's volume/safepath and daemon/oci_linux.go for the texts.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tidegate.base.errors import InternalError, InvalidParameterError, TidegateError
from tidegate.drivers.mounts.devices import clone_path, unmount_all
from tidegate.drivers.mounts.idmapped import MappedIds, clone_mapped, map_tree, mapped_layers
from tidegate.drivers.rootfs.overlay import mount_layers
from tidegate.engine.mounts.points import MountPoint
from tidegate.kernel import mounts
from tidegate.kernel.mount_trees import attach_tree, clone_tree, in_mount_namespace
from tidegate.kernel.paths import open_beneath

T = TypeVar("T")

_SHARED = frozenset({"shared", "rshared"})
_SLAVE = frozenset({"slave", "rslave"})


class MountStage:
    """``host_mounts`` is the host's mount namespace; ``layer_path`` says where a chain id is unpacked."""

    def __init__(
        self, root: Path, volume_path: Callable[[str], Path], layer_path: Callable[[str], Path], host_mounts: Path
    ) -> None:
        self._empty = root.with_name(f"{root.name}-empty")
        self._root, self._volume_path, self._layer_path = root, volume_path, layer_path
        self._host_mounts = host_mounts

    def exists(self, path: str) -> bool:
        """Whether the path is there on the host."""
        return self._on_host(lambda: Path(os.path.normpath(path)).exists())

    def stage(self, key: str, points: Sequence[MountPoint], ids: MappedIds | None = None) -> Sequence[str]:
        """For each mount the path that the runtime binds, "" for a tmpfs; a failure leaves what ``clear`` finds.

        With ``ids`` volumes and images are mapped, binds are not: the host's files keep the host's owners.

        Raises InvalidParameterError for what is not there or cannot be as asked, InternalError.
        """
        return [self._source(self._root / key / str(number), point, ids) for number, point in enumerate(points)]

    def stage_path(self, key: str, name: str, path: str, ids: MappedIds | None = None) -> str:
        """A file or directory of the engine's own where the runtime reaches it, whoever it runs as."""
        try:
            return _attach(
                clone_mapped(path, ids) if ids else clone_path(path, recursive=True), self._root / key / name
            )
        except OSError as error:
            raise InternalError(f"cannot stage {path}: {error}") from error

    def clear(self, key: str) -> None:
        """Take down what was staged; nothing staged is success. Raises InternalError."""
        home = self._root / key
        if not home.is_dir():
            return
        try:
            for entry in home.iterdir():
                unmount_all(entry)
                if entry.is_dir():
                    entry.rmdir()
                else:
                    entry.unlink()
            home.rmdir()
        except OSError as error:
            raise InternalError(f"cannot take down the mounts staged for {key}: {error}") from error

    def clear_all(self) -> None:
        """At boot: whatever an engine that was killed has left. Raises InternalError."""
        if self._root.is_dir():
            for home in list(self._root.iterdir()):
                self.clear(home.name)

    def _source(self, slot: Path, point: MountPoint, ids: MappedIds | None) -> str:
        try:
            match point.kind:
                case "bind":
                    return self._bind(slot, point)
                case "volume":
                    path = self._volume_path(point.source)
                    if point.subpath:
                        return _beneath(path, point.subpath, slot, ids)
                    return _attach(clone_mapped(str(path), ids), slot) if ids else str(path)
                case "image":
                    return self._image(slot, point, ids)
                case "tmpfs":
                    return ""
        except TidegateError:
            raise
        except OSError as error:
            raise InternalError(f"error while mounting {point.kind} {point.source!r}: {error}") from error

    def _bind(self, slot: Path, point: MountPoint) -> str:
        tree_fd = self._on_host(lambda: _clone_of_host(point))
        return _attach(tree_fd, slot, is_shared=point.propagation in _SHARED)

    def _on_host(self, work: Callable[[], T]) -> T:
        with self._host_mounts.open("rb") as namespace:
            return in_mount_namespace(namespace.fileno(), work)

    def _image(self, slot: Path, point: MountPoint, ids: MappedIds | None) -> str:
        view, *empty = slot.with_name(f"{slot.name}-image"), self._empty / "1", self._empty / "2"
        for directory in (view, *empty):
            directory.mkdir(parents=True, exist_ok=True)
        # Read-only overlays want two directories at least, and different ones. They stay: a running container's view
        # of the image has them too.
        lower = [str(self._layer_path(chain_id)) for chain_id in reversed(point.chain_ids)]
        lower += map(str, empty[: max(1, 2 - len(lower))])
        if ids:
            with mapped_layers(lower, ids, slot.with_name(f"{slot.name}-layers")) as layers:
                mount_layers(layers, (), view, mounts.MOUNT_ATTR_RDONLY)
        else:
            mount_layers(lower, (), view, mounts.MOUNT_ATTR_RDONLY)
        return _beneath(view, point.subpath, slot) if point.subpath else str(view)


def _beneath(base: Path, subpath: str, slot: Path, ids: MappedIds | None = None) -> str:
    try:
        fd = open_beneath(base, subpath)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise InvalidParameterError(
                f'path concatenation escapes the base directory, base: "{base}", subpath: "{subpath}"'
            ) from error
        reason = (error.strerror or str(error)).lower()
        raise InvalidParameterError(f"cannot access path {base / subpath}: {reason}") from error
    try:
        tree_fd = clone_tree(fd)
    finally:
        os.close(fd)
    return _attach(map_tree(tree_fd, str(base / subpath), ids) if ids else tree_fd, slot)


def _attach(tree_fd: int, slot: Path, *, is_shared: bool = False) -> str:
    """Attach a detached tree at ``slot``, made as the tree's root is; the descriptor is closed."""
    try:
        slot.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        if stat.S_ISDIR(os.fstat(tree_fd).st_mode):
            slot.mkdir()
        else:
            slot.touch(exist_ok=False)
        attach_tree(tree_fd, slot)
    finally:
        os.close(tree_fd)
    if not is_shared:
        mounts.mount("none", str(slot), flags=mounts.MS_REC | mounts.MS_SLAVE)
    return str(slot)


def _clone_of_host(point: MountPoint) -> int:
    """In the host's mount namespace."""
    source = Path(os.path.normpath(point.source))  # as the gate has read it
    if not source.exists():
        if not point.make_source:
            raise InvalidParameterError(
                f'invalid mount config for type "bind": bind source path does not exist: {source}'
            )
        source.mkdir(parents=True, mode=0o755)
    if point.propagation in _SHARED | _SLAVE:
        _check_propagates(source, is_shared=point.propagation in _SHARED)
    return clone_path(str(source), recursive=point.recursive)


def _check_propagates(source: Path, *, is_shared: bool) -> None:
    mountinfo = Path("/proc/thread-self/mountinfo").read_text(errors="surrogateescape")
    point, fields = mounts.mount_of(str(source.resolve()), mountinfo)
    wanted = ("shared:",) if is_shared else ("shared:", "master:")
    if not any(field.startswith(wanted) for field in fields):
        what = "a shared mount" if is_shared else "a shared or slave mount"
        raise InvalidParameterError(f"path {source} is mounted on {point} but it is not {what}")
