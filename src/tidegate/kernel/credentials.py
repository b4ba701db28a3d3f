"""Work done with other filesystem ids than root's, in a thread of its own: setfsuid(2), capset(2).

The kernel takes the capabilities over files from a thread whose filesystem uid leaves 0 (capabilities(7)); they are
raised again, since it is ids that are wanted here, not less power.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def with_filesystem_ids(uid: int, gid: int, work: Callable[[], T]) -> T:
    """Run ``work`` in a thread whose files belong to ``uid`` and ``gid``; the thread ends. Raises OSError."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            set_filesystem_ids(uid, gid)
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - carried to the caller, who raises it
            future.set_exception(error)

    thread = Thread(target=run, name="filesystem-ids")
    thread.start()
    thread.join()
    return future.result()


def set_filesystem_ids(uid: int, gid: int) -> None:
    """For the calling thread. Raises OSError."""
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    _raise_permitted()


def _raise_permitted() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; the low words first
    _check(_libc.capget(header, sets))
    sets[0], sets[3] = sets[1], sets[4]
    _check(_libc.capset(header, sets))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")
