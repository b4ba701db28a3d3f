"""What both versions of control groups share: reading files, killing what is in a group, removing directories."""

import errno
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tidegate.base.errors import InternalError

REMOVE_DEADLINE_S = 5.0
_PAUSE_S = 0.002
_READ_BYTES = 64 * 1024


Elsewhere = Callable[[str], str | None]
"""The group above a container's own, from the top of the hierarchy; None where it is the engine's."""


def nowhere(_container_id: str) -> None:
    """Every container is below the engine's group."""
    return None


class Write(NamedTuple):
    """One value for one file; ``controller`` is whose it is."""

    controller: str
    file: str
    value: str


# A container's start writes some thirty of these files: by system calls, since pathlib and io take five times as long.


def read_text(path: str | Path) -> str:
    """The file's text; empty when the group is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            pieces = []
            while piece := os.read(fd, _READ_BYTES):
                pieces.append(piece)
        finally:
            os.close(fd)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno == errno.ENODEV:  # removed while it was read
            return ""
        raise
    return b"".join(pieces).decode()


def write_text(path: str | Path, value: str) -> None:
    """One value in one write, as the kernel wants it. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def pids_below(directory: str | Path) -> Sequence[int]:
    """Host pids of the processes in a group and the groups below it; none when it is gone."""
    found: list[int] = []
    for below, _, _ in os.walk(directory):
        found += [int(pid) for pid in read_text(f"{below}/cgroup.procs").split()]
    return found


def kill_all(pids: Callable[[], Sequence[int]], what: str, deadline_s: float) -> None:
    """SIGKILL until nothing is left; ``deadline_s`` is of the monotonic clock. Raises InternalError."""
    while left := pids():
        if time.monotonic() > deadline_s:
            raise InternalError(f"processes of {what} cannot be killed: {left}")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has just ended
        time.sleep(_PAUSE_S)


def remove_tree(directory: str | Path, deadline_s: float) -> None:
    """Remove a group and those below it; one already gone is success. Raises InternalError after the deadline."""
    try:
        os.rmdir(directory)  # noqa: PTH106 - usually there is nothing below it
        return
    except FileNotFoundError:
        return
    except OSError:
        _remove_from_below(directory, deadline_s)


def _remove_from_below(directory: str | Path, deadline_s: float) -> None:
    for below, _, _ in os.walk(directory, topdown=False):
        while True:
            try:
                os.rmdir(below)  # noqa: PTH106 - os.walk gives strings
            except FileNotFoundError:
                break
            except OSError as error:
                if time.monotonic() > deadline_s:
                    raise InternalError(f"cannot remove the control group {below}: {error.strerror}") from error
                time.sleep(_PAUSE_S)  # a killed process is still being taken down
                continue
            break
