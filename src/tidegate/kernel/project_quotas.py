"""Limits on how much disk a directory tree takes: project quotas of xfs and ext4.

A directory belongs to a project, and what is made in it inherits that; the filesystem counts and limits each project.
Both filesystems are told through the same calls: ioctl(2) FS_IOC_FSSETXATTR, and quotactl_fd(2) (Linux 5.14) with the
commands of xfs, which the kernel translates for the others.

Sources: include/uapi/linux/fs.h, include/uapi/linux/dqblk_xfs.h, quotactl(2).
"""

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SYS_QUOTACTL_FD = 443
_PRJQUOTA = 2
_Q_XSETQLIM, _Q_XGETQUOTA = (ord("X") << 8) + 4, (ord("X") << 8) + 3
_FS_IOC_FSGETXATTR, _FS_IOC_FSSETXATTR = 0x801C581F, 0x401C5820
_FS_XFLAG_PROJINHERIT = 0x200
_FSXATTR = struct.Struct("=IIIII8s")  # xflags, extsize, nextents, projid, cowextsize, pad
_XFS_PROJ_QUOTA = 2
_FS_DQ_BHARD = 1 << 3
_BLOCK_BYTES = 512
# version, flags, fieldmask, id; limits and counts of blocks and inodes; timers, warnings; real-time; padding
_DQUOT = struct.Struct("=bbHI6QiiHHi3QiHh8s")
_libc = ctypes.CDLL(None, use_errno=True)


def project_of(directory: Path) -> int:
    """The number of the directory's project, 0 for none. Raises OSError where the filesystem knows no projects."""
    with _opened(directory) as fd:
        return int(_attributes(fd)[3])


def project_number(directory: Path) -> int:
    """The same, 0 also where the filesystem knows no projects."""
    try:
        return project_of(directory)
    except OSError:  # ENOTTY, EOPNOTSUPP: then none has a number
        return 0


def set_project(directory: Path, project: int) -> None:
    """Put the directory, and all that will be made in it, into a project. Raises OSError."""
    with _opened(directory) as fd:
        flags, extent_size, _, _, cow_extent_size, padding = _attributes(fd)
        changed = (flags | _FS_XFLAG_PROJINHERIT, extent_size, 0, project, cow_extent_size, padding)
        fcntl.ioctl(fd, _FS_IOC_FSSETXATTR, _FSXATTR.pack(*changed))


def limit_project(directory: Path, project: int, most_bytes: int) -> None:
    """Limit a project of the filesystem that ``directory`` is on, in steps of 512 bytes.

    Raises OSError: ESRCH where quotas of projects are not switched on, ENOSYS where there are none.
    """
    blocks = -(-most_bytes // _BLOCK_BYTES)
    limits = (blocks, 0, 0, 0, 0, 0)
    quota = _DQUOT.pack(1, _XFS_PROJ_QUOTA, _FS_DQ_BHARD, project, *limits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"")
    _quotactl(directory, _Q_XSETQLIM, project, ctypes.create_string_buffer(quota, _DQUOT.size))


def project_limit(directory: Path, project: int) -> int:
    """In bytes, 0 for none. Raises OSError as ``limit_project`` does."""
    buffer = ctypes.create_string_buffer(_DQUOT.size)
    _quotactl(directory, _Q_XGETQUOTA, project, buffer)
    return int(_DQUOT.unpack(buffer.raw)[4]) * _BLOCK_BYTES


def _quotactl(directory: Path, command: int, project: int, buffer: "ctypes.Array[ctypes.c_char]") -> None:
    with _opened(directory) as fd:
        arguments = (ctypes.c_uint(fd), ctypes.c_uint(command << 8 | _PRJQUOTA), ctypes.c_uint(project), buffer)
        if _libc.syscall(ctypes.c_long(_SYS_QUOTACTL_FD), *arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(directory))


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


def _attributes(fd: int) -> tuple[int, int, int, int, int, bytes]:
    buffer = bytearray(_FSXATTR.size)
    fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, buffer)
    return _FSXATTR.unpack(bytes(buffer))
