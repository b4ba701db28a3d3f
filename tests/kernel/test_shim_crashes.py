"""Workers killed at random while containers print numbered lines: none is missing in the log, none is there twice."""

import os
import random
import time

import pytest
from tests.kernel.shim_client import Shim, create, logged, needs_crun, shim, worker_pid

__all__ = ["shim"]
pytestmark = needs_crun

LINES = 200_000
# Without newlines too, so that unfinished lines wait while workers come and go.
PRINT = f"seq 1 {LINES} & seq 1 {LINES} >&2 & wait; for i in 1 2 3 4 5 6 7 8 9; do echo -n $i; done; exit 7"


def kill_at_random(shim: Shim, kills: int) -> None:
    chance = random.Random()
    for _ in range(kills):
        os.kill(worker_pid(shim), 9)
        time.sleep(chance.uniform(0, 0.08))


@pytest.mark.parametrize("rotate_bytes", [0, 300_000])
def test_no_line_is_lost_or_doubled_by_killed_workers(shim: Shim, rotate_bytes: int) -> None:
    container_id = create(shim, ["/bin/sh", "-c", PRINT], rotate_bytes=rotate_bytes)
    shim.ok("start", container_id=container_id)
    kill_at_random(shim, 40)
    shim.reconnect()
    assert shim.exited()["exit_code"] == 7
    numbers = "".join(f"{number}\n" for number in range(1, LINES + 1))
    assert logged(shim, container_id, "stdout") == numbers + "123456789"
    assert logged(shim, container_id, "stderr") == numbers


def test_a_terminal_loses_nothing_either(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", f"seq 1 {LINES // 4}; exit 7"], tty=True)
    shim.ok("start", container_id=container_id)
    kill_at_random(shim, 20)
    shim.reconnect()
    assert shim.exited()["exit_code"] == 7
    assert logged(shim, container_id) == "".join(f"{number}\r\n" for number in range(1, LINES // 4 + 1))
