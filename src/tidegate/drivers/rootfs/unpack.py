"""The confined child that unpacks one layer: ``python -I -m tidegate.drivers.rootfs.unpack TARGET COMPRESSION < BLOB``.

It enters a private mount namespace, chroots into TARGET, drops all but six capabilities, sets no_new_privs, and only
then looks at the blob. It prints one JSON object: ``{diff_id, size_bytes, opaque}`` or ``{error, kind}``. Invariants:

- an entry that would leave the root (``..``, an absolute hard link, a symlink climbing above the root) is refused;
- whiteouts become 0:0 character devices; opaque directories are reported, since setting ``trusted.*`` attributes
  takes CAP_SYS_ADMIN, which this process does not keep: the parent marks them when the child is gone;
- an image's own ``trusted.*`` attributes are dropped (they would steer overlayfs).

Source: image-spec layer.md; kernel Documentation/filesystems/overlayfs.rst.
"""

# Plain string paths: this loop runs several calls for every entry, and pathlib would make objects for each.
# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH114, PTH115, PTH118, PTH120

import gzip
import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from typing import IO, cast

import zstandard

from tidegate.drivers.confinement import confine, sync_filesystem
from tidegate.drivers.files.tar_entries import RefusedEntryError, extended_attributes, modification_time_ns

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_CHUNK = 1 << 20


def parse_entry_path(name: str) -> tuple[str, ...]:
    """Components below the root; a leading ``/`` and ``.`` mean the root. RefusedEntryError on ``..`` and NUL."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in name:
        raise RefusedEntryError(f"invalid tar entry {name!r}: leaves the root")
    return parts


def parse_link_path(name: str) -> tuple[str, ...]:
    """A hard link's target: like an entry, and not absolute."""
    parts = parse_entry_path(name)
    if name.startswith("/") or not parts:
        raise RefusedEntryError(f"invalid hard link target {name!r}: leaves the root")
    return parts


def climbs_above_root(depth: int, target: str) -> bool:
    """Whether a symlink in a directory ``depth`` components below the root climbs above the root, read lexically."""
    level = 0 if target.startswith("/") else depth
    for part in target.split("/"):
        level += -1 if part == ".." else part not in ("", ".")
        if level < 0:
            return True
    return False


