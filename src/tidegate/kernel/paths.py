"""Paths inside a container's root filesystem, resolved by the kernel so that no symlink leads out of it.

``openat2`` with RESOLVE_IN_ROOT (openat2(2), Linux 5.6) takes the root for ``/``, for symlinks and ``..`` alike.
"""

import ctypes
import errno
import os
import struct
from pathlib import Path

_SYS_OPENAT2 = 437
_RESOLVE_BENEATH, _RESOLVE_IN_ROOT = 0x08, 0x10
_RESOLVE_NO_MAGICLINKS = 0x02
_AGAIN = 32
_libc = ctypes.CDLL(None, use_errno=True)


def open_in_root(root: Path, container_path: str, flags: int = os.O_RDONLY) -> int:
    """A close-on-exec descriptor of ``container_path`` seen from ``root``. Raises OSError as open(2) does."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_in_root_fd(root_fd, container_path, flags)
    finally:
        os.close(root_fd)


def open_in_root_fd(root_fd: int, container_path: str, flags: int = os.O_RDONLY) -> int:
    """The same where the root is open already."""
    return _openat2(root_fd, container_path, flags, _RESOLVE_IN_ROOT)


def open_beneath(base: Path, path: str, flags: int = os.O_PATH) -> int:
    """A close-on-exec descriptor of what is below ``base``. Raises OSError, EXDEV for what would lead out of it."""
    base_fd = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _openat2(base_fd, path, flags, _RESOLVE_BENEATH)
    finally:
        os.close(base_fd)


def _openat2(root_fd: int, container_path: str, flags: int, resolve: int) -> int:
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, resolve | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_AGAIN):
        fd = int(_libc.syscall(_SYS_OPENAT2, root_fd, os.fsencode(container_path), how, len(how)))
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: a rename raced with the walk
            break
    raise OSError(number, os.strerror(number), container_path)


def directory_in_root(root: Path, container_path: str) -> Path | None:
    """The host path of a directory of the container; None when there is none."""
    try:
        fd = open_in_root(root, container_path, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return Path(f"/proc/self/fd/{fd}").readlink()
    finally:
        os.close(fd)


def make_directories_in_root(root: Path, container_path: str) -> None:
    """Make a directory of the container and its missing parents, mode 0755. A file in the way is an OSError."""
    try:
        os.close(open_in_root(root, container_path, os.O_PATH | os.O_DIRECTORY))
    except FileNotFoundError:
        parent, name = os.path.split(container_path.rstrip("/"))
        if parent not in ("", "/"):
            make_directories_in_root(root, parent)
        parent_fd = open_in_root(root, parent or "/", os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(name, 0o755, dir_fd=parent_fd)  # noqa: PTH102 - Path has no dir_fd
        finally:
            os.close(parent_fd)


def read_in_root(root: Path, container_path: str, limit_bytes: int) -> str:
    """The text of a regular file of the container, cut at the limit; empty when there is none."""
    try:
        fd = open_in_root(root, container_path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    with os.fdopen(fd, "rb") as file:
        return file.read(limit_bytes).decode("utf-8", "replace")
