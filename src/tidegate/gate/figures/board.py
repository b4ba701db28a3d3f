"""Where workers show their tallies to each other: a file in memory, made before they are forked, with a place for each.

A worker writes its own place now and then; the one that serves the figures reads them all. A place that is read while
it is written has a wrong checksum, and is read again; what was read before stands in for one that cannot be read.
"""

import os
import struct
import zlib
from collections.abc import Sequence

import msgspec

from tidegate.gate.figures.tally import Tally

PLACE_BYTES = 256 * 1024
_HEAD = struct.Struct("<II")  # size and CRC-32 of the document that follows
_ATTEMPTS = 3
_decoder = msgspec.json.Decoder(Tally)


def open_board(workers: int) -> int:
    """A descriptor for workers to share. Raises OSError."""
    fd = os.memfd_create("tidegate-figures", os.MFD_CLOEXEC)
    os.ftruncate(fd, workers * PLACE_BYTES)
    return fd


class Board:
    """Places by the workers' numbers, from 1 on."""

    def __init__(self, fd: int, workers: int) -> None:
        self._fd = fd
        self._known = [Tally() for _ in range(workers)]
        self._shown = b""

    def show(self, number: int, tally: Tally) -> None:
        """Write the tally of worker ``number``, unless it is as it was. Raises OSError."""
        document = msgspec.json.encode(tally)
        if document == self._shown or len(document) > PLACE_BYTES - _HEAD.size:
            return
        os.pwrite(self._fd, _HEAD.pack(len(document), zlib.crc32(document)) + document, (number - 1) * PLACE_BYTES)
        self._shown = document

    def read(self) -> Sequence[Tally]:
        """The newest tally of each worker; one that has shown nothing has counted nothing."""
        for index in range(len(self._known)):
            for _ in range(_ATTEMPTS):
                tally = self._read(index)
                if tally is not None:
                    self._known[index] = tally
                    break
        return self._known

    def _read(self, index: int) -> Tally | None:
        start = index * PLACE_BYTES
        size, checksum = _HEAD.unpack(os.pread(self._fd, _HEAD.size, start))
        document = os.pread(self._fd, min(size, PLACE_BYTES), start + _HEAD.size)
        if not size or zlib.crc32(document) != checksum:
            return None
        return _decoder.decode(document)
