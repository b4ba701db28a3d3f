"""Network namespaces held by file descriptor.

A thread is made for each visit to another namespace and ends with it: it returns to its own namespace first, and if
that should ever fail nothing else runs on it. No thread of a pool, and never the event loop's, changes namespace.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from tidegate.kernel.syscalls import CLONE_NEWNET, setns, unshare

T = TypeVar("T")

_THREAD_NETNS = "/proc/thread-self/ns/net"


def _open_own() -> int:
    return os.open(_THREAD_NETNS, os.O_RDONLY | os.O_CLOEXEC)


def _visit(enter: Callable[[], None], work: Callable[[], T]) -> T:
    future: Future[T] = Future()

    def run() -> None:
        try:
            home = _open_own()
            try:
                enter()
                try:
                    result = work()
                finally:
                    setns(home, CLONE_NEWNET)
            finally:
                os.close(home)
        except BaseException as error:  # noqa: BLE001 - carried to the caller, who raises it
            future.set_exception(error)
        else:
            future.set_result(result)

    thread = Thread(target=run, name="netns")
    thread.start()
    thread.join()
    return future.result()


def create_network_namespace(work: Callable[[], T]) -> tuple[int, T]:
    """A new network namespace, with only a loopback that is down, and what ``work`` returns that is run in it.

    The caller owns the descriptor. OSError.
    """

    def both() -> tuple[int, T]:
        fd = _open_own()
        try:
            return fd, work()
        except BaseException:
            os.close(fd)
            raise

    return _visit(lambda: unshare(CLONE_NEWNET), both)


def in_network_namespace(netns_fd: int, work: Callable[[], T]) -> T:
    """Run ``work`` in the namespace and give back what it returns (a socket it makes stays in the namespace)."""
    return _visit(lambda: setns(netns_fd, CLONE_NEWNET), work)
