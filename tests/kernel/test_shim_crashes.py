"""Workers and keepers killed at random while containers print numbered lines: each is in the log, and once."""

import os
import random
import select
import socket
import time

import pytest
from tests.kernel.shim_client import (
    Shim,
    create,
    keeper_pid,
    kill,
    logged,
    needs_crun,
    read_all,
    shim,
    unframe,
    worker_and_keeper,
    worker_pid,
)

__all__ = ["shim"]
pytestmark = needs_crun

LINES = 120_000
# Without newlines too, so that unfinished lines wait while workers come and go.
PRINT = f"seq 1 {LINES} & seq 1 {LINES} >&2 & wait; for i in 1 2 3 4 5 6 7 8 9; do echo -n $i; done; exit 7"


def kill_at_random(shim: Shim, kills: int, keepers: float = 0.0) -> None:
    """``keepers`` is the share of keepers among the killed."""
    chance = random.Random()
    for _ in range(kills):
        worker, keeper = worker_and_keeper(shim.root)
        kill(keeper if chance.random() < keepers else worker)
        time.sleep(chance.uniform(0, 0.08))


@pytest.mark.parametrize(
    ("rotate_bytes", "compress", "keepers"),
    [(0, False, 0.0), (300_000, False, 0.0), (300_000, False, 0.5), (300_000, True, 0.5)],
)
def test_no_line_is_lost_or_doubled_by_killed_supervisors(
    shim: Shim, rotate_bytes: int, compress: bool, keepers: float
) -> None:
    container_id = create(shim, ["/bin/sh", "-c", PRINT], rotate_bytes=rotate_bytes, compress=compress)
    shim.ok("start", container_id=container_id)
    kill_at_random(shim, 25, keepers)
    shim.reconnect()
    assert shim.exited()["exit_code"] == 7
    numbers = "".join(f"{number}\n" for number in range(1, LINES + 1))
    assert logged(shim, container_id, "stdout") == numbers + "123456789"
    assert logged(shim, container_id, "stderr") == numbers


def test_a_terminal_loses_nothing_either(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", f"seq 1 {LINES // 4}; exit 7"], tty=True)
    shim.ok("start", container_id=container_id)
    kill_at_random(shim, 15)
    shim.reconnect()
    assert shim.exited()["exit_code"] == 7
    assert logged(shim, container_id) == "".join(f"{number}\r\n" for number in range(1, LINES // 4 + 1))


def test_a_killed_keeper_is_replaced_and_nobody_is_disconnected(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "read x; echo got $x; exit 9"], open_stdin=True, stdin_once=True)
    client = shim.attach(container_id, stdin=True)
    shim.ok("start", container_id=container_id)
    old_worker = worker_pid(shim)
    kill(keeper_pid(shim))
    assert keeper_pid(shim) == old_worker
    client.sendall(b"word\n")
    client.shutdown(socket.SHUT_WR)
    assert unframe(read_all(client))[1] == b"got word\n"
    assert shim.exited()["exit_code"] == 9
    assert logged(shim, container_id) == "got word\n"


@pytest.mark.parametrize("order", ["wk", "kw", "kk", "wkwk", "kwwkkwkw"])
def test_whoever_dies_after_whom_no_exit_code_is_lost(shim: Shim, order: str) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "read x; exit 9"], open_stdin=True)
    quick = create(shim, ["/bin/sh", "-c", "sleep 0.2; exit 4"])
    shim.ok("start", container_id=container_id)
    for victim in order:
        kill(worker_pid(shim) if victim == "w" else keeper_pid(shim))
    worker_and_keeper(shim.root)
    shim.reconnect()
    shim.ok("start", container_id=quick)
    shim.attach(container_id, stdin=True).sendall(b"word\n")
    ends = {event["container_id"]: event["exit_code"] for event in (shim.exited(), shim.exited())}
    assert ends == {container_id: 9, quick: 4}


def test_a_start_under_way_outlives_its_keeper(shim: Shim) -> None:
    for round_ in range(12):
        container_id = create(shim, ["/bin/sh", "-c", f"exit {round_}"])
        keeper = keeper_pid(shim)
        shim.send("start", container_id=container_id)
        time.sleep(random.uniform(0, 0.04))
        kill(keeper)
        assert "ok" in shim.answer()
        assert shim.exited()["exit_code"] == round_
        shim.ok("release", container_id=container_id)
    assert not list((shim.root / "exits").iterdir())


def test_a_supervisor_whose_root_was_deleted_ends_with_its_worker(shim: Shim) -> None:
    """It would fork workers that cannot begin, twenty a second, for good."""
    worker, keeper = worker_and_keeper(shim.root)
    elsewhere = shim.root.with_name("elsewhere")
    shim.root.rename(elsewhere)
    keeper_fd = os.pidfd_open(keeper)
    kill(worker)
    ended, _, _ = select.select([keeper_fd], [], [], 20)
    os.close(keeper_fd)
    elsewhere.rename(shim.root)
    assert ended
    shim.process.wait(10)
    shim.process = shim.spawn()
    shim.reconnect()
