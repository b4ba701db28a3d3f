"""Spare descriptors over real sockets: replaced, let go, told late but never waited for."""

import os
import socket
from collections.abc import Iterator

import pytest

from tidegate.shim.holders import Holders, KeeperGoneError
from tidegate.shim.loop import Loop
from tidegate.shim.process import Asked, Process
from tidegate.shim.spares import Spares, send_complete, send_spares


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    return ours, theirs


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_message_replaces_what_was_held_and_one_without_names_ends_it(pipe: tuple[int, int]) -> None:
    ours, theirs = pair()
    spares = Spares()
    send_spares(ours, "c1", {"stdin": pipe[1], "stdout": pipe[0]})
    assert spares.receive(theirs)
    first = spares.fds()
    os.write(spares.held["c1"]["stdin"], b"x")
    assert os.read(pipe[0], 9) == b"x"
    send_spares(ours, "c1", {"stdout": pipe[0]})
    send_complete(ours)
    assert spares.receive(theirs) and not spares.complete
    assert spares.receive(theirs) and spares.complete
    assert list(spares.held["c1"]) == ["stdout"] and sum(map(is_open, first - spares.fds())) == 0
    assert not os.get_inheritable(spares.held["c1"]["stdout"])
    send_spares(ours, "c1", {})
    assert spares.receive(theirs) and spares.held == {}
    with pytest.raises(BlockingIOError):
        spares.receive(theirs)
    ours.close()
    assert not spares.receive(theirs)
    theirs.close()


def process(fd: int) -> Process:
    running = Process("c1", None, Asked("/bundle", {}, [], {}, {}, []))
    running.status, running.pidfd = "running", fd
    return running


def take_all(spares: Spares, link: socket.socket) -> int:
    taken = 0
    try:
        while spares.receive(link):
            taken += 1
    except BlockingIOError:
        pass
    return taken


def test_a_holder_that_does_not_read_is_told_later_as_things_are_then(pipe: tuple[int, int]) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    processes = {"c1": process(pipe[0])}
    loop = Loop()
    holders = Holders(loop, listener, processes, lambda: None)
    ours, theirs = pair()
    holders.follow_keeper(ours, ["gone"])
    for _ in range(5000):  # far more than the socket takes
        holders.tell("c1")
    processes["c1"].pidfd = -1
    holders.tell("c1")
    spares = Spares()
    assert 3 < take_all(spares, theirs) < 5000
    loop.later(0.01, lambda: setattr(loop, "running", False))
    loop.run()
    take_all(spares, theirs)
    assert spares.complete and spares.held == {}
    theirs.close()
    loop.running = True
    with pytest.raises(KeeperGoneError):
        loop.run()
    with pytest.raises(KeeperGoneError):
        holders.require_keeper()
    listener.close()


def test_timers_are_called_in_order_and_once() -> None:
    loop, called = Loop(), []
    loop.later(0.002, lambda: setattr(loop, "running", False))
    for name in "ab":
        loop.later(0, lambda name=name: called.append(name))  # type: ignore[misc]
    loop.run()
    assert called == ["a", "b"]
