"""The confined child that works on one container's files: ``python -I -m tidegate.drivers.files.child REQUEST``.

REQUEST is JSON: ``operation`` (stat, read, export, write), ``path``, and the tree: ``root_fd``, an inherited descriptor
of a running container's root, or ``rootfs``, a mounted root filesystem onto which ``binds`` ([host path, container
path, read-only]) are mounted here, where nobody else sees them. Then the child enters that root, gives up its
privileges, and only then looks at a path or an archive.

The answer is one line of JSON, ``{...}`` or ``{error, kind}`` with kind missing, invalid, read-only or host; ``read``
and ``export`` send the archive after it.
"""

# Names in directories that are open already, which pathlib has no calls for.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH108, PTH115, PTH116, PTH118, PTH119, PTH120, PTH208

import errno
import gzip
import io
import json
import lzma
import os
import stat
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zstandard

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.confinement import enter_private_mounts, enter_root, give_up_privileges
from tidegate.drivers.files.owners import THE_HOSTS, Owners
from tidegate.drivers.files.tar_entries import RefusedEntryError
from tidegate.drivers.files.tar_reader import TarReader, WriteOptions, open_decompressed
from tidegate.drivers.files.tar_writer import GzipOutput, PlainOutput, TarWriter
from tidegate.drivers.files.tree import clean_path, locate, stat_document
from tidegate.drivers.oci.process import resolve_user
from tidegate.kernel.credentials import set_filesystem_ids
from tidegate.kernel.mounts import MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT, mount
from tidegate.kernel.paths import make_directories_in_root, open_in_root, open_in_root_fd

_CHUNK = 1 << 20
_STDIN, _STDOUT = 0, 1
_ACCOUNTS_LIMIT_BYTES = 1 << 20
_KINDS = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.EROFS: "read-only",
    errno.ELOOP: "invalid",
    errno.ENAMETOOLONG: "invalid",
}
_BAD_ARCHIVE = (RefusedEntryError, tarfile.TarError, EOFError, gzip.BadGzipFile, zstandard.ZstdError, lzma.LZMAError)


def enter_tree(request: Mapping[str, Any]) -> int:
    """See the module; returns a descriptor of the root. Raises OSError."""
    enter_private_mounts()
    root_fd = request.get("root_fd")
    if root_fd is None:
        _lay_binds(request["rootfs"], request["binds"])
        if request["read_only"]:
            mount("none", request["rootfs"], flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
        root_fd = os.open(request["rootfs"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    enter_root(root_fd)
    # What is made on the way is the container's root's: nobody else may exist there.
    set_filesystem_ids(*_owners(request).real(0, 0))
    give_up_privileges()
    return int(root_fd)


def _owners(request: Mapping[str, Any]) -> Owners:
    return Owners(request["uids"], request["gids"]) if "uids" in request else THE_HOSTS


def _lay_binds(rootfs: str, binds: list[tuple[str, str, bool]]) -> None:
    mount(rootfs, rootfs, flags=MS_BIND | MS_REC)  # a mount of its own: it may become read-only
    for source, container_path, read_only in sorted(binds, key=lambda bind: bind[1].count("/")):
        _make_mountpoint(rootfs, source, container_path)
        _mount_in(rootfs, source, container_path, MS_BIND | MS_REC)
        if read_only:
            _mount_in(rootfs, source, container_path, MS_REMOUNT | MS_BIND | MS_RDONLY)


def _mount_in(rootfs: str, source: str, container_path: str, flags: int) -> None:
    """Where the path leads inside the root, whatever was mounted there before."""
    target_fd = open_in_root(Path(rootfs), container_path, os.O_PATH)
    try:
        mount(source, f"/proc/self/fd/{target_fd}", flags=flags)
    finally:
        os.close(target_fd)


def _make_mountpoint(rootfs: str, source: str, container_path: str) -> None:
    """What a start of the container would have made."""
    if stat.S_ISDIR(os.stat(source).st_mode):
        make_directories_in_root(Path(rootfs), container_path)
        return
    parent, name = os.path.split(container_path)
    make_directories_in_root(Path(rootfs), parent)
    parent_fd = open_in_root(Path(rootfs), parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent_fd))
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link of the image: the mount goes where it leads
            raise
    finally:
        os.close(parent_fd)


def answer(document: Mapping[str, object]) -> None:
    """One line on the standard output."""
    PlainOutput(_STDOUT).write(json.dumps(document).encode() + b"\n")


def read(root_fd: int, request: Mapping[str, Any]) -> None:
    """An archive of the path."""
    found = stat_document(root_fd, request["path"])
    place = locate(root_fd, request["path"])
    answer(found)
    writer = _writer(request)
    writer.add_tree(place.parent_fd, place.name, place.shown)
    writer.finish()


def export(root_fd: int, request: Mapping[str, Any]) -> None:
    """An archive of everything, without an entry for the root."""
    answer({})
    writer = _writer(request)
    writer.add_tree(root_fd, ".", "")
    writer.finish()


def _writer(request: Mapping[str, Any]) -> TarWriter:
    return TarWriter(GzipOutput(_STDOUT) if request.get("gzip") else PlainOutput(_STDOUT), _owners(request))


def write(root_fd: int, request: Mapping[str, Any]) -> None:
    """An archive from the standard input into a directory."""
    destination = clean_path(request["path"])
    fd = open_in_root_fd(root_fd, destination, os.O_PATH)
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        raise RefusedEntryError("extraction point is not a directory")
    if os.fstatvfs(fd).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), destination)
    os.close(fd)
    owner = _owner(root_fd, request["user"]) if request["user"] else None
    raw = io.BufferedReader(io.FileIO(_STDIN, closefd=False), _CHUNK)
    TarReader(root_fd, destination, WriteOptions(request["keep_kinds"], owner, _owners(request))).read(
        open_decompressed(raw)
    )
    while os.read(_STDIN, _CHUNK):
        continue
    answer({})


def _owner(root_fd: int, user: str) -> tuple[int, int]:
    resolved = resolve_user(user, _accounts(root_fd, "/etc/passwd"), _accounts(root_fd, "/etc/group"))
    return resolved.uid, resolved.gid


def _accounts(root_fd: int, path: str) -> str:
    try:
        fd = open_in_root_fd(root_fd, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:  # an image without accounts
        return ""
    with os.fdopen(fd, "rb") as file:
        return file.read(_ACCOUNTS_LIMIT_BYTES).decode("utf-8", "replace")


def perform(request: Mapping[str, Any]) -> None:
    """Do it. Raises what the operation raises."""
    root_fd = enter_tree(request)
    match request["operation"]:
        case "stat":
            answer(stat_document(root_fd, request["path"]))
        case "read":
            read(root_fd, request)
        case "export":
            export(root_fd, request)
        case _:
            write(root_fd, request)


def main(arguments: list[str]) -> int:
    os.umask(0)
    for encoding in ("utf-8", "ascii", "idna"):
        "".encode(encoding)  # loads the codec while its module can still be found
    try:
        perform(json.loads(arguments[0]))
    except BrokenPipeError:
        return 1  # nobody reads on
    except (*_BAD_ARCHIVE, InvalidParameterError) as error:
        answer({"error": str(error), "kind": "invalid"})
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, "host")
        answer({"error": error.strerror or str(error), "kind": kind})
    except Exception as error:  # noqa: BLE001 - zlib.error and the like: anything a hostile archive provokes
        answer({"error": f"malformed archive: {type(error).__name__}: {error}", "kind": "invalid"})
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
