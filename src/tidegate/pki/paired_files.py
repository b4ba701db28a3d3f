"""Files that belong together and are replaced in one instant: a key and its certificate, under readers and under kills.

Whoever looks at any instant, also after a crash, finds all of the old or all of the new: files of a directory by way of
a link (as Kubernetes mounts secrets), a whole directory by an exchange (renameat2(2), RENAME_EXCHANGE). A reader that
opens one file before that instant and one after has a pair that does not fit; it is microseconds, and trying again
helps.

    cert.pem -> .certificates/cert.pem    .certificates -> .certificates.3F9A...    .certificates.3F9A.../cert.pem

- Plain files become links to copies of themselves first, one by one: that changes nothing that can be read.
- The generation before stays until the next one comes: a path that was being walked still leads somewhere.
- One process at a time (``durable_files.exclusive``).
"""

import ctypes
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from tidegate.pki.durable_files import make_private_directory, sync_directory, write_together

_LINK = ".certificates"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

Files = Mapping[str, tuple[bytes, int]]
"""Contents and modes by name."""


def replace_linked(directory: Path, files: Files) -> None:
    """Give the files of ``directory``, which are all there, new contents. Raises OSError; the old ones then stay."""
    if not all(_is_linked(directory / name) for name in files):
        present = {name: ((directory / name).read_bytes(), mode) for name, (_, mode) in files.items()}
        _point(directory, _generation(directory, present))
        for name in files:
            _link(directory / name, f"{_LINK}/{name}")
    before = str((directory / _LINK).readlink())
    current = _generation(directory, files)
    _point(directory, current)
    sync_directory(directory)
    for path in directory.glob(f"{_LINK}.*"):
        if path.name not in (before, current):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def exchange(one: Path, other: Path) -> None:
    """Two directories change places. Raises OSError, for one where the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
    for parent in {one.parent, other.parent}:
        sync_directory(parent)


def _is_linked(path: Path) -> bool:
    return path.is_symlink() and str(path.readlink()) == f"{_LINK}/{path.name}"


def _generation(directory: Path, files: Files) -> str:
    name = f"{_LINK}.{secrets.token_hex(6)}"
    make_private_directory(directory / name)
    write_together(directory / name, files)
    return name


def _point(directory: Path, generation: str) -> None:
    _link(directory / _LINK, generation)


def _link(path: Path, target: str) -> None:
    """``path`` is a link to ``target``, in place of whatever file or link it was."""
    temporary = path.with_name(f"{_LINK}.{secrets.token_hex(6)}.tmp")
    temporary.symlink_to(target)
    temporary.replace(path)
