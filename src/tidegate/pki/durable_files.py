"""Files that are either there whole or not at all, and stay after a power cut.

- Content is written to a temporary name in the same directory, fsynced, renamed; then the directory is fsynced.
- The mode is set before the first byte is written: a key is never readable by others, not even for an instant.
- A crash leaves at most a ``.NAME.HEX.tmp``, which ``remove_leftovers`` takes away (hold the lock meanwhile).
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
_LEFTOVERS = ".*.tmp"


def write_durably(path: Path, content: bytes, mode: int) -> None:
    """Replace ``path`` by ``content``. Raises OSError; the old content, if any, is then still whole."""
    write_together(path.parent, {path.name: (content, mode)})


def write_together(directory: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Replace files that belong together: all are written before the first is renamed, in the order given.

    Raises OSError; before the first rename all the old ones are then still whole.
    """
    temporaries: list[tuple[Path, Path]] = []
    try:
        for name, (content, mode) in files.items():
            temporary = directory / f".{name}.{secrets.token_hex(6)}.tmp"
            temporaries.append((temporary, directory / name))
            _write_new(temporary, content, mode)
        for temporary, path in temporaries:
            temporary.replace(path)
    except BaseException:
        for temporary, _ in temporaries:
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(directory)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def make_private_directory(path: Path) -> None:
    """Make ``path`` (0700) and what is missing above it; a directory already there keeps its mode."""
    missing = []
    current = path
    while not current.exists():
        missing.append(current)
        current = current.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files of a writer that was killed."""
    for leftover in directory.glob(_LEFTOVERS):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``: one writer at a time, across processes; the kernel frees it if we die."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
