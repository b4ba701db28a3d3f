"""kill -9 of engine, shim worker and keeper at random points under load, alone and together.

Afterwards: no promise broken, no container ended that should not have, no log line lost or doubled, nothing left.
TIDEGATE_CRASH_POINTS says how many kills, TIDEGATE_CRASH_SEED repeats a run's choices (not its timing).
"""

import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.crash.crashing_engine import CrashingEngine, crashing_engine
from tests.crash.load import Client
from tests.e2e.running_engine import needs_cli

POINTS = int(os.environ.get("TIDEGATE_CRASH_POINTS", "20"))
SEED = int(os.environ.get("TIDEGATE_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CLIENTS = 3
VICTIMS = {
    ("engine",): 34,
    ("worker",): 18,
    ("keeper",): 18,
    ("worker", "keeper"): 14,
    ("engine", "worker"): 8,
    ("engine", "keeper"): 8,
}

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the engine must run as root"),
    pytest.mark.timeout(300 + 6 * POINTS),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[CrashingEngine]:
    with crashing_engine() as running:
        yield running


def test_nothing_is_lost_or_left_by_kills_at_random_points(engine: CrashingEngine) -> None:
    chance = random.Random(SEED)
    killed: Counter[str] = Counter()
    held = engine.held()
    stop = threading.Event()
    clients = [Client(number, chance.getrandbits(32), engine.client, stop, engine.reaches) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, name=f"load {client.number}") for client in clients]
    for thread in threads:
        thread.start()
    try:
        for _ in range(POINTS):
            if chance.random() < 0.8:  # else while it recovers from the last kill
                engine.wait_until_it_serves()
                time.sleep(chance.expovariate(1 / 0.25))
            else:
                time.sleep(chance.uniform(0, 0.4))
            victims = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            engine.strike(victims)
            killed["+".join(victims)] += 1
        engine.wait_until_it_serves()
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)
    done = {what: sum(c.done.get(what, 0) for c in clients) for what in sorted({w for c in clients for w in c.done})}
    print(f"seed {SEED}, {POINTS} kills: {dict(killed)}, load: {done}")
    assert not any(thread.is_alive() for thread in threads), engine.log_tail()
    client = engine.client()
    frozen = [f"{name} is frozen but said to be running" for name in engine.wrongly_frozen(client)]
    for each in clients:
        each.clear(client)
    complaints = frozen + [complaint for each in clients for complaint in each.complaints]
    assert not complaints, "\n".join([f"seed {SEED}", *complaints, engine.log_tail()])
    assert sum(done.values()) >= POINTS // 2, done
    assert client.containers.list(all=True) == []
    client.close()
    left = engine.leftovers() + [f"{kind} x {count} too many" for kind, count in (engine.held() - held).items()]
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
    assert container.exec_run(["echo", "awake"]).exit_code == 0
    container.remove(force=True)
    client.close()


@needs_cli
@pytest.mark.parametrize("victim", ["worker", "keeper"])
def test_the_docker_cli_fails_where_its_output_was_cut_and_only_there(engine: CrashingEngine, victim: str) -> None:
    script = "echo first; read word; echo second; exit 6"
    words = ["run", "-i", "--name", victim, "--network", "none", "busybox", "sh", "-c", script]
    command, environment = engine.home.cli(*words, tls=False)
    pipe = subprocess.PIPE
    run = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
    assert run.stdin is not None and run.stdout is not None
    assert run.stdout.readline() == b"first\n"
    engine.strike([victim])
    engine.supervisors()
    client = engine.client()
    if victim == "worker":
        _, complaint = run.communicate(timeout=30)
        assert run.returncode not in (0, 6) and b"the shim was killed" in complaint
        engine.home.docker("attach", victim, tls=False, stdin=b"word\n")
    else:
        assert run.communicate(b"word\n", timeout=30) == (b"second\n", b"")
        assert run.returncode == 6
    container = client.containers.get(victim)
    assert container.wait(timeout=30)["StatusCode"] == 6
    assert container.logs() == b"first\nsecond\n"
    container.remove()
    client.close()
