"""A process that must not outlive the one that started it (prctl(2), PR_SET_PDEATHSIG)."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent_pid: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Get the signal when the parent ends, at once if it has ended already. A change of uid undoes it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), number)
