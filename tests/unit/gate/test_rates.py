"""A client that goes too fast waits; others do not, a changed rate counts at once, and all workers count together."""

import os
from collections.abc import Iterator

import pytest

from tidegate.access.roles import Rate
from tidegate.gate.rates import PLACES, SETS, Rates, open_rates

TWO = Rate(per_second=2, burst=2)


@pytest.fixture
def fd() -> Iterator[int]:
    fd = open_rates()
    yield fd
    os.close(fd)


def test_each_client_has_a_rate_of_its_own(fd: int) -> None:
    rates = Rates(fd)
    assert [rates.wait_s("a", TWO, 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert rates.wait_s("b", TWO, 0.0) == 0.0
    assert rates.wait_s("a", TWO, 0.5) == 0.0


def test_a_changed_rate_counts_at_once_and_gives_nothing_away(fd: int) -> None:
    rates = Rates(fd)
    for _ in range(3):
        rates.wait_s("a", TWO, 0.0)
    assert rates.wait_s("a", Rate(per_second=4, burst=9), 0.0) == 0.25
    assert rates.wait_s("b", Rate(per_second=1, burst=9), 0.0) == 0.0
    assert [rates.wait_s("b", Rate(per_second=1, burst=1), 0.0) for _ in range(2)] == [0.0, 1.0]


def test_clients_that_rest_make_room_and_those_that_hurry_do_not(fd: int) -> None:
    rates = Rates(fd)
    for number in range(PLACES * SETS):
        rates.wait_s(f"idle-{number}", TWO, 0.0)
    for _ in range(2):
        rates.wait_s("busy", TWO, 100.0)
    for number in range(PLACES * SETS // 4):
        rates.wait_s(f"late-{number}", TWO, 100.0)
    assert rates.wait_s("busy", TWO, 100.0) > 0


def test_what_all_workers_let_pass_together_is_what_the_rate_says(fd: int) -> None:
    rate = Rate(per_second=0.001, burst=500)
    start, passed = os.pipe(), os.pipe()
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            rates = Rates(fd)
            os.close(start[1])
            os.read(start[0], 1)
            count = sum(rates.wait_s("a", rate, 10.0) == 0 for _ in range(400))
            os.write(passed[1], f"{count}\n".encode())
            os._exit(0)
        pids.append(pid)
    os.close(start[1])
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    counts = os.read(passed[0], 1000).split()
    for each in (start[0], *passed):
        os.close(each)
    assert len(counts) == 4
    assert sum(map(int, counts)) == 500
