"""A program executed from a sealed copy in memory (memfd_create(2)).

``crun`` makes such a copy of itself in every call and executes that, so that no container can write to the file it runs
from (CVE-2019-5736). It finds that done when it is started from one: a copy made once spares each call the copying and
a second round of dynamic linking, 1.4 of 4 ms.
"""

import contextlib
import fcntl
import os
from collections.abc import Sequence

from tidegate.base.errors import NotFoundError

# crun takes exactly these for a sealed copy (linux/fcntl.h: SEAL, SHRINK, GROW, WRITE).
_F_ADD_SEALS, _SEALS = 1033, 0x0001 | 0x0002 | 0x0004 | 0x0008
_ELF = b"\x7fELF"


class SealedProgram:
    """``refresh`` before each fork, ``execute`` in the child. A file that was replaced is copied anew."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._path = ""
        self._copied: tuple[int, ...] = ()
        self._fd = -1

    def refresh(self) -> None:
        """Have the copy of what PATH holds now. Raises NotFoundError when it is not there."""
        identity = _identity(self._path)
        if identity is None:
            self._path = _find(self._name)
            identity = _identity(self._path)
        if identity is None:
            raise NotFoundError(f"{self._name} is not installed: no such file in $PATH")
        if identity != self._copied:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = _sealed_copy(self._path)
            self._copied = identity

    def execute(self, command: Sequence[str]) -> None:
        """Become the program. Raises OSError."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # a host that executes no memfd (sysctl vm.memfd_noexec)
                os.execve(self._fd, list(command), os.environ)  # noqa: S606 - no shell is wanted
        os.execv(self._path, list(command))  # noqa: S606


def _find(name: str) -> str:
    """Where PATH has the program, "" for nowhere."""
    places = (f"{directory}/{name}" for directory in os.get_exec_path())
    return next((place for place in places if os.access(place, os.X_OK) and os.path.isfile(place)), "")  # noqa: PTH113


def _identity(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib costs as much as the call
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _sealed_copy(path: str) -> int:
    """A read-only descriptor; -1 where there can be none: for a script, or on a host without memfd_create."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            content = file.read()
        if not content.startswith(_ELF):
            return -1
        writable = os.memfd_create("crun", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return -1
    try:
        with open(writable, "wb", closefd=False) as memory:
            memory.write(content)
        fcntl.fcntl(writable, _F_ADD_SEALS, _SEALS)
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)  # a writable one is ETXTBSY to execve
    except OSError:
        return -1
    finally:
        os.close(writable)
