"""Tells the end of processes, each once, whoever their parent is, and reaps those that are this process's children.

- ``ended`` is called with the exit code before the process is reaped, so that what it records outlives a kill.
- An exit that the keeper is to tell is looked for again when the keeper speaks or a child has ended.
- A watched pidfd belongs to the reaper, which closes it.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tidegate.base.errors import NotSupportedError
from tidegate.shim.exits import ExitRecords, exit_of_foreign
from tidegate.shim.loop import READ, Loop
from tidegate.shim.task_exits import TaskExits

Ended = Callable[[int], None]


class _Watched(NamedTuple):
    pid: int
    ticks: int
    pidfd: int
    ended: Ended


class Reaper:
    """Of one worker."""

    def __init__(self, loop: Loop, root: Path) -> None:
        self._loop = loop
        self.records = ExitRecords(root)
        self._watched: dict[int, _Watched] = {}
        self._untold: set[int] = set()
        self._tasks: TaskExits | None = None

    def watch(self, pid: int, ticks: int, pidfd: int, ended: Ended) -> None:
        """Have the end of a process told; at once in the loop's next turn where it has ended already."""
        self._watched[pidfd] = _Watched(pid, ticks, pidfd, ended)
        self._loop.watch(pidfd, READ, self._look_at(pidfd))

    def forget(self, pidfd: int) -> None:
        """Its end matters to nobody any more."""
        if (watched := self._watched.pop(pidfd, None)) is not None:
            if self._tasks is not None:
                self._tasks.forget(watched.pid)
            self._untold.discard(pidfd)
            self._loop.forget(pidfd)
            os.close(pidfd)

    def note_foreign(self) -> None:
        """All that are watched now are another's children; should it be killed, the kernel tells their ends."""
        pids = [watched.pid for watched in self._watched.values()]
        if not pids:
            return
        try:
            self._tasks = self._tasks or TaskExits()
            self._tasks.follow(pids)
        except (NotSupportedError, OSError) as error:
            sys.stderr.write(f"tidegate shim: exit codes may be lost with the keeper: {error}\n")

    def look_again(self) -> None:
        """For ends that were still to be told."""
        for pidfd in list(self._untold):
            self._look(pidfd)

    def reap_orphans(self) -> None:
        """Reap the children nobody watches: descendants that outlived their parents."""
        known = {watched.pid for watched in self._watched.values()}
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None or info.si_pid in known:
                return  # a known one has its own watch, and orphans are looked for after it
            os.waitid(os.P_PID, info.si_pid, os.WEXITED | os.WNOHANG)

    def drop_records(self) -> None:
        """Forget what keepers wrote down of processes nobody watches."""
        self.records.keep_only({watched.pid for watched in self._watched.values()})

    def _look_at(self, pidfd: int) -> Callable[[int], None]:
        return lambda _ready: self._look(pidfd)

    def _look(self, pidfd: int) -> None:
        watched = self._watched.get(pidfd)
        if watched is None:
            return
        code = self._exit_of(watched)
        self._loop.forget(pidfd)  # it stays ready, and the loop must not spin
        if code is None:
            self._untold.add(pidfd)
            return
        watched.ended(code)
        self.records.forget(watched.pid, watched.ticks)
        with contextlib.suppress(ChildProcessError):  # another's child, who reaps it
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
        self.forget(pidfd)

    def _exit_of(self, watched: _Watched) -> int | None:
        try:
            info = os.waitid(os.P_PIDFD, watched.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            told = None if self._tasks is None else self._tasks.status(watched.pid)
            return exit_of_foreign(watched.pid, watched.ticks, watched.pidfd, self.records, told)
        if info is None:
            return None
        return info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status
