"""Mounting: mount(2), umount2(2) and the file-descriptor API (fsopen, fsconfig, fsmount, move_mount), through ctypes.

- Functions are named after their system call and raise ``OSError`` with the path; translating it is the caller's work.
- ``mount_filesystem`` is the one composition: context, options, mount, attach; it closes what it opened.
- The kernel explains a refused ``fsconfig`` in the context's message log (read(2) on the descriptor); that text becomes
  the error's message.

The system call numbers are the same on every architecture that has them (asm-generic/unistd.h, Linux 5.2).
"""

import ctypes
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 8192, 16384, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8

_SYS_MOVE_MOUNT, _SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 429, 430, 431, 432
_AT_FDCWD = -100
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MOVE_MOUNT_F_EMPTY_PATH = 4


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _raise(path: str, detail: str = "") -> None:
    number = ctypes.get_errno()
    reason = os.strerror(number)
    raise OSError(number, f"{reason} ({detail})" if detail else reason, path)


def _text(value: str | None) -> ctypes.c_char_p:
    return ctypes.c_char_p(None if value is None else os.fsencode(value))


def mount(source: str, target: str, fstype: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    if _libc().mount(_text(source), _text(target), _text(fstype), ctypes.c_ulong(flags), _text(data)) != 0:
        _raise(target)


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2); EINVAL says that ``target`` is not a mount point."""
    if _libc().umount2(_text(target), ctypes.c_int(flags)) != 0:
        _raise(target)


def fsopen(fstype: str) -> int:
    fd = int(_libc().syscall(ctypes.c_long(_SYS_FSOPEN), _text(fstype), ctypes.c_uint(_FSOPEN_CLOEXEC)))
    if fd < 0:
        _raise(fstype)
    return fd


def fsconfig(context_fd: int, command: int, key: str | None = None, value: str | None = None) -> None:
    result = _libc().syscall(
        ctypes.c_long(_SYS_FSCONFIG),
        ctypes.c_int(context_fd),
        ctypes.c_uint(command),
        _text(key),
        _text(value),
        ctypes.c_int(0),
    )
    if result != 0:
        number = ctypes.get_errno()
        log = _context_log(context_fd)
        ctypes.set_errno(number)
        _raise(f"{key}={value}" if key else "create", log)


def fsmount(context_fd: int, attributes: int = 0) -> int:
    fd = int(
        _libc().syscall(
            ctypes.c_long(_SYS_FSMOUNT),
            ctypes.c_int(context_fd),
            ctypes.c_uint(_FSMOUNT_CLOEXEC),
            ctypes.c_uint(attributes),
        )
    )
    if fd < 0:
        _raise("fsmount", _context_log(context_fd))
    return fd


def move_mount(mount_fd: int, target: str) -> None:
    result = _libc().syscall(
        ctypes.c_long(_SYS_MOVE_MOUNT),
        ctypes.c_int(mount_fd),
        _text(""),
        ctypes.c_int(_AT_FDCWD),
        _text(target),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )
    if result != 0:
        _raise(target)


def mount_filesystem(
    fstype: str, source: str, target: str, options: Iterable[tuple[str, str | None]], attributes: int = 0
) -> None:
    """Make a filesystem of ``fstype`` and attach it at ``target``; an option with value None is a flag.

    Raises OSError: ENOSYS where the kernel has no fsopen, EINVAL (with the kernel's words) on an unknown option.
    """
    context_fd = fsopen(fstype)
    try:
        fsconfig(context_fd, _FSCONFIG_SET_STRING, "source", source)
        for key, value in options:
            fsconfig(context_fd, _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING, key, value)
        fsconfig(context_fd, _FSCONFIG_CMD_CREATE)
        mount_fd = fsmount(context_fd, attributes)
    finally:
        os.close(context_fd)
    try:
        move_mount(mount_fd, target)
    finally:
        os.close(mount_fd)


def mount_points(under: str) -> tuple[str, ...]:
    """Mount points of this namespace at or below ``under``, in the order they were mounted (proc(5), mountinfo)."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        point = _unescape(line.split(" ", 5)[4])
        if point == under or point.startswith(under.rstrip("/") + "/"):
            points.append(point)
    return tuple(points)


def mount_of(path: str, mountinfo: str) -> tuple[str, tuple[str, ...]]:
    """Which mount a resolved path is on, by the text of a mountinfo: its mount point, and its optional fields."""
    words = _words_of_mount(path, mountinfo)
    return (_unescape(words[4]), tuple(words[6 : words.index("-")])) if words else ("/", ())


def filesystem_of(path: str, mountinfo: str) -> str:
    """The type of the filesystem that a resolved path is on, by the text of a mountinfo; "" when it does not tell."""
    words = _words_of_mount(path, mountinfo)
    return words[words.index("-") + 1] if words else ""


def _words_of_mount(path: str, mountinfo: str) -> list[str]:
    found, longest = [], ""
    for line in mountinfo.splitlines():
        words = line.split(" ")
        point = _unescape(words[4])
        if len(point) >= len(longest) and (path == point or path.startswith(point.rstrip("/") + "/")):
            found, longest = words, point
    return found


def _unescape(text: str) -> str:
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text


def _context_log(context_fd: int) -> str:
    """The messages the kernel queued on a filesystem context, joined; empty when there are none."""
    messages = []
    while True:
        try:
            line = os.read(context_fd, 4096)
        except OSError:  # ENODATA: the log is empty (fsopen(2)); the log only explains an error already at hand
            break
        if not line:
            break
        messages.append(line.decode(errors="replace").strip().removeprefix("e "))
    return "; ".join(messages)
