"""A program on a terminal of its own, for tests that type and read."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence


class Terminal:
    """Runs ``command`` as the leader of a session on a new terminal of 24 by 80."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(
            command, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        """The kernel tells the program by SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self._master, text)

    def read_until(self, wanted: bytes, limit_s: float = 30) -> bytes:
        """What came up to ``wanted`` and with it; the rest is kept for the next call."""
        deadline = time.monotonic() + limit_s
        while wanted not in self.seen:
            if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"{wanted!r} did not come: {self.seen!r}")
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the program ended before {wanted!r}: {self.seen!r}")
            self.seen += data
        end = self.seen.index(wanted) + len(wanted)
        found, self.seen = self.seen[:end], self.seen[end:]
        return found

    def wait(self) -> int:
        """The exit code; what the program still writes is read away."""
        try:
            while os.read(self._master, 65536):
                continue
        except OSError:  # EIO: nobody has the other side open any more
            return self.process.wait(30)
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
