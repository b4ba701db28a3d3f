"""How a process ended, whoever is its parent: this one, the keeper, or one that knows nothing of containers.

- A parent that belongs to the supervisor writes the exit down under ``ROOT/exits`` before it reaps; it is waited for.
- Of a process that escaped to another parent, since its supervisors were killed, the kernel may have told
  (``task_exits``); else it is looked at while it is a zombie (proc(5) stat field 52), or asked for through its pidfd
  once it was reaped (PIDFD_GET_INFO, Linux 6.15 and newer).
"""

import fcntl
import os
import struct
from pathlib import Path
from typing import NamedTuple

UNKNOWN_EXIT_CODE = 255  # of a process that was reaped by another on a kernel that does not tell
_INFO_EXIT = 1 << 3
_INFO = struct.Struct("<Q52xi")
_PIDFD_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11  # _IOWR(0xFF, 11, struct pidfd_info)


class Stat(NamedTuple):
    """Some fields of /proc/PID/stat. ``status`` is a wait status, of a zombie only."""

    zombie: bool
    parent: int
    start_ticks: int
    status: int


def read_stat(pid: int) -> Stat | None:
    """None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return Stat(fields[0] == "Z", int(fields[1]), int(fields[19]), int(fields[49]))


def start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 when there is none."""
    stat = read_stat(pid)
    return 0 if stat is None else stat.start_ticks


def exit_code(status: int) -> int:
    """Docker's exit code of a wait status: 128 + N for signal N."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


class ExitRecords:
    """Exits that a keeper wrote down before it reaped."""

    def __init__(self, root: Path) -> None:
        self._directory = root / "exits"
        self._directory.mkdir(exist_ok=True, mode=0o700)

    def write(self, pid: int, code: int) -> None:
        temporary = self._directory / ".new"
        temporary.write_text(str(code))
        temporary.replace(self._directory / f"{pid}-{start_ticks(pid)}")

    def read(self, pid: int, ticks: int) -> int | None:
        try:
            return int((self._directory / f"{pid}-{ticks}").read_text())
        except FileNotFoundError:
            return None

    def ticks(self, pid: int) -> int:
        """When the process with this pid that was written down had started; 0 when there is none."""
        return next((int(path.name.partition("-")[2]) for path in self._directory.glob(f"{pid}-*")), 0)

    def forget(self, pid: int, ticks: int) -> None:
        (self._directory / f"{pid}-{ticks}").unlink(missing_ok=True)

    def keep_only(self, pids: set[int]) -> None:
        """Forget the exits nobody waits for."""
        for path in self._directory.glob("[0-9]*-*"):
            if int(path.name.partition("-")[0]) not in pids:
                path.unlink(missing_ok=True)


def exit_of_foreign(pid: int, ticks: int, pidfd: int, records: ExitRecords, told: int | None) -> int | None:
    """The exit code of an ended process that is not this one's child; None when its parent is still to tell.

    ``told`` is the wait status that the kernel told of it (``task_exits``).
    """
    stat = read_stat(pid)
    here = stat is not None and stat.start_ticks == ticks
    if stat is not None and here and _is_supervised(stat.parent):
        return None
    recorded = records.read(pid, ticks)
    if recorded is not None:
        return recorded
    if told is None and stat is not None and here and stat.zombie:
        told = stat.status
    if told is None:
        told = _status_of_reaped(pidfd)
    return UNKNOWN_EXIT_CODE if told is None else exit_code(told)


def _is_supervised(pid: int) -> bool:
    """Whether this process or its parent, the keeper, inherits the children of ``pid``."""
    ours = {os.getpid(), os.getppid()} - {1}
    while pid > 1:
        if pid in ours:
            return True
        stat = read_stat(pid)
        pid = 0 if stat is None else stat.parent
    return False


def _status_of_reaped(pidfd: int) -> int | None:
    """The wait status of a process that was reaped; None where the kernel does not tell."""
    answer = bytearray(_INFO.pack(_INFO_EXIT, 0))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, answer)
    except OSError:
        return None
    mask, status = _INFO.unpack(answer)
    return int(status) if mask & _INFO_EXIT else None
