"""Priority for what is measured over whatever else the machine does (sched(7)), of the same kind for every engine.

Nothing may be started in a container meanwhile: it would inherit the priority, which a control group of its own on
cgroup v1 does not admit.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIORITY = 10


@contextmanager
def undisturbed(pids: Callable[[], Iterable[int]]) -> Iterator[None]:
    """This process, and those that ``pids`` names at the beginning, with what they start; back to normal at the end.

    Raises PermissionError where nobody may have real-time priority.
    """
    _schedule((os.getpid(), *pids()), os.SCHED_RR, PRIORITY)
    try:
        yield
    finally:
        _schedule((os.getpid(), *pids()), os.SCHED_OTHER, 0)


def _schedule(pids: Iterable[int], policy: int, priority: int) -> None:
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))
