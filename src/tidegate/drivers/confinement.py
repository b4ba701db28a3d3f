"""How a child process shuts itself in before it looks at what strangers wrote: mounts, root, capabilities.

For children that are started as ``python -I -m``; what they need of the host's files is imported before.
"""

import ctypes
import os
import resource
from collections.abc import Collection

from tidegate.kernel.mounts import MS_PRIVATE, MS_REC, mount
from tidegate.kernel.syscalls import CLONE_NEWNS, unshare

CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "MKNOD": 27, "SETFCAP": 31}
CAP_SYS_ADMIN = 21
MAX_ADDRESS_SPACE_BYTES = 1 << 31  # bounds what a hostile extended header or window makes us hold
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)  # found now: after the chroot it cannot be


def enter_private_mounts() -> None:
    """A mount namespace whose mounts nobody else sees. Raises OSError."""
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)


def enter_root(root_fd: int) -> None:
    """Take the directory for ``/``; its descriptor, and no other of the host's, may stay open. Raises OSError."""
    os.fchdir(root_fd)
    os.chroot(".")


def give_up_privileges(kept: Collection[int] = tuple(CAPABILITIES.values())) -> None:
    """All capabilities but ``kept``, for ever; no core dumps, bounded memory. Raises OSError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))
    bits = sum(1 << number for number in kept)
    for number in range(64):
        if not bits >> number & 1:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # EINVAL above the kernel's last capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    _call("capset", header, (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0))
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def confine(target: str) -> None:
    """Shut in below ``target``, in private mounts. Raises OSError."""
    enter_private_mounts()
    root_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        enter_root(root_fd)
    finally:
        os.close(root_fd)
    give_up_privileges()


def sync_filesystem(fd: int) -> None:
    """syncfs(2). Raises OSError."""
    _call("syncfs", fd)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
