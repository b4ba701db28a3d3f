"""A tar stream written into a directory of a container.

- Names stay below the directory: ``..`` above it is refused, and so is a hard link to what is outside. Symlinks on the
  way, the container's or the archive's, are resolved in the container's root, for every entry anew.
- What is in the way is replaced, a directory with all that is in it; ``keep_kinds`` refuses to exchange a directory
  for something else, or something else for a directory.
- Owners are the archive's, or ``owner``. ``trusted.*`` attributes are dropped: they would steer overlayfs.
"""

# Names in directories that are open already, which pathlib has no calls for.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH108, PTH115, PTH116, PTH118, PTH119, PTH120, PTH208

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple, cast

import zstandard

from tidegate.drivers.files.owners import THE_HOSTS, Owners
from tidegate.drivers.files.tar_entries import RefusedEntryError, extended_attributes, modification_time_ns
from tidegate.kernel.paths import open_in_root_fd

_CHUNK = 1 << 20
_IMPLIED_MODE = 0o755
_MAGIC_BYTES = 6


class WriteOptions(NamedTuple):
    """``owner`` is uid and gid of everything written, as the container knows them; None takes the archive's.

    ``owners`` is the container's user namespace.
    """

    keep_kinds: bool = False
    owner: tuple[int, int] | None = None
    owners: Owners = THE_HOSTS

    def owner_of(self, member: tarfile.TarInfo) -> tuple[int, int]:
        """On the host. Raises RefusedEntryError for one that the container cannot have."""
        return self.owners.real(*(self.owner or (member.uid, member.gid)))


def open_decompressed(raw: io.BufferedReader) -> IO[bytes]:
    """The stream, decompressed by its first bytes: gzip, bzip2, xz, zstd, or as it is."""
    start = raw.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if start.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(raw))
    if start.startswith(b"\xfd7zXZ\0"):
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(raw, read_across_frames=True)
        return cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", reader), _CHUNK))
    return raw


