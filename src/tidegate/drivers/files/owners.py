"""Owners of files as archives name them: those that the container sees, whatever they are on the host.

``/proc/PID/uid_map`` and ``gid_map`` tell of a running container, user_namespaces(7).
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.drivers.files.tar_entries import RefusedEntryError

Ranges = Sequence[Sequence[int]]
"""(in the container, on the host, how many), as in a uid_map."""
OVERFLOW_ID = 65534
_EVERYBODY: Ranges = ((0, 0, 1 << 32),)


class Owners(NamedTuple):
    """The mapping of a container's user namespace; the host's unless told otherwise."""

    uids: Ranges = _EVERYBODY
    gids: Ranges = _EVERYBODY

    def seen(self, uid: int, gid: int) -> tuple[int, int]:
        """A file's owner as the container sees it."""
        return _inside(self.uids, uid), _inside(self.gids, gid)

    def real(self, uid: int, gid: int) -> tuple[int, int]:
        """Who on the host the container means. Raises RefusedEntryError for an id that is not mapped."""
        return _outside(self.uids, uid), _outside(self.gids, gid)


THE_HOSTS = Owners()


def parse_map(text: str) -> Ranges:
    """A uid_map or gid_map."""
    return [[int(word) for word in line.split()] for line in text.splitlines()]


def _inside(ranges: Ranges, number: int) -> int:
    for inside, outside, size in ranges:
        if outside <= number < outside + size:
            return inside + number - outside
    return OVERFLOW_ID


def _outside(ranges: Ranges, number: int) -> int:
    for inside, outside, size in ranges:
        if inside <= number < inside + size:
            return outside + number - inside
    raise RefusedEntryError(f"the owner {number} is not mapped into the container's user namespace")
