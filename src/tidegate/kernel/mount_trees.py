"""Mounts held by descriptor: open_tree(2), mount_setattr(2), and attaching with move_mount(2).

- A tree cloned here is attached nowhere: it is gone when its descriptor is closed, unless it was attached.
- What is cloned ``in_mount_namespace`` of another is a peer of the shared mounts there. It runs in a thread of its own
  that ends with it: setns(2) wants a thread that shares no root and working directory.
- Functions raise ``OSError``.

Source: open_tree in Documentation/filesystems/mount_api.rst, mount_setattr(2), mount_namespaces(7).
"""

import ctypes
import os
import struct
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import TypeVar

from tidegate.kernel.syscalls import CLONE_NEWNS, setns, unshare

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_IDMAP = 0x00100000
_CLONE_FS = 0x00000200
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE = 1
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x04, 0x40
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
T = TypeVar("T")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def clone_tree(path_fd: int, *, recursive: bool = True) -> int:
    """A detached copy of what is mounted at an open file or directory, as a close-on-exec descriptor."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    result = _libc.syscall(ctypes.c_long(_SYS_OPEN_TREE), ctypes.c_int(path_fd), b"", ctypes.c_uint(flags))
    return _check(result, "open_tree")


def attach_tree(tree_fd: int, target: Path) -> None:
    """Attach a detached tree; ``target`` is a directory or a file as the tree's root is, and no symlink."""
    target_fd = os.open(target, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
        result = _libc.syscall(
            ctypes.c_long(_SYS_MOVE_MOUNT), ctypes.c_int(tree_fd), b"", ctypes.c_int(target_fd), b"",
            ctypes.c_uint(flags),
        )  # fmt: skip
        _check(result, str(target))
    finally:
        os.close(target_fd)


def set_tree_attributes(
    tree_fd: int, attributes: int = 0, *, propagation: int = 0, userns_fd: int = 0, recursive: bool = True
) -> None:
    """mount_setattr(2) on a tree; MOUNT_ATTR_IDMAP takes the mapping of the user namespace ``userns_fd``."""
    asked = struct.pack("QQQQ", attributes, 0, propagation, userns_fd)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_int(tree_fd), b"", ctypes.c_uint(flags), asked,
        ctypes.c_size_t(len(asked)),
    )  # fmt: skip
    _check(result, "mount_setattr")


def in_mount_namespace(mount_namespace_fd: int, work: Callable[[], T]) -> T:
    """Run ``work`` in a thread that has entered the namespace, and ends there."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            unshare(_CLONE_FS)
            setns(mount_namespace_fd, CLONE_NEWNS)
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - carried to the caller, who raises it
            future.set_exception(error)

    thread = Thread(target=run, name="mount-namespace")
    thread.start()
    thread.join()
    return future.result()