class TarReader:
    """Writes entries below ``destination``, a path of the container whose root is ``root_fd``."""

    def __init__(self, root_fd: int, destination: str, options: WriteOptions) -> None:
        self._root_fd, self._destination, self._options = root_fd, destination, options
        self._directory_times: dict[str, int] = {}

    def read(self, stream: IO[bytes]) -> None:
        """Everything. Raises RefusedEntryError, tarfile.TarError, OSError."""
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK, encoding="utf-8", errorlevel=2) as archive:
            for member in archive:
                self._apply(archive, member)
                archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
        for path, mtime_ns in reversed(self._directory_times.items()):
            self._set_directory_time(path, mtime_ns)

    def _apply(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = relative_path(member.name)
        if not path:
            return  # the directory itself keeps what it is
        with self._parent(path) as (parent_fd, name):
            exists = self._make_way(parent_fd, name, member)
            if member.isdir():
                self._make_directory(parent_fd, name, member, exists)
                self._directory_times[path] = modification_time_ns(member)
            elif member.isreg():
                self._write_file(archive, member, parent_fd, name)
            else:
                self._make_other(member, parent_fd, name)

    @contextmanager
    def _parent(self, path: str, *, make: bool = True) -> Iterator[tuple[int, str]]:
        directory, name = os.path.split(path)
        fd = self._open_directory(directory, make=make)
        try:
            yield fd, name
        finally:
            os.close(fd)

    def _open_directory(self, path: str, *, make: bool) -> int:
        try:
            whole = os.path.join(self._destination, path)
            return open_in_root_fd(self._root_fd, whole, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if not make or not path:
                raise
        above, name = os.path.split(path)
        parent_fd = self._open_directory(above, make=True)
        try:
            os.mkdir(name, _IMPLIED_MODE, dir_fd=parent_fd)
            if self._options.owner:
                os.chown(
                    name, *self._options.owners.real(*self._options.owner), dir_fd=parent_fd, follow_symlinks=False
                )
        finally:
            os.close(parent_fd)
        return self._open_directory(path, make=False)

    def _make_way(self, parent_fd: int, name: str, member: tarfile.TarInfo) -> bool:
        """Whether a directory is there that stays."""
        try:
            mode = os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return False
        is_directory = stat.S_ISDIR(mode)
        if is_directory and member.isdir():
            return True
        if self._options.keep_kinds and is_directory:
            raise RefusedEntryError(f'cannot overwrite directory "{name}" with non-directory "{member.name}"')
        if self._options.keep_kinds and member.isdir():
            raise RefusedEntryError(f'cannot overwrite non-directory "{name}" with directory "{member.name}"')
        if is_directory:
            _remove_tree(parent_fd, name)
        else:
            os.unlink(name, dir_fd=parent_fd)
        return False

    def _make_directory(self, parent_fd: int, name: str, member: tarfile.TarInfo, exists: bool) -> None:
        if not exists:
            os.mkdir(name, 0o700, dir_fd=parent_fd)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
        try:
            self._set_attributes(fd, member)
        finally:
            os.close(fd)

    def _write_file(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent_fd: int, name: str) -> None:
        source = archive.extractfile(member)
        if source is None:
            raise RefusedEntryError(f"{member.name!r}: no content")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=parent_fd)
        written = 0
        with source, os.fdopen(fd, "wb", buffering=0) as file:
            while chunk := source.read(_CHUNK):
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) or 0 :]
                written += len(chunk)
            if written != member.size:
                raise RefusedEntryError(f"{member.name!r}: truncated")
            self._set_attributes(file.fileno(), member)
            mtime_ns = modification_time_ns(member)
            os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))

    def _set_attributes(self, fd: int, member: tarfile.TarInfo) -> None:
        os.chown(fd, *self._options.owner_of(member))
        os.chmod(fd, member.mode & 0o7777)
        for attribute, value in extended_attributes(member).items():
            try:
                os.setxattr(fd, attribute, value)
            except OSError as error:
                if not _is_unsupported(error):
                    raise

    def _make_other(self, member: tarfile.TarInfo, parent_fd: int, name: str) -> None:
        if member.islnk():
            target = relative_path(member.linkname)
            if not target:
                raise RefusedEntryError(f"invalid hard link target {member.linkname!r}")
            with self._parent(target, make=False) as (target_fd, target_name):
                os.link(target_name, name, src_dir_fd=target_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
            return
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=parent_fd)
        elif member.ischr() or member.isblk():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=parent_fd)
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=parent_fd)
        else:
            raise RefusedEntryError(f"{member.name!r}: unknown tar entry type {member.type!r}")
        os.chown(name, *self._options.owner_of(member), dir_fd=parent_fd, follow_symlinks=False)
        if not member.issym():
            os.chmod(name, member.mode & 0o7777, dir_fd=parent_fd)
        mtime_ns = modification_time_ns(member)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=parent_fd, follow_symlinks=False)

    def _set_directory_time(self, path: str, mtime_ns: int) -> None:
        try:
            fd = self._open_directory(path, make=False)
        except (FileNotFoundError, NotADirectoryError):
            return  # a later entry took its place
        try:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(fd)


def relative_path(name: str) -> str:
    """An entry's name below the directory, "" for the directory itself. Raises RefusedEntryError."""
    if "\0" in name:
        raise RefusedEntryError(f"invalid tar entry {name!r}: NUL in its name")
    clean = os.path.normpath(name.lstrip("/") or ".")
    if clean == ".." or clean.startswith("../"):
        raise RefusedEntryError(f"invalid tar entry {name!r}: leaves the directory")
    return "" if clean == "." else clean


def _is_unsupported(error: OSError) -> bool:
    return error.errno in (errno.ENOTSUP, errno.EPERM)


def _remove_tree(parent_fd: int, name: str) -> None:
    for _, directories, files, fd in os.fwalk(name, topdown=False, dir_fd=parent_fd):
        for below in files:
            os.unlink(below, dir_fd=fd)
        for below in directories:
            if stat.S_ISLNK(os.stat(below, dir_fd=fd, follow_symlinks=False).st_mode):
                os.unlink(below, dir_fd=fd)
            else:
                os.rmdir(below, dir_fd=fd)
    os.rmdir(name, dir_fd=parent_fd)
