"""System calls that Python 3.11 has no function for, through ctypes.

- Each function is named after its system call and raises OSError with errno, as ``os`` does.
- ``unshare`` and ``setns`` act on the calling thread only: see ``namespaces`` for who may call them.
"""

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, name: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (unshare(2))."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """Move the calling thread into the namespace (or those of the pidfd) that ``fd`` refers to (setns(2))."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)), "setns")


def pidfd_open(pid: int) -> int:
    """A close-on-exec descriptor for the process (pidfd_open(2)); readable once it has ended."""
    return os.pidfd_open(pid)


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """Signal the very process the descriptor is for, never one that reuses its pid; gone is ProcessLookupError."""
    signal.pidfd_send_signal(pidfd, number)
