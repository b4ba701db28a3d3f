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


class Write(NamedTuple):
    """One value for one file; ``controller`` is whose it is."""

    controller: str
    file: str
    value: str


def read_text(path: Path) -> str:
    """The file's text; empty when the group is gone."""
    try:
        return path.read_text()
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno == errno.ENODEV:  # removed while it was read
            return ""
        raise


def pids_below(directory: Path) -> Sequence[int]:
    """Host pids of the processes in a group and the groups below it; none when it is gone."""
    found: list[int] = []
    for below, _, _ in os.walk(directory):
        found += [int(pid) for pid in read_text(Path(below) / "cgroup.procs").split()]
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


def remove_tree(directory: Path, deadline_s: float) -> None:
    """Remove a group and those below it; one already gone is success. Raises InternalError after the deadline."""
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
