"""What volumes with driver options are: a device, a remote directory, a tmpfs or a directory of the host, mounted.

- A directory of the host (``o=bind``) is the one that the host sees, as with binds (see ``stage``).
- ``unmount`` makes private first: a peer of a shared mount of the host would take that down with it.
"""

import errno
import os
import socket
from pathlib import Path

from tidegate.base.errors import InternalError
from tidegate.engine.mounts.volume_options import DeviceMount
from tidegate.kernel import mounts
from tidegate.kernel.mount_trees import attach_tree, clone_tree, in_mount_namespace


def mount_device(wanted: DeviceMount, target: Path, host_mounts: Path) -> None:
    """Mount it. Raises InternalError with the kernel's reason, without a password."""
    try:
        if wanted.flags & mounts.MS_BIND:
            _bind(wanted, target, host_mounts)
        else:
            mounts.mount(wanted.device, str(target), wanted.kind, wanted.flags, _resolved(wanted) or None)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        told = f"mount {wanted.device}:{target}, flags: {wanted.flags:#x}"
        told += f", data: {wanted.shown}" if wanted.data else ""
        raise InternalError(
            f"error while mounting volume '{target}': failed to mount local volume: {told}: {reason}"
        ) from error


def unmount_all(target: Path) -> None:
    """Whatever is mounted at ``target``, in any number; nothing is success. Raises OSError."""
    while make_private(target):
        mounts.umount2(str(target), mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)


def make_private(path: Path) -> bool:
    """A mount and all below it; False for what is none, or not there. Raises OSError."""
    try:
        mounts.mount("none", str(path), flags=mounts.MS_REC | mounts.MS_PRIVATE)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
        return False
    return True


def clone_path(path: str, *, recursive: bool) -> int:
    """A detached clone of what is mounted at a path of the calling thread's namespace. Raises OSError."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return clone_tree(fd, recursive=recursive)
    finally:
        os.close(fd)


def _bind(wanted: DeviceMount, target: Path, host_mounts: Path) -> None:
    recursive = bool(wanted.flags & mounts.MS_REC)
    with host_mounts.open("rb") as namespace:
        tree_fd = in_mount_namespace(namespace.fileno(), lambda: clone_path(wanted.device, recursive=recursive))
    try:
        attach_tree(tree_fd, target)
    finally:
        os.close(tree_fd)
    mounts.mount("none", str(target), flags=mounts.MS_REC | mounts.MS_SLAVE)
    if wanted.flags & ~(mounts.MS_BIND | mounts.MS_REC):
        mounts.mount("none", str(target), flags=mounts.MS_REMOUNT | (wanted.flags & ~mounts.MS_REC))


def _resolved(wanted: DeviceMount) -> str:
    """The kernel wants addresses where people write names."""
    if not wanted.address:
        return wanted.data
    found = socket.getaddrinfo(wanted.address, None, type=socket.SOCK_STREAM)
    return wanted.data.replace(f"addr={wanted.address}", f"addr={found[0][4][0]}")
