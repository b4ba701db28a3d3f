"""How much a container may write to its root filesystem: a project of its own, on filesystems that count by projects.

- Only the upper and the work directory belong to it: the log and the files of /etc are the engine's.
- A number is taken that no container here has, also none of those being deleted. They begin at ``FIRST``, so that other
  users of the filesystem's quotas are left alone.
"""

import errno
import threading
from collections.abc import Iterable
from pathlib import Path

from tidegate.base.errors import InternalError, NotSupportedError
from tidegate.kernel.project_quotas import limit_project, project_of, set_project

FIRST = 0x7467_0000
_NO_QUOTAS = frozenset(
    {errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.ESRCH, errno.EINVAL, errno.ENODEV, errno.ENOTBLK}
)
_LIMITED = ("upper", "work")


class RootfsLimits:
    """``parents`` hold the containers' directories, of those that are and those on their way out."""

    def __init__(self, parents: Iterable[Path]) -> None:
        self._parents = tuple(parents)
        self._last = FIRST
        self._lock = threading.Lock()

    def limit(self, home: Path, most_bytes: int) -> None:
        """Limit what is written below ``home/upper``, which has just been made.

        Raises NotSupportedError where the filesystem cannot, InternalError.
        """
        try:
            project = self._free_number()
            for name in _LIMITED:
                set_project(home / name, project)
            limit_project(home, project, most_bytes)
        except OSError as error:
            if error.errno in _NO_QUOTAS:
                raise NotSupportedError(
                    "StorageOpt size: the root filesystem can be limited only where the data root has project quotas: "
                    "xfs mounted with pquota, or ext4 with the features project and quota mounted with prjquota"
                ) from error
            raise InternalError(f"cannot limit the root filesystem of {home.name}: {error}") from error

    def _free_number(self) -> int:
        with self._lock:
            self._last = max([self._last, *self._numbers()]) + 1
            return self._last

    def _numbers(self) -> Iterable[int]:
        for parent in self._parents:
            for home in parent.iterdir() if parent.is_dir() else ():
                try:
                    number = project_of(home / "upper")
                except FileNotFoundError:
                    continue  # it was being deleted
                if number > FIRST:
                    yield number
