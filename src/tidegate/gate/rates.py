"""How fast each client goes, where its role sets a rate, and each stranger: one count for all workers of the gate.

The buckets lie in memory that the workers share (a memfd made before they are forked). The table is one of sets: a
client's name leads to a few places, of which one is its own; a byte lock (fcntl(2), freed when its holder dies) keeps a
set to one worker for the microseconds of a look. What is written there is read by workers alone, and only counts.

- A client that is new takes a place that is empty, or whose bucket is full again: that says no more than a new one.
- Names are found by a keyed hash: nobody can choose names that fall into one set.
- When no place is free, the client goes that has rested longest: it then begins with a full bucket. For that, more
  than PLACES * SETS / 2 clients or so have to hurry at once.
"""

import fcntl
import mmap
import os
import struct
from hashlib import blake2b

from tidegate.access.limits.rate import Bucket, full_at_s, full_bucket, take
from tidegate.access.roles import Rate

PLACES = 8
SETS = 512
_PLACE = struct.Struct("<8sddd")  # whose, tokens, at_s, full_at_s
_SET_BYTES = PLACES * _PLACE.size
_KEY_BYTES = 32
_TABLE_BYTES = SETS * _SET_BYTES + _KEY_BYTES


def open_rates() -> int:
    """A descriptor of an empty table with a key of its own, for workers to share. Raises OSError."""
    fd = os.memfd_create("tidegate-rates", os.MFD_CLOEXEC)
    os.pwrite(fd, os.urandom(_KEY_BYTES), SETS * _SET_BYTES)
    return fd


class Rates:
    """Buckets by client in the table ``fd``. Readings of the clock are the caller's: of one that all workers share."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._table = mmap.mmap(fd, _TABLE_BYTES)
        self._key = self._table[-_KEY_BYTES:]

    def wait_s(self, owner: str, rate: Rate, now_s: float) -> float:
        """0 when the request may go on; else how long until the next one may."""
        name = blake2b(owner.encode("utf-8", "surrogatepass"), digest_size=10, key=self._key).digest()
        number = int.from_bytes(name[8:], "little") % SETS
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, number)
        try:
            return self._take(number * _SET_BYTES, name[:8], rate, now_s)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number)

    def _take(self, start: int, name: bytes, rate: Rate, now_s: float) -> float:
        offset, bucket = self._find(start, name)
        taken = take(rate, bucket or full_bucket(rate, now_s), now_s)
        tokens, at_s = taken.bucket.tokens, taken.bucket.at_s
        _PLACE.pack_into(self._table, offset, name, tokens, at_s, full_at_s(rate, taken.bucket))
        return taken.wait_s

    def _find(self, start: int, name: bytes) -> tuple[int, Bucket | None]:
        """The client's place and what is in it, or the place that it takes."""
        longest_full_s, free = float("inf"), start
        for offset in range(start, start + _SET_BYTES, _PLACE.size):
            whose, tokens, at_s, until_s = _PLACE.unpack_from(self._table, offset)
            if whose == name:
                return offset, Bucket(tokens, at_s)
            if until_s < longest_full_s:
                longest_full_s, free = until_s, offset
        return free, None
