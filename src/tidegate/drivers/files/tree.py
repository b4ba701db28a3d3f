"""Paths of a container as ``docker cp`` means them, resolved by the kernel inside the container's root.

- ``..`` and absolute symlinks end at the root; magic links of /proc are not followed at all.
- The last part of a path is not followed, unless a ``/`` or ``/.`` ends it.

Source: moby ``ResolvePath`` and ``StatPath``; openat2(2).
"""

# Names in directories that are open already, which pathlib has no calls for.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH108, PTH115, PTH116, PTH118, PTH119, PTH120, PTH208

import os
import stat
from typing import NamedTuple

from tidegate.kernel.paths import open_in_root_fd

_MOST_LINKS = 40
_GO_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class Place(NamedTuple):
    """An entry of a directory that is open; ``shown`` is what the entry is called in an answer."""

    parent_fd: int
    name: str
    shown: str


def clean_path(path: str) -> str:
    """Absolute, ``..`` gone as text, and what ends it (``/`` or ``/.``) kept."""
    clean = os.path.normpath(f"/{path}").replace("//", "/", 1)
    if path.endswith("/.") or path == ".":
        return f"{clean.rstrip('/')}/."
    return f"{clean.rstrip('/')}/" if path.endswith("/") or clean == "/" else clean


def locate(root_fd: int, path: str) -> Place:
    """Where ``path`` is; its parent must be there. Raises OSError."""
    clean = clean_path(path)
    parent, _, name = clean.rpartition("/")
    parent_fd = open_in_root_fd(root_fd, parent or "/", os.O_RDONLY | os.O_DIRECTORY)
    shown = name or os.path.basename(parent) or "/"
    return Place(parent_fd, name or ".", shown)


def stat_document(root_fd: int, path: str) -> dict[str, object]:
    """What ``X-Docker-Container-Path-Stat`` says, with the time in nanoseconds. Raises OSError."""
    place = locate(root_fd, path)
    try:
        status = os.stat(place.name, dir_fd=place.parent_fd, follow_symlinks=False)
        target = final_target(root_fd, clean_path(path)) if stat.S_ISLNK(status.st_mode) else ""
    finally:
        os.close(place.parent_fd)
    return {
        "name": place.shown,
        "size": status.st_size,
        "mode": go_mode(status.st_mode),
        "mtime_ns": status.st_mtime_ns,
        "link_target": target,
    }


def go_mode(mode: int) -> int:
    """A mode as Go's ``fs.FileMode`` has it."""
    bits = sum(bit for ours, bit in _GO_BITS.items() if mode & ours)
    return _GO_TYPES.get(stat.S_IFMT(mode), 0) | bits | mode & 0o777


def final_target(root_fd: int, path: str) -> str:
    """The path with every symlink resolved, as far as the path is there."""
    done, pending, links = "/", path.split("/")[::-1], 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = os.path.dirname(done)
            continue
        below = os.path.join(done, part)
        target = _link_target(root_fd, done, part) if links < _MOST_LINKS else None
        if target is None:
            done = below
            continue
        links += 1
        if target.startswith("/"):
            done = "/"
        pending += target.split("/")[::-1]
    return done


def _link_target(root_fd: int, directory: str, name: str) -> str | None:
    try:
        fd = open_in_root_fd(root_fd, directory, os.O_PATH | os.O_DIRECTORY)
    except OSError:  # what is not there, or no directory, has no links
        return None
    try:
        return os.readlink(name, dir_fd=fd)
    except OSError:  # no link
        return None
    finally:
        os.close(fd)