class HashingReader(io.RawIOBase):
    """Passes a stream through while hashing it: the layer's ``diff_id``."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hasher = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._hasher.update(data)
        return data

    def drain(self) -> str:
        while self.read(_CHUNK):
            pass
        return "sha256:" + self._hasher.hexdigest()


class Unpacker:
    """Applies the entries of one layer below ``root``, which is "/" in the child."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._directory_times: dict[str, int] = {}
        self.opaque: set[str] = set()
        self.size_bytes = 0

    def apply(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = parse_entry_path(member.name)
        if not parts:
            if member.isdir():
                self._set_attributes(self._root, member)
            return
        parent, name = self._parent(parts), parts[-1]
        if name.startswith(WHITEOUT):
            self._apply_whiteout(parent, name)
            return
        path = os.path.join(parent, name)
        self._make_way(path, member)
        self._create(archive, member, path)
        if not member.islnk():
            self._set_attributes(path, member)

    def finish(self) -> None:
        for path, mtime_ns in reversed(self._directory_times.items()):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                os.utime(path, ns=(mtime_ns, mtime_ns))

    def _parent(self, parts: tuple[str, ...]) -> str:
        """The entry's directory, made when missing. Symlinks on the way are followed inside the root only."""
        path, depth = self._root, 0
        pending = list(reversed(parts[:-1]))
        links = 0
        while pending:
            step = pending.pop()
            if step == "..":
                path, depth = os.path.dirname(path), depth - 1
                continue
            below = os.path.join(path, step)
            mode = _mode_of(below)
            if mode is not None and stat.S_ISLNK(mode):
                links, target = links + 1, os.readlink(below)
                if links > 40 or climbs_above_root(depth, target):
                    raise RefusedEntryError(f"invalid tar entry {'/'.join(parts)!r}: a symlink leaves the root")
                if target.startswith("/"):
                    path, depth = self._root, 0
                pending.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
                continue
            if mode is not None and not stat.S_ISDIR(mode):
                if not _is_whiteout(below):
                    raise RefusedEntryError(f"invalid tar entry {'/'.join(parts)!r}: {step!r} is not a directory")
                os.unlink(below)
                self.opaque.add(below)
                mode = None
            if mode is None:
                os.mkdir(below, 0o755)
            path, depth = below, depth + 1
        return path

    def _apply_whiteout(self, parent: str, name: str) -> None:
        if name == OPAQUE:
            self.opaque.add(parent)
            return
        hidden = name[len(WHITEOUT) :]
        if hidden.startswith(WHITEOUT):  # aufs bookkeeping such as .wh..wh.plnk
            return
        if hidden in ("", ".", ".."):
            raise RefusedEntryError(f"invalid whiteout {name!r}")
        path = os.path.join(parent, hidden)
        mode = _mode_of(path)
        if mode is None:
            os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
        elif stat.S_ISDIR(mode):  # a whiteout speaks of lower layers only; this layer's own directory stays
            self.opaque.add(path)

    def _make_way(self, path: str, member: tarfile.TarInfo) -> None:
        mode = _mode_of(path)
        if mode is None or (stat.S_ISDIR(mode) and member.isdir()):
            return
        if stat.S_ISDIR(mode):
            self._remove_tree(path)
            return
        if member.isdir() and _is_whiteout(path):
            self.opaque.add(path)
        os.unlink(path)

    def _remove_tree(self, path: str) -> None:
        for directory, names, files in os.walk(path, topdown=False):
            for name in files:
                os.unlink(os.path.join(directory, name))
            for name in names:
                below = os.path.join(directory, name)
                (os.unlink if os.path.islink(below) else os.rmdir)(below)
            self._forget(directory)
        os.rmdir(path)

    def _forget(self, directory: str) -> None:
        self._directory_times.pop(directory, None)
        self.opaque.discard(directory)

    def _create(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if member.isdir():
            if _mode_of(path) is None:
                os.mkdir(path, 0o700)
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            target_parts = parse_link_path(member.linkname)
            target = os.path.join(self._parent(target_parts), target_parts[-1])
            os.link(target, path, follow_symlinks=False)
        elif member.ischr() or member.isblk():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(path, kind | 0o600, os.makedev(member.devmajor, member.devminor))
        elif member.isfifo():
            os.mkfifo(path, 0o600)
        elif member.isreg():
            self._write_file(archive, member, path)
        else:
            raise RefusedEntryError(f"{member.name!r}: unknown tar entry type {member.type!r}")

    def _write_file(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        source = archive.extractfile(member)
        if source is None:
            raise RefusedEntryError(f"{member.name!r}: no content")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with source, os.fdopen(fd, "wb", buffering=0) as file:
            written = 0
            while chunk := source.read(_CHUNK):
                written += file.write(chunk) or 0
        if written != member.size:
            raise RefusedEntryError(f"{member.name!r}: truncated")
        self.size_bytes += written

    def _set_attributes(self, path: str, member: tarfile.TarInfo) -> None:
        os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not member.issym():
            os.chmod(path, member.mode & 0o7777)
        for name, value in extended_attributes(member).items():
            os.setxattr(path, name, value, follow_symlinks=False)
        mtime_ns = modification_time_ns(member)
        if member.isdir():
            self._directory_times[path] = mtime_ns
        else:
            os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def _mode_of(path: str) -> int | None:
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return None


def _is_whiteout(path: str) -> bool:
    status = os.lstat(path)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def open_decompressed(blob: IO[bytes], compression: str) -> IO[bytes]:
    """``compression`` is ``gzip``, ``zstd`` or empty."""
    if compression == "gzip":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=blob))
    if compression == "zstd":
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(blob, read_across_frames=True)
        return cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", reader), _CHUNK))
    return blob


def unpack_stream(blob: IO[bytes], compression: str, root: str = "/") -> dict[str, object]:
    """Unpack below ``root``; returns the report."""
    reader, unpacker = HashingReader(open_decompressed(blob, compression)), Unpacker(root)
    with tarfile.open(
        fileobj=cast("IO[bytes]", reader), mode="r|", bufsize=_CHUNK, encoding="utf-8", errorlevel=2
    ) as archive:
        for member in archive:
            unpacker.apply(archive, member)
            archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
    unpacker.finish()
    opaque = sorted(os.path.relpath(path, root) for path in unpacker.opaque)
    return {"diff_id": reader.drain(), "size_bytes": unpacker.size_bytes, "opaque": opaque}


def main(arguments: list[str]) -> int:
    target, compression = arguments
    os.umask(0)
    for encoding in ("utf-8", "ascii", "idna"):
        "".encode(encoding)  # loads the codec while its module can still be found
    report: dict[str, object]
    try:
        confine(target)
        report = unpack_stream(sys.stdin.buffer, compression)
        sync_filesystem(os.open("/", os.O_RDONLY))
    except (RefusedEntryError, tarfile.TarError, EOFError, gzip.BadGzipFile, zstandard.ZstdError) as error:
        report = {"error": str(error), "kind": "invalid"}
    except (ValueError, OverflowError, NotImplementedError) as error:
        report = {"error": f"malformed layer: {error}", "kind": "invalid"}
    except OSError as error:
        report = {"error": str(error), "kind": "host"}
    except Exception as error:  # noqa: BLE001 - zlib.error and the like: anything a hostile blob provokes
        report = {"error": f"malformed layer: {type(error).__name__}: {error}", "kind": "invalid"}
    sys.stdout.write(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
