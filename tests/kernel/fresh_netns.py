"""Run a test's body in a child process with a network namespace of its own."""

import os
import sys
import traceback
from collections.abc import Callable
from ctypes.util import find_library

import pytest

from tidegate.kernel.syscalls import CLONE_NEWNET, unshare


def _reason_to_skip() -> str | None:
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    if not find_library("nftables") and not os.path.exists("/usr/lib/x86_64-linux-gnu/libnftables.so.1"):
        return "needs libnftables.so.1"
    return None


def in_fresh_netns(body: Callable[[], None]) -> None:
    """The test fails when ``body`` raises; it is skipped, with the reason, where namespaces cannot be made."""
    reason = _reason_to_skip()
    if reason is not None:
        pytest.skip(reason)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            unshare(CLONE_NEWNET)
            body()
            status = 0
        except BaseException:  # noqa: BLE001 - the child must end here, whatever happened
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, wait_status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(wait_status) == 0, "failed in the fresh namespace: see its traceback"
