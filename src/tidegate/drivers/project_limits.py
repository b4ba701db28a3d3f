"""How much may be written into directories: a project for each, on filesystems that count by projects.

- Root filesystems and volumes take their numbers from ranges of their own, beginning where other users of the
  filesystem's quotas are left alone.
- A number is taken that no other directory here has, also none of those being deleted.
"""

import errno
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tidegate.base.errors import InternalError, NotSupportedError
from tidegate.kernel.project_quotas import limit_project, project_of, set_project

FIRST, FIRST_OF_VOLUMES = 0x7467_0000, 0x7468_0000
NEEDED = (
    "only where the data root has project quotas: xfs mounted with pquota, or ext4 with the features project and quota "
    "mounted with prjquota"
)
_NO_QUOTAS = frozenset(
    {errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.ESRCH, errno.EINVAL, errno.ENODEV, errno.ENOTBLK}
)


class ProjectLimits:
    """``numbered`` answers the directories that may have a number of the range that begins with ``first``.

    ``what`` begins the refusal where there can be no limit.
    """

    def __init__(self, first: int, numbered: Callable[[], Iterable[Path]], what: str) -> None:
        self._first, self._numbered, self._what = first, numbered, what
        self._last = first
        self._lock = threading.Lock()

    def limit(self, directories: Sequence[Path], most_bytes: int) -> None:
        """Limit what is written in all of them together; they have just been made.

        Raises NotSupportedError where the filesystem cannot, InternalError.
        """
        try:
            project = self._free_number()
            for directory in directories:
                set_project(directory, project)
            limit_project(directories[0].parent, project, most_bytes)
        except OSError as error:
            if error.errno in _NO_QUOTAS:
                raise NotSupportedError(f"{self._what} can be limited {NEEDED}") from error
            raise InternalError(f"cannot limit {directories[0]}: {error}") from error

    def _free_number(self) -> int:
        with self._lock:
            self._last = max([self._last, *self._numbers()]) + 1
            return self._last

    def _numbers(self) -> Iterable[int]:
        for directory in self._numbered():
            try:
                number = project_of(directory)
            except FileNotFoundError:
                continue  # it was being deleted
            if self._first < number < self._first + 0x1_0000:
                yield number
