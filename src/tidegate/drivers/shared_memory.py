"""``/dev/shm`` of a container that others may join: a tmpfs in the engine's mount namespace, in its home.

It is mounted when the container starts, and unmounted with its root filesystem (``drivers/rootfs/overlay.py``); who
has joined keeps it.
"""

import contextlib
import errno
from pathlib import Path

from tidegate.base.errors import InternalError
from tidegate.kernel import mounts

NAME = "shm"
_FLAGS = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC


def mount_shared_memory(home: Path, size_bytes: int) -> Path:
    """Where it is; one that is there is kept, as after a start that failed half-way. Raises InternalError."""
    path = home / NAME
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        if not path.is_mount():
            mounts.mount("shm", str(path), "tmpfs", _FLAGS, f"mode=1777,size={size_bytes}")
    except OSError as error:
        raise InternalError(f"cannot mount the shared memory of {home.name}: {error}") from error
    return path


def unmount_shared_memory(home: Path) -> None:
    """One that is not there is success. Raises InternalError."""
    path = home / NAME
    while path.is_mount():
        try:
            mounts.umount2(str(path), mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return
            raise InternalError(f"cannot unmount the shared memory of {home.name}: {error}") from error
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()
