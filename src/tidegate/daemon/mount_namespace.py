"""The engine's private mount namespace: container mounts are seen by engine, shim and runtime only.

- Where a shim lives, its namespace is entered: it holds the mounts of the containers that run.
- Else a new one is made that receives the host's mounts (slave). On a host with hybrid cgroups the ``cgroup2`` mount is
  hidden there, since crun refuses to start beside it.
- Called before any thread exists: setns(CLONE_NEWNS) wants a process of one thread.
"""

import os
from pathlib import Path

from tidegate.kernel.mounts import MNT_DETACH, MS_REC, MS_SLAVE, mount, umount2
from tidegate.kernel.syscalls import CLONE_NEWNS, setns, unshare

_UNIFIED = Path("/sys/fs/cgroup/unified")


def enter_mount_namespace(shim_root: Path) -> Path:
    """Returns the namespace that is left, the host's, for as long as the process lives. Raises OSError."""
    left = Path(f"/proc/self/fd/{os.open('/proc/self/ns/mnt', os.O_RDONLY | os.O_CLOEXEC)}")
    fd = _namespace_of_shim(shim_root)
    if fd is not None:
        try:
            setns(fd, CLONE_NEWNS)
        finally:
            os.close(fd)
        return left
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_SLAVE)
    if _UNIFIED.is_mount():
        umount2(str(_UNIFIED), MNT_DETACH)
    return left


def _namespace_of_shim(shim_root: Path) -> int | None:
    """The mount namespace of any process of the shim that was started with this root, told by its command line."""
    root = str(shim_root).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if root in words and any(b"tidegate.shim" in word for word in words):
                return os.open(process / "ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile; another of its processes may live
    return None
