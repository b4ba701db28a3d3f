"""Being told when a control group runs out of memory.

A notice has a descriptor that becomes readable, and ``happened``, which says whether it became so for want of memory.

Source: Documentation/admin-guide/cgroup-v1/memory.rst section 10 (memory.oom_control), cgroup-v2.rst (memory.events).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tidegate.kernel.inotify import IN_MODIFY, Watch

_READ_BYTES = 4096


class OOMNotice(Protocol):
    """Of one group, until ``close``."""

    @property
    def fd(self) -> int: ...
    def happened(self) -> bool:
        """Whether the group ran out of memory since the last call; called when ``fd`` is readable."""
        ...

    def close(self) -> None: ...


class OOMNoticeV1:
    """An eventfd that the kernel writes when it begins to look for a process to kill, and when the group goes."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError."""
        self._directory = directory
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            control = os.open(directory / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                (directory / "cgroup.event_control").write_text(f"{self.fd} {control}")
            finally:
                os.close(control)
        except OSError:
            self.close()
            raise

    def happened(self) -> bool:
        _drain(self.fd)
        return self._directory.exists()

    def close(self) -> None:
        os.close(self.fd)


class OOMNoticeV2:
    """An inotify descriptor on ``memory.events``; other counters change there too."""

    def __init__(self, directory: Path, kills: Callable[[], int]) -> None:
        """Raises OSError."""
        self._kills = kills
        self.fd = Watch(directory / "memory.events", mask=IN_MODIFY).fd
        self._known = kills()

    def happened(self) -> bool:
        _drain(self.fd)
        before, self._known = self._known, self._kills()
        return self._known > before

    def close(self) -> None:
        os.close(self.fd)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, _READ_BYTES):
            pass
    except BlockingIOError:
        return
