"""Output on its way from a process to its log, where no death of a worker can lose it or take it twice.

Bytes move from the process's pipe into a staging pipe, which the keeper holds too, are looked at there, and leave it
only when the log has committed them (``journal``). The kernel moves them (splice(2), tee(2)): a worker that is killed
leaves each byte in exactly one of the pipes.

A terminal whose driver cannot splice is read and written on instead; between the two a killed worker loses one read.
"""

import ctypes
import errno
import os

CHUNK_SIZE_BYTES = 64 * 1024
_EVERYTHING = 1 << 30


class Tap:
    """One worker's means of looking at staged bytes: a pipe that is empty between calls, and /dev/null."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self._null_fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._tee = ctypes.CDLL(None, use_errno=True).tee

    def peek(self, staged_fd: int) -> bytes:
        """All the bytes staged, which stay there."""
        copied = self._tee(staged_fd, self._write_fd, ctypes.c_size_t(_EVERYTHING), os.SPLICE_F_NONBLOCK)
        if copied < 0:
            number = ctypes.get_errno()
            if number == errno.EAGAIN:
                return b""
            raise OSError(number, os.strerror(number))
        parts = []
        while copied > 0:
            parts.append(os.read(self._read_fd, copied))
            copied -= len(parts[-1])
        return b"".join(parts)

    def discard(self, staged_fd: int) -> None:
        """Empty a staging pipe."""
        try:
            while os.splice(staged_fd, self._null_fd, _EVERYTHING, flags=os.SPLICE_F_NONBLOCK):
                pass
        except BlockingIOError:
            return


class Stage:
    """The staging pipe of one output stream; ``fds`` are its ends, made here or by an earlier worker."""

    def __init__(self, tap: Tap, source_fd: int, fds: tuple[int, int] | None = None) -> None:
        self._tap = tap
        self._source_fd = source_fd
        self.fds = fds or os.pipe()
        self._splices = True

    def take(self) -> bytes:
        """What is staged, after moving in what the source has now; empty at the source's end.

        Raises BlockingIOError when there is nothing yet.
        """
        moved = self._move()
        data = self._tap.peek(self.fds[0])
        if not data and moved is None:
            raise BlockingIOError
        return data

    def discard(self) -> None:
        """What ``take`` returned is recorded."""
        self._tap.discard(self.fds[0])

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)

    def _move(self) -> int | None:
        """How many bytes were moved; zero at the end, None when there is nothing now or no room."""
        try:
            if self._splices:
                return os.splice(self._source_fd, self.fds[1], CHUNK_SIZE_BYTES, flags=os.SPLICE_F_NONBLOCK)
            if self._tap.peek(self.fds[0]):
                return None
            return os.write(self.fds[1], os.read(self._source_fd, CHUNK_SIZE_BYTES))
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL and self._splices:
                self._splices = False
                return self._move()
            return 0  # EIO: the last process let go of the terminal
