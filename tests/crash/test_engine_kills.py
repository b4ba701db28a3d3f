"""kill -9 of the engine at random points under load: no promise broken, no log line lost, nothing left behind.

TIDEGATE_CRASH_POINTS says how many kills, TIDEGATE_CRASH_SEED repeats a run's choices (not its timing).
"""

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from tests.crash.crashing_engine import CrashingEngine, crashing_engine
from tests.crash.load import Client, Ticker

POINTS = int(os.environ.get("TIDEGATE_CRASH_POINTS", "40"))
SEED = int(os.environ.get("TIDEGATE_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CLIENTS = 3

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the engine must run as root"),
    pytest.mark.skipif(
        not Path("/sys/fs/cgroup/pids/cgroup.procs").exists(), reason="the check knows cgroup v1 paths only"
    ),
    pytest.mark.timeout(120 + 6 * POINTS),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[CrashingEngine]:
    with crashing_engine() as running:
        yield running


def test_nothing_is_lost_or_left_by_kills_at_random_points(engine: CrashingEngine) -> None:
    chance = random.Random(SEED)
    stop = threading.Event()
    clients = [Client(number, chance.getrandbits(32), engine.client, stop) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, name=f"load {client.number}") for client in clients]
    for thread in threads:
        thread.start()
    try:
        for _ in range(POINTS):
            if chance.random() < 0.85:  # else somewhere in its boot
                engine.wait_until_it_serves()
                time.sleep(chance.expovariate(1 / 0.25))
            else:
                time.sleep(chance.uniform(0, 0.6))
            engine.kill()
            engine.start()
        engine.wait_until_it_serves()
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)
    done = {what: sum(c.done.get(what, 0) for c in clients) for what in sorted({w for c in clients for w in c.done})}
    print(f"seed {SEED}, {POINTS} kills, {done}")
    assert not any(thread.is_alive() for thread in threads), engine.log_tail()
    complaints = [complaint for client in clients for complaint in client.complaints]
    client = engine.client()
    complaints += [text for each in clients for ticker in each.tickers for text in look_at(client, ticker)]
    assert not complaints, "\n".join([f"seed {SEED}", *complaints, engine.log_tail()])
    assert sum(done.values()) >= POINTS // 2, done
    for container in client.containers.list(all=True):
        container.remove(force=True)
    client.close()
    left = engine.leftovers()
    assert not left, "\n".join([f"seed {SEED}", *left, engine.log_tail()])


def test_a_paused_container_is_found_paused(engine: CrashingEngine) -> None:
    client = engine.client()
    container = client.containers.run("busybox", ["sleep", "1000"], detach=True, network_mode="none")
    container.pause()
    engine.kill()
    engine.start()
    engine.wait_until_it_serves()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    assert container.exec_run(["echo", "awake"]) == (0, b"awake\n")
    container.remove(force=True)
    client.close()


def look_at(client: docker.DockerClient, ticker: Ticker) -> Iterator[str]:
    """What is wrong with a container after the last kill."""
    try:
        container = client.containers.get(ticker.name)
    except docker.errors.NotFound:
        if not ticker.ended:
            yield f"{ticker.name} is gone though nobody removed it"
        return
    state = container.attrs["State"]
    other_process = ticker.pid not in (0, state["Pid"])  # 0: the kill came before anyone could look
    if not ticker.ended and (state["Status"] not in ("running", "paused") or other_process):
        yield f"{ticker.name} is {state['Status']} ({state['ExitCode']}) though nobody ended it"
    if state["Status"] == "running" and "frozen" in freezer_of(state["Pid"]).lower():
        yield f"{ticker.name} is frozen but said to be running"
    runs = split_runs(container.logs().decode().splitlines())
    for lines in runs:
        if lines != [f"line {number}" for number in range(len(lines))]:
            wrong = next(i for i, line in enumerate(lines) if line != f"line {i}")
            yield f"{ticker.name}: the log goes wrong after line {wrong}: {lines[max(0, wrong - 2) : wrong + 3]}"


def freezer_of(pid: int) -> str:
    """The state of the freezer of a process."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if re.fullmatch(r"\d+:freezer:.*", line):
            return (Path("/sys/fs/cgroup/freezer") / line.split(":", 2)[2][1:] / "freezer.state").read_text()
    return ""


def split_runs(lines: list[str]) -> list[list[str]]:
    """A restarted container counts anew."""
    runs: list[list[str]] = []
    for line in lines:
        if line == "line 0" or not runs:
            runs.append([])
        runs[-1].append(line)
    return runs
