"""The supervisor's second process: parent of the worker, holder of spare copies of its descriptors.

- A worker that dies is replaced at once. Its containers become the keeper's children (it is a subreaper), their pipes
  and terminals never close, and the new worker inherits the copies.
- An exit the keeper sees is written to ``ROOT/exits/PID-STARTTICKS`` before it is reaped, then told to the worker.
"""

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tidegate.shim import oci
from tidegate.shim.process import start_ticks

MESSAGE_LIMIT_BYTES = 4096
Kept = dict[str, dict[str, int]]
"""Descriptors by process key and name (``stdin``, ``stdout``, ``stderr``)."""


class KeeperLink:
    """The worker's end. A keeper that is gone is no error: the containers are the worker's own children."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.fd = link.fileno()

    def keep(self, key: str, fds: dict[str, int]) -> None:
        """Have copies of these descriptors held until ``drop``."""
        if fds:
            self._send({"keep": key, "names": list(fds)}, list(fds.values()))

    def drop(self, key: str, name: str | None = None) -> None:
        """Let go of one descriptor, or of all of ``key``."""
        self._send({"drop": key, "name": name}, [])

    def receive(self) -> bool:
        """Take one note of an exit; false when the keeper is gone."""
        return bool(self._link.recv(MESSAGE_LIMIT_BYTES))

    def _send(self, message: dict[str, object], fds: list[int]) -> None:
        try:
            socket.send_fds(self._link, [json.dumps(message).encode()], fds)
        except (BrokenPipeError, ConnectionError):
            sys.stderr.write("tidegate shim: the keeper is gone\n")


WorkerMain = Callable[[KeeperLink, socket.socket, Kept], None]


def recorded_exit(root: Path, pid: int, ticks: int) -> int | None:
    """The exit code the keeper wrote down, if it has."""
    try:
        return int((root / "exits" / f"{pid}-{ticks}").read_text())
    except (FileNotFoundError, ValueError):
        return None


class Keeper:
    """``run`` returns when a worker ended of its own will."""

    def __init__(self, root: Path) -> None:
        self._exits = root / "exits"
        self._exits.mkdir(exist_ok=True, mode=0o700)
        self._lock_fd = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        oci.become_subreaper()
        self._kept: Kept = {}
        # The listener outlives workers: who connects while one is replaced waits in its queue and is not reset.
        self._listener = _listen(root / "control.sock")
        self._link: socket.socket | None = None

    def run(self, work: WorkerMain) -> None:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        while True:
            signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
            signal.signal(signal.SIGCHLD, lambda *_: None)
            self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
            if pid == 0:
                self._work_and_exit(work, self._link, theirs)
            theirs.close()
            started = time.monotonic()
            if self._attend(pid, wake_read) == 0:
                return
            self._link.close()
            if time.monotonic() - started < 0.05:
                time.sleep(0.05)  # a worker that cannot live must not spin the machine

    def _work_and_exit(self, work: WorkerMain, ours: socket.socket, theirs: socket.socket) -> NoReturn:
        code = 1
        try:
            ours.close()
            work(KeeperLink(theirs), self._listener, self._kept)
            code = 0
        except Exception as error:  # noqa: BLE001 - the fork's last frame: report, then leave by _exit
            sys.stderr.write(f"tidegate shim: worker: {error!r}\n")
        finally:
            os._exit(code)

    def _attend(self, worker_pid: int, wake_fd: int) -> int:
        """Serve until the worker ends; its exit code."""
        assert self._link is not None  # noqa: S101 - set by run
        while True:
            code = self._reap(worker_pid)
            if code is not None:
                self._take_all()
                return code
            ready, _, _ = select.select([self._link, wake_fd], [], [])
            if wake_fd in ready:
                os.read(wake_fd, 4096)
            if self._link in ready and not self._take():
                select.select([wake_fd], [], [])  # the worker is ending

    def _reap(self, worker_pid: int) -> int | None:
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return None
            if info is None:
                return None
            code = info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status
            if info.si_pid != worker_pid:
                temporary = self._exits / ".new"
                temporary.write_text(str(code))
                temporary.replace(self._exits / f"{info.si_pid}-{start_ticks(info.si_pid)}")
            os.waitid(os.P_PID, info.si_pid, os.WEXITED | os.WNOHANG)
            if info.si_pid == worker_pid:
                return code
            self._tell()

    def _tell(self) -> None:
        try:
            if self._link is not None:
                self._link.send(b"exit", socket.MSG_DONTWAIT)
        except OSError:
            return  # a worker that is gone or behind reads the exits directory

    def _take_all(self) -> None:
        while self._link is not None and select.select([self._link], [], [], 0)[0] and self._take():
            pass

    def _take(self) -> bool:
        assert self._link is not None  # noqa: S101 - set by run
        try:
            data, fds, _, _ = socket.recv_fds(self._link, MESSAGE_LIMIT_BYTES, 8)
        except ConnectionError:
            return False
        if not data:
            return False
        message = json.loads(data)
        if "keep" in message:
            for fd in fds:
                os.set_inheritable(fd, False)
            self._kept.setdefault(message["keep"], {}).update(zip(message["names"], fds, strict=True))
            return True
        held = self._kept.get(message["drop"], {})
        for name in [message["name"]] if message["name"] else list(held):
            if name in held:
                os.close(held.pop(name))
        if not held:
            self._kept.pop(message["drop"], None)
        return True


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    listener.bind(str(path))
    os.umask(mask)
    listener.listen(128)
    listener.setblocking(False)
    return listener
