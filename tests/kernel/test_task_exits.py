"""Exits told by the kernel, of processes that somebody else reaps."""

import os

import pytest

from tidegate.shim.task_exits import TaskExits

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_the_followed_are_told_of_when_they_have_been_reaped() -> None:
    exits = TaskExits()
    begin, go = os.pipe()
    pids = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.read(begin, 1)
            if number == 3:
                os.kill(os.getpid(), 9)
            os._exit(10 + number)
        pids.append(pid)
    exits.follow(pids[1:])
    assert [exits.status(pid) for pid in pids] == [None] * 4
    for fd in (begin, go):
        os.close(fd)
    for pid in pids:
        os.waitpid(pid, 0)
    told = [exits.status(pid) for pid in pids]
    if not any(told):
        pytest.skip("the kernel tells only listeners in the initial network namespace")
    assert told == [None, 11 << 8, 12 << 8, 9]
    exits.forget(pids[1])
    assert exits.status(pids[1]) is None
    exits.close()
