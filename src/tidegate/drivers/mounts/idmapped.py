"""Mounts whose owners are shifted into a user namespace, the data on disk staying what it is.

- overlayfs itself cannot be idmapped, its layers can (Linux 5.19): each is cloned with the mapping, mounted upon, and
  the clones are taken down again, since the overlay keeps its own.
- What overlayfs makes in its work directory belongs to whoever mounted it: that has to be somebody who is mapped.

Source: Documentation/filesystems/idmappings.rst; mount_setattr(2), MOUNT_ATTR_IDMAP.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tidegate.base.errors import NotSupportedError
from tidegate.drivers.mounts.devices import clone_path, unmount_all
from tidegate.kernel.mount_trees import MOUNT_ATTR_IDMAP, attach_tree, set_tree_attributes

_REFUSED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class MappedIds(NamedTuple):
    """``userns_fd`` has the mapping; ``uid`` and ``gid`` are root of the container, as the host sees it."""

    userns_fd: int
    uid: int
    gid: int


def clone_mapped(path: str, ids: MappedIds, *, recursive: bool = True) -> int:
    """A detached clone with the mapping. Raises NotSupportedError where the filesystem has none, OSError."""
    return map_tree(clone_path(path, recursive=recursive), path, ids)


def map_tree(tree_fd: int, path: str, ids: MappedIds) -> int:
    """Give a detached tree the mapping; closed on an error, which is as ``clone_mapped`` raises it."""
    try:
        set_tree_attributes(tree_fd, MOUNT_ATTR_IDMAP, userns_fd=ids.userns_fd)
    except OSError as error:
        os.close(tree_fd)
        if error.errno not in _REFUSED:
            raise
        raise NotSupportedError(
            f"the filesystem of {path} cannot be mapped into a user namespace (idmapped mounts: Linux 5.12 and a "
            "filesystem that has them): run the container with --userns=host"
        ) from error
    return tree_fd


@contextlib.contextmanager
def mapped_layers(paths: Sequence[str], ids: MappedIds, stage: Path) -> Iterator[Sequence[str]]:
    """The directories with the mapping, below ``stage`` while the context lasts. Raises as ``clone_mapped``."""
    slots = [stage / str(number) for number in range(len(paths))]
    try:
        for path, slot in zip(paths, slots, strict=True):
            slot.mkdir(parents=True, exist_ok=True)
            unmount_all(slot)
            tree_fd = clone_mapped(path, ids, recursive=False)
            try:
                attach_tree(tree_fd, slot)
            finally:
                os.close(tree_fd)
        yield [str(slot) for slot in slots]
    finally:
        for slot in slots:
            unmount_all(slot)
            with contextlib.suppress(FileNotFoundError):
                slot.rmdir()
        with contextlib.suppress(FileNotFoundError):
            stage.rmdir()
