"""The standard streams of one process: pipes or a terminal on one side, the log and attached clients on the other.

- Every byte of output goes to the log first, then to each client, in Docker's framing unless there is a terminal. What
  is logged passes a ``staging`` pipe, so that a killed worker loses nothing of it and repeats nothing.
- A client that is far behind holds the process back, but not for ever (``attach_client``).
- Standard input is read from clients only as fast as the process takes it.
- The end: ``finish`` drains what is in the pipes, ends the log, and closes each client when it has been served.
"""

import fcntl
import os
import socket
import stat
import struct
import sys
import termios
from collections.abc import Callable
from typing import NamedTuple

from tidegate.shim.attach_client import STREAM_NUMBERS, AttachClient
from tidegate.shim.json_log import JSONLog
from tidegate.shim.loop import READ, WRITE, Loop
from tidegate.shim.staging import CHUNK_SIZE_BYTES, Stage, Tap


class StreamKind(NamedTuple):
    """``stdin_once``: the end of a client's input is the end of the process's.

    ``stall_limit_s`` is how long a client may take nothing while it holds the process back; None is for ever.
    """

    tty: bool
    open_stdin: bool
    stdin_once: bool
    stall_limit_s: float | None


class Streams:
    """Made before the process starts, so that clients can attach; ``child_fds`` is what the process inherits."""

    def __init__(self, loop: Loop, tap: Tap, log: JSONLog | None, kind: StreamKind) -> None:
        self._loop = loop
        self._tap = tap
        self._log = log
        self._stages: dict[str, Stage] = {}
        self.tty = kind.tty
        self.stall_limit_s = kind.stall_limit_s
        self._stdin_once = kind.stdin_once and not kind.tty  # a terminal's end of input is a character, as with dockerd
        self._outputs: dict[str, int] = {}
        self._stdin_fd = -1
        self._accepts_input = kind.open_stdin
        self._input = bytearray()
        self._input_ended = False
        self.clients: set[AttachClient] = set()
        self.child_fds = self._open_child_fds(open_stdin=kind.open_stdin)
        self._size: tuple[int, int] | None = None
        self._finished = False
        self.on_stdin_closed: Callable[[], None] = lambda: None

    def give_pipes_to(self, uid: int, gid: int) -> None:
        """So that the process can open them anew, as ``/dev/stdout``. Raises OSError."""
        for fd in self.child_fds:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.fchown(fd, uid, gid)

    def held_fds(self) -> dict[str, int]:
        """This side's descriptors, by name, of a process that runs."""
        staged = {
            f"{name}.{end}": fd for name, stage in self._stages.items() for end, fd in zip("rw", stage.fds, strict=True)
        }
        stdin = {"stdin": self._stdin_fd} if self._stdin_fd >= 0 and not self.tty else {}
        return self._outputs | staged | stdin

    def restore(self, held: dict[str, int]) -> None:
        """Go on with the descriptors of a process that an earlier worker served."""
        self.close_child_fds()
        for fd in self.held_fds().values():
            os.close(fd)
        self._outputs = {name: fd for name, fd in held.items() if name in STREAM_NUMBERS}
        if self._log is not None:
            for name, fd in self._outputs.items():
                self._stages[name] = Stage(self._tap, fd, (held[f"{name}.r"], held[f"{name}.w"]))
            if self._log.staged in self._stages:
                self._stages[self._log.staged].discard()
            self._log.settle()
        self._stdin_fd = held.get("stdout" if self.tty else "stdin", -1)
        self._accepts_input = self._accepts_input and self._stdin_fd >= 0
        self.update()

    @property
    def stdin_is_full(self) -> bool:
        return bool(self._input)

    def begin(self, master_fd: int | None) -> None:
        """The process runs: its ends of the pipes are closed here and output is read."""
        self.close_child_fds()
        if master_fd is not None:
            os.set_blocking(master_fd, False)
            self._outputs = {"stdout": master_fd}
            self._stdin_fd = master_fd
            if self._size is not None:
                self.resize(*self._size)
        if self._log is not None:
            self._stages = {name: Stage(self._tap, fd) for name, fd in self._outputs.items()}
        self._write_input()
        self.update()

    def attach(self, sock: socket.socket, takes: set[str], *, gives: bool, early: bytes) -> None:
        """Connect a client; ``early`` is input that came with its request."""
        client = AttachClient(self._loop, sock, self, takes, gives=gives and self._accepts_input)
        self.clients.add(client)
        if early and gives:
            self.feed(early)
        if self._finished:
            client.end()

    def feed(self, data: bytes) -> None:
        """Input for the process; dropped when its stdin is closed."""
        if not self._accepts_input:
            return
        self._input += data
        self._write_input()

    def client_input_ended(self) -> None:
        """A client closed its side: with StdinOnce that closes the process's stdin."""
        if self._stdin_once:
            self._input_ended = True
            self._write_input()

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size, now or when it exists."""
        self._size = (height, width)
        if self.tty and self._stdin_fd >= 0:
            fcntl.ioctl(self._stdin_fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def update(self) -> None:
        """Read output unless a client is too far behind; write input while some waits."""
        held = any(client.holds for client in self.clients)
        started = not self.child_fds
        for name, fd in self._outputs.items():
            mask = READ if started and not held else 0
            if fd == self._stdin_fd and self._input:
                mask |= WRITE
            self._loop.watch(fd, mask, lambda ready, name=name: self._output_ready(name, ready))  # type: ignore[misc]
        if self._stdin_fd >= 0 and self._stdin_fd not in self._outputs.values():
            self._loop.watch(self._stdin_fd, WRITE if started and self._input else 0, self._input_ready)

    def finish(self) -> None:
        """The process ended: take what its pipes still hold, then end log and clients. Idempotent."""
        if self._finished:
            return
        self._finished = True
        self.close_child_fds()
        for name in list(self._outputs):
            while self._read(name):
                pass
            self._end_output(name)
        self._close_stdin()
        if self._log is not None:
            self._log.close()
            self._log = None
        for client in list(self.clients):
            client.end()

    def discard(self) -> None:
        """The process did not start: what crun wrote into the pipes is not the container's output."""
        self.close_child_fds()
        for fd in self._outputs.values():
            self._loop.forget(fd)
            os.close(fd)
        self._outputs = {}
        self.finish()

    def close_child_fds(self) -> None:
        for fd in set(self.child_fds):
            os.close(fd)
        self.child_fds = []

    def _open_child_fds(self, *, open_stdin: bool) -> list[int]:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        if self.tty:
            return [null, null, null]
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self._outputs = {"stdout": out_read, "stderr": err_read}
        stdin_read = null
        if open_stdin:
            os.close(null)
            stdin_read, self._stdin_fd = os.pipe()
            os.set_blocking(self._stdin_fd, False)
        os.set_blocking(out_read, False)
        os.set_blocking(err_read, False)
        return [stdin_read, out_write, err_write]

    def _output_ready(self, name: str, ready: int) -> None:
        if ready & WRITE:
            self._write_input()
        if ready & READ and name in self._outputs and not self._read(name, at_end=True):
            self.update()

    def _read(self, name: str, *, at_end: bool = False) -> bool:
        """Move one chunk; false when there is none now, or at the end (which ``at_end`` acts on)."""
        stage = self._stages.get(name)
        try:
            data = stage.take() if stage else os.read(self._outputs[name], CHUNK_SIZE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: the last process let go of the terminal
        if not data:
            if at_end:
                self._end_output(name)
            return False
        if stage is not None and self._log is not None:
            self._record(self._log, name, data, stage)
        for client in list(self.clients):
            client.send(name, data)
        return True

    @staticmethod
    def _record(log: JSONLog, name: str, data: bytes, stage: Stage) -> None:
        try:
            log.append(name, data)
        except OSError as error:  # a full disk must not stop the process or its clients
            sys.stderr.write(f"tidegate shim: log: {error}\n")
        stage.discard()
        log.settle()

    def _end_output(self, name: str) -> None:
        fd = self._outputs.pop(name)
        self._loop.forget(fd)
        if fd == self._stdin_fd:
            self._stdin_fd = -1
            self._accepts_input = False
            self._input.clear()
        os.close(fd)
        if self._log is not None:
            self._log.finish(name)
        if name in self._stages:
            self._stages.pop(name).close()

    def _input_ready(self, ready: int) -> None:
        self._write_input()

    def _write_input(self) -> None:
        was_full = bool(self._input)
        try:
            while self._input and self._stdin_fd >= 0:
                del self._input[: os.write(self._stdin_fd, self._input)]
        except BlockingIOError:
            pass  # the loop calls again when there is room
        except OSError:
            self._close_stdin()  # nobody reads it any more
        if self._input_ended and not self._input:
            self._close_stdin()
        self.update()
        if was_full != bool(self._input):
            for client in list(self.clients):
                client.update()

    def _close_stdin(self) -> None:
        self._accepts_input = False
        self._input.clear()
        if self._stdin_fd >= 0 and self._stdin_fd not in self._outputs.values():
            self._loop.forget(self._stdin_fd)
            os.close(self._stdin_fd)
            self._stdin_fd = -1
            self.on_stdin_closed()
