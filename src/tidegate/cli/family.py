"""Processes forked from one that has already imported what they need: shared pages make each of them cheap.

The parent blocks SIGTERM, SIGINT and SIGHUP until it waits; children get them back. What happens to children is learned
from their pidfds (pidfd_open(2)): SIGCHLD stays with whoever else starts processes here. When one child ends, or the
parent is asked to, all are ended.
"""

import asyncio
import gc
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from tidegate.base.allocator import give_back, use_one_arena
from tidegate.base.errors import InternalError, InvalidParameterError, TidegateError
from tidegate.base.reload_link import reload_link

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_BLOCKED = _SIGNALS | {signal.SIGHUP}
END_DEADLINE_S = 30.0
START_DEADLINE_S = 60.0
_COMPLAINT_BYTES = 4096  # a pipe holds them without a reader (pipe(7), PIPE_BUF)
_log = logging.getLogger("tidegate")


class _Child(msgspec.Struct, frozen=True):
    pid: int
    name: str
    expendable: bool


@contextmanager
def pidfile(path: str | None) -> Iterator[None]:
    """Our process id is in the file ``path`` meanwhile; None is no file. Raises OSError."""
    if path:
        Path(path).write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        if path:
            Path(path).unlink(missing_ok=True)


def check_apart(check: Callable[[], object]) -> None:
    """``check`` in a fork: what it reads, keys among it, is in no memory that processes started later inherit.

    Raises InvalidParameterError with the words of the TidegateError or OSError that it raised; InternalError for
    another end, of which a traceback is printed.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os._exit(_checked(check, writing))
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        complaint = answer.read().decode()
    _, status = os.waitpid(pid, 0)
    if complaint:
        raise InvalidParameterError(complaint)
    if status:
        raise InternalError("the files could not be checked; the reason is above")


def _checked(check: Callable[[], object], writing: int) -> int:
    try:
        check()
    except (TidegateError, OSError) as error:
        os.write(writing, str(error).encode()[:_COMPLAINT_BYTES])
    except BaseException:  # noqa: BLE001 - nothing may return into the parent's code
        _log.exception("a check failed")
        return 1
    return 0


class ReloadLink(NamedTuple):
    """Both ends of ``base.reload_link``."""

    ours: socket.socket
    theirs: socket.socket


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


class Family:
    """Children by name. Make it before any thread exists."""

    def __init__(self) -> None:
        use_one_arena()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        self._children: dict[int, _Child] = {}  # by pidfd
        self._held: set[socket.socket] = set()
        self._own: set[socket.socket] = set()
        self._ended = False

    @contextmanager
    def until_its_end(self, pid_path: str | None) -> Iterator[None]:
        """Whatever happens inside, no child stays behind; ``pid_path`` has our pid meanwhile."""
        with pidfile(pid_path):
            try:
                yield
            finally:
                self.end()

    def hold(self, sockets: Iterable[socket.socket]) -> None:
        """Keep what was opened early for children to come; a child inherits of it only what ``start`` names."""
        self._held.update(sockets)

    def reload_link(self) -> ReloadLink:
        """For a child to come. Our end is ours for as long as we live, and no child inherits it; its own is held."""
        link = ReloadLink(*reload_link())
        self._own.add(link.ours)
        self.hold([link.theirs])
        return link

    def release(self, keep: Collection[socket.socket] = ()) -> None:
        """Close what was held, except ``keep``; due here once every child that needs some of it is there."""
        for each in self._held.difference(keep):
            each.close()
        self._held.clear()

    def start(
        self, name: str, run: Callable[[], None], keep: Collection[socket.socket] = (), expendable: bool = False
    ) -> None:
        """Fork a child that does ``run`` and exits; 1 with a message if it raises.

        The end of one that is ``expendable`` is told and ends nothing else.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        gc.collect()
        give_back()
        gc.freeze()  # the collector would write to every object it visits, and so copy every shared page
        pid = os.fork()
        if pid == 0:
            self.hold(self._own)
            self.release(keep)
            os._exit(_live(name, run, self._mask))
        self._children[os.pidfd_open(pid)] = _Child(pid, name, expendable)

    def has_lost_one(self) -> bool:
        """Whether a child has ended. Ends are noticed here and in ``wait``."""
        for pidfd in list(self._children):
            self._reap(pidfd)
        return self._ended

    def _reap(self, pidfd: int) -> None:
        """If it has ended."""
        child = self._children[pidfd]
        if not os.waitpid(child.pid, os.WNOHANG)[0]:
            return
        del self._children[pidfd]
        os.close(pidfd)
        if child.expendable:
            _log.warning("%s has ended; the others go on without it", child.name)
        else:
            self._ended = True

    def wait(
        self,
        serve: Callable[[asyncio.Event], Awaitable[None]] = _until,
        reload: Callable[[], Awaitable[object]] | None = None,
    ) -> int:
        """Until asked to end (0), or until a child or ``serve`` ends by itself (1); then every child is ended.

        ``serve`` is what this process does meanwhile: its event is set when no child is left. Raises what it raises.
        ``reload`` answers SIGHUP, and raises nothing.
        """
        return uvloop.run(self._wait(serve, reload))

    async def _wait(
        self,
        serve: Callable[[asyncio.Event], Awaitable[None]],
        reload: Callable[[], Awaitable[object]] | None,
    ) -> int:
        loop = asyncio.get_running_loop()
        over, stop, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()

        def ask() -> None:
            asked.set()
            over.set()

        reloads: set[asyncio.Future[object]] = set()

        def begin_reload() -> None:
            if reload is not None and not self._ended:
                begun = asyncio.ensure_future(reload())
                reloads.add(begun)
                begun.add_done_callback(reloads.discard)

        for number in _SIGNALS:
            loop.add_signal_handler(number, ask)
        loop.add_signal_handler(signal.SIGHUP, begin_reload)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

        def look(pidfd: int) -> None:
            loop.remove_reader(pidfd)
            self._reap(pidfd)
            if self._ended:
                over.set()

        for pidfd in self._children:
            loop.add_reader(pidfd, look, pidfd)
        serving = asyncio.ensure_future(serve(stop))
        serving.add_done_callback(lambda _: over.set())
        await over.wait()
        for pidfd in self._children:
            loop.remove_reader(pidfd)
        await asyncio.gather(*reloads)
        await asyncio.to_thread(self.end)
        stop.set()
        await serving
        return 0 if asked.is_set() else 1

    def end(self) -> None:
        """SIGTERM, and SIGKILL for those that have not gone at the deadline."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pidfd in self._children:
                signal.pidfd_send_signal(pidfd, number)
            deadline = time.monotonic() + END_DEADLINE_S
            while self._children and (left_s := deadline - time.monotonic()) > 0:
                select.select(list(self._children), [], [], left_s)
                self.has_lost_one()


def _leave_it(_number: int, _frame: object) -> None:
    """SIGHUP is for the parent, which tells its children what they need to know.

    Not SIG_IGN: that would be inherited by programs, and by the processes of containers.
    """


def _live(name: str, run: Callable[[], None], mask: set[int | signal.Signals]) -> int:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, _leave_it)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    Path("/proc/self/comm").write_text(name)
    try:
        run()
    except TidegateError as error:
        _log.error("%s: %s", name, error.message)
        return 1
    except BaseException:  # noqa: BLE001 - nothing may return into the parent's code
        _log.exception("%s failed", name)
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def wait_for_socket(path: Path, family: Family, what: str) -> None:
    """Until somebody listens at ``path``. Raises InternalError when a child has ended, or after START_DEADLINE_S."""
    deadline = time.monotonic() + START_DEADLINE_S
    while not family.has_lost_one() and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.01)
    raise InternalError(f"the {what} did not start; its message is above")
