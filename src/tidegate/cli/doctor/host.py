"""The host as the doctor sees it: processes, and files under a root, which tests put elsewhere.

Processes that end while they are looked at, and those that we may not look into, are left out without a word.
"""

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import msgspec

_PRIVATE = (FileNotFoundError, ProcessLookupError, PermissionError)


class Process(msgspec.Struct, frozen=True):
    """A process and its command line."""

    pid: int
    name: str
    argv: tuple[str, ...]
    uid: int


class Host(msgspec.Struct, frozen=True):
    """``root`` is "/" but in tests."""

    root: Path = Path("/")

    def path(self, absolute: str | Path) -> Path:
        """Where that path of the host is."""
        return self.root / str(absolute).lstrip("/")

    def text(self, absolute: str) -> str:
        """The content of a file, "" when there is none or it may not be read."""
        try:
            return self.path(absolute).read_text(errors="replace")
        except (*_PRIVATE, IsADirectoryError, NotADirectoryError):
            return ""

    def processes(self) -> list[Process]:
        """All that can be looked at, by pid."""
        found = (self._process(path) for path in self.path("/proc").glob("[0-9]*"))
        return sorted((process for process in found if process is not None), key=lambda process: process.pid)

    def socket_owners(self, inodes: set[int]) -> dict[int, Process]:
        """Which process holds each of these sockets (its inode as of /proc/net); root sees all."""
        wanted = {f"socket:[{inode}]": inode for inode in inodes}
        owners: dict[int, Process] = {}
        for process in self.processes():
            for target in self._open_files(process.pid):
                if target in wanted:
                    owners.setdefault(wanted[target], process)
        return owners

    def homes(self) -> list[Path]:
        """Home directories that exist, root's and those of people."""
        return [path for path in (self.path("/root"), *sorted(_children(self.path("/home")))) if path.is_dir()]

    def _process(self, path: Path) -> Process | None:
        try:
            words = path.joinpath("cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            name = path.joinpath("comm").read_text(errors="replace").strip()
            return Process(int(path.name), name, tuple(os.fsdecode(word) for word in words if word), path.stat().st_uid)
        except _PRIVATE:
            return None

    def _open_files(self, pid: int) -> Iterator[str]:
        for link in _children(self.path(f"/proc/{pid}/fd")):
            try:
                yield str(link.readlink())
            except _PRIVATE:
                continue


def _children(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except (*_PRIVATE, NotADirectoryError):
        return []


def group_members(gid: int) -> list[str]:
    """Who is in a group, by its list and by primary group."""
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return []
    return sorted({*group.gr_mem, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == gid)})


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
