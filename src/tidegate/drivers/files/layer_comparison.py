"""What a container's writable layer changes of the layers below it, read as overlayfs reads them.

A directory below is a stack of directories, topmost first: a whiteout (0:0 character device) hides what is under it,
an opaque directory ends the stack. Nothing is followed: every step is a name in a directory that is open.

- A directory that was copied up only for what is below it is no change by itself, and is told with what is below.
- What is missing in an opaque directory is told as deleted, so that nobody else needs to know of opaqueness.
- Mountpoints that a start makes, and that hold nothing, are not the container's doing.

Source: Documentation/filesystems/overlayfs.rst; moby ``archive.OverlayChanges``; image-spec layer.md, "Whiteouts".
"""

# Names in directories that are open already, which pathlib has no calls for.
# ruff: noqa: PTH102, PTH116, PTH118, PTH208

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

MODIFIED, ADDED, DELETED = "modified", "added", "deleted"
MOUNTPOINTS = frozenset(
    f"/{name}"
    for name in (
        *(".dockerenv", "proc", "sys"),
        *("dev", "dev/console", "dev/mqueue", "dev/pts", "dev/shm"),
        *("etc", "etc/hostname", "etc/hosts", "etc/resolv.conf"),
    )
)
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "trusted.overlay.opaque"


class Difference(NamedTuple):
    """``kind`` is modified, added or deleted."""

    path: str
    kind: str


class _Lower(NamedTuple):
    """What is there below: its status, and the directories of its stack, none for anything else."""

    status: os.stat_result
    fds: Sequence[int]


def compare(upper_fd: int, lower_fds: Sequence[int], path: str = "") -> list[Difference]:
    """Every difference below a directory, a directory before what is in it. Raises OSError."""
    found: list[Difference] = []
    names = sorted(os.listdir(upper_fd))
    for name in names:
        try:
            status = os.stat(name, dir_fd=upper_fd, follow_symlinks=False)
            with _look_up(lower_fds, name) as lower:
                found += _entry(upper_fd, name, f"{path}/{name}", status, lower)
        except (FileNotFoundError, NotADirectoryError):
            continue  # the container runs, and took it away
    if _is_opaque(upper_fd):
        present = set(names)
        found += [Difference(f"{path}/{name}", DELETED) for name in _names_below(lower_fds) if name not in present]
    return found


def _entry(upper_fd: int, name: str, path: str, status: os.stat_result, lower: _Lower | None) -> list[Difference]:
    if _is_whiteout(status):
        return [Difference(path, DELETED)] if lower else []
    own = Difference(path, MODIFIED if lower else ADDED)
    if not stat.S_ISDIR(status.st_mode):
        is_made_by_start = not lower and path in MOUNTPOINTS and status.st_size == 0
        return [] if is_made_by_start else [own]
    fd = os.open(name, _OPEN_DIRECTORY, dir_fd=upper_fd)
    try:
        below = compare(fd, lower.fds if lower else (), path)
    finally:
        os.close(fd)
    if not below and (_is_same_directory(path, status, lower.status) if lower else path in MOUNTPOINTS):
        return []
    return [own, *below]


def _is_same_directory(path: str, upper: os.stat_result, lower: os.stat_result) -> bool:
    """Whether a directory was copied up as it was. Its time tells too, as in moby, unless a start writes there."""
    names = ["st_mode", "st_uid", "st_gid", *([] if path in MOUNTPOINTS else ["st_mtime_ns"])]
    return all(getattr(upper, name) == getattr(lower, name) for name in names)


@contextmanager
def _look_up(lower_fds: Sequence[int], name: str) -> Iterator[_Lower | None]:
    first: os.stat_result | None = None
    fds: list[int] = []
    try:
        for fd in lower_fds:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if _is_whiteout(status) or (fds and not stat.S_ISDIR(status.st_mode)):
                break
            first = first or status
            if not stat.S_ISDIR(status.st_mode):
                break
            fds.append(os.open(name, _OPEN_DIRECTORY, dir_fd=fd))
            if _is_opaque(fds[-1]):
                break
        yield _Lower(first, fds) if first else None
    finally:
        for fd in fds:
            os.close(fd)


def _names_below(lower_fds: Sequence[int]) -> Sequence[str]:
    seen: dict[str, bool] = {}
    for fd in lower_fds:
        for name in os.listdir(fd):
            if name not in seen:
                seen[name] = not _is_whiteout(os.stat(name, dir_fd=fd, follow_symlinks=False))
    return sorted(name for name, is_there in seen.items() if is_there)


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) in (b"y", b"x")
    except OSError:  # ENODATA, ENOTSUP: it is not marked
        return False
