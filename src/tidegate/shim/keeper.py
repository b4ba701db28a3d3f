"""The supervisor's second process: parent of the worker, holder of spare copies of its descriptors.

- A worker that dies is replaced at once. Its containers become the keeper's children (it is a subreaper), their pipes
  and terminals never close, and the new worker inherits the copies.
- A keeper that dies is replaced by its worker, the parent of the containers, which has forked: the fork serves on.
- An exit the keeper sees is written to ``ROOT/exits/PID-STARTTICKS`` before it is reaped, then told to the worker.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tidegate.shim import oci
from tidegate.shim.exits import ExitRecords
from tidegate.shim.spares import Spares

SHORTEST_LIFE_S = 0.05  # a worker that cannot live must not spin the machine


class Options(NamedTuple):
    """``child_descriptors`` is the soft limit of what the supervisor starts: its own is higher.

    ``stall_limit_s``: see ``streams.StreamKind``.
    """

    child_descriptors: int
    stall_limit_s: float


class Estate(NamedTuple):
    """What every supervisor process holds: the lock of the root, the listeners and the spares.
    The listeners outlive workers: who connects while one is replaced waits in their queues and is not reset.
    """

    root: Path
    lock_fd: int
    control: socket.socket
    holders: socket.socket
    spares: Spares
    options: Options

    def fds(self) -> set[int]:
        return {self.lock_fd, self.control.fileno(), self.holders.fileno(), *self.spares.fds()}


class Ward(NamedTuple):
    """A worker that lives, seen by its keeper. ``past`` is what this process was before it became the keeper."""

    pid: int
    link: socket.socket
    estate: Estate
    past: object = None


Work = Callable[[Estate, socket.socket], Ward | None]
"""Serves with a link to the keeper; returns at a shutdown (None), or as the keeper to be of the fork that serves on."""


def open_estate(root: Path, options: Options) -> Estate:
    """Of a root that no other supervisor serves. Raises BlockingIOError where one does."""
    lock_fd = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    control = _listen(root / "control.sock", socket.SOCK_STREAM)
    holders = _listen(root / "spares.sock", socket.SOCK_SEQPACKET)
    return Estate(root, lock_fd, control, holders, Spares(), options)


def supervise(estate: Estate, work: Work) -> None:
    """Keep one worker after another; returns when one ended of its own will, or has no root to begin in any more."""
    oci.become_subreaper()
    # Never dropped: the sockets of a worker that became the keeper were closed by number, and one that is collected
    # closes its number again, which is another descriptor's by then.
    past = []
    while True:
        began = time.monotonic()
        ward = _start_worker(estate, work)
        past.append(ward.past)
        if _attend(ward) == 0:
            return
        estate = ward.estate
        if not estate.root.is_dir():
            sys.stderr.write(f"tidegate shim: {estate.root} is gone: nothing can be supervised there any more\n")
            return
        if time.monotonic() - began < SHORTEST_LIFE_S:
            time.sleep(SHORTEST_LIFE_S)


def _start_worker(estate: Estate, work: Work) -> Ward:
    """Fork. Returns in the keeper, and again in a worker that has become the keeper of a fork of its own."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        theirs.close()
        return Ward(pid, ours, estate)
    ours.close()
    code, ward = 1, None
    try:
        ward = work(estate, theirs)
        code = 0
    except Exception as error:  # noqa: BLE001 - the fork's last frame: report, then leave by _exit
        sys.stderr.write(f"tidegate shim: worker: {error!r}\n")
    if ward is None:
        os._exit(code)
    return ward


def _attend(ward: Ward) -> int:
    """Serve until the worker ends; its exit code. What it last told of its descriptors has been taken by then."""
    show_role("keeper")
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    records, spares = ExitRecords(ward.estate.root), ward.estate.spares
    ready = select.poll()
    ready.register(wake_read, select.POLLIN)
    ready.register(ward.link, select.POLLIN)
    ward.link.setblocking(False)
    try:
        while True:
            code = _reap(ward, records)
            if code is not None:
                with contextlib.suppress(BlockingIOError):
                    while spares.receive(ward.link):
                        pass
                return code
            for fd, _ in ready.poll():
                if fd == wake_read:
                    os.read(wake_read, 4096)
                elif not spares.receive(ward.link):
                    ready.unregister(ward.link)  # the worker is ending
    finally:
        signal.set_wakeup_fd(-1)
        ward.link.close()
        os.close(wake_read)
        os.close(wake_write)


def _reap(ward: Ward, records: ExitRecords) -> int | None:
    """Write down and reap every child that has ended; the exit code of the worker if it is among them."""
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if info is None:
            return None
        code = info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status
        if info.si_pid != ward.pid:
            records.write(info.si_pid, code)
        os.waitid(os.P_PID, info.si_pid, os.WEXITED | os.WNOHANG)
        if info.si_pid == ward.pid:
            return code
        _tell(ward.link)


def _tell(link: socket.socket) -> None:
    try:
        link.send(b"exit")
    except OSError:
        return  # a worker that is gone or behind reads the exits directory


def _listen(path: Path, kind: socket.SocketKind) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    mask = os.umask(0o177)
    listener.bind(str(path))
    os.umask(mask)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def show_role(name: str) -> None:
    """As process lists show it, 15 characters of it."""
    Path("/proc/self/comm").write_text(f"tidegate-{name}")


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor that is neither standard nor ``kept``."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        fd = int(entry.name)
        if fd > 2 and fd not in kept:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(fd)
