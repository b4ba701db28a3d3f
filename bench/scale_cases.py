"""What is measured with a thousand containers on record and two hundred that run, beside dockerd with as many.

Each peer is asked in turn, so that its processes' CPU time is told apart; what only Tidegate has (a client who sees his
own containers) has no figure beside it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.cases import IMAGE, PARALLEL, run_parallel
from bench.gate_load import Asking, exchange, in_network, latencies, unchunked
from bench.gate_peer import cpu_s
from bench.load_client import Door
from bench.peers import Peer, PeerError, dockerd
from bench.report import Row
from bench.scale_load import StatsStreams, answers_at_once, delays_to_listeners
from bench.scale_report import Answered, ScaleFigures, p99_ms
from bench.undisturbed import undisturbed
from tidegate.pki.authority import Authority

T = TypeVar("T")
ON_RECORD = 1000
RUNNING = 200
LISTENERS = 100
SAMPLES = 200
EVENTS = 100
STREAMED_S = 10.0
START_LIMIT_S = 120.0
OWNER = "developer"
_API = "/v1.41"
_LABEL = "io.tidegate.bench.tenth"
_ALL = f"{_API}/containers/json?all=1"
_TENTH = f'{_ALL}&filters={{"label":["{_LABEL}=3"]}}'.replace('"', "%22")


@dataclass(frozen=True)
class Question:
    """A request that is asked ``SAMPLES`` times, or ``count``; ``as_owner`` only of Tidegate, by who owns half."""

    title: str
    target: str
    tls: bool = False
    as_owner: bool = False
    count: int = SAMPLES


LIST = Question(f"list of {ON_RECORD:,}, unix", _ALL)
QUESTIONS = (
    LIST,
    Question(f"list of {RUNNING} running, unix", f"{_API}/containers/json"),
    Question(f"list by label, {ON_RECORD // 10} of {ON_RECORD:,}, unix", _TENTH),
    Question(f"list of {ON_RECORD:,} with sizes, unix", f"{_ALL}&size=1", count=10),
    Question("inspect, unix", f"{_API}/containers/scale-3/json"),
    Question(f"list of {ON_RECORD:,}, mTLS", _ALL, tls=True),
    Question(f"list of his {ON_RECORD // 2}, mTLS, a {OWNER}", _ALL, True, as_owner=True),
)


@dataclass
class Crowd:
    """A peer with all its containers; ``ids`` in the order of their making, the first ``RUNNING`` run."""

    peer: Peer
    owner: Door
    ids: list[str] = field(default_factory=list)

    def door(self, question: Question) -> Door:
        """Where it is asked."""
        return self.owner if question.as_owner else self.peer.door(question.tls)

    def measured(self, work: Callable[[], T]) -> tuple[T, float]:
        """What ``work`` returns, and the CPU seconds of the engine's processes meanwhile."""
        before = {pid: cpu_s(pid) for pid in self.peer.processes()}
        result = work()
        after = {pid: cpu_s(pid) for pid in self.peer.processes() if pid in before}
        return result, sum(seconds - before[pid] for pid, seconds in after.items())

    def in_network(self, work: Callable[[], T]) -> T:
        """In a process of its own beside the engine."""
        return in_network(self.peer.netns_path, work)


def measure_scale(packages: Path, image: Path, ours: Peer, facts: list[str], share: float) -> ScaleFigures:
    """All of it. Raises PeerError, UnexpectedResponseError."""
    pki = ours.root / "data/pki"
    Authority(ours.root / "data").ensure_client(OWNER, role=OWNER)
    with dockerd(packages, pki, image, more_flags=["--live-restore"]) as theirs:
        owners = (_shown(ours.door(tls=True), pki / "clients" / OWNER), theirs.door(tls=False))
        with crowd(Crowd(ours, owners[0])) as mine, crowd(Crowd(theirs, owners[1])) as other:
            answered = [_ask(mine, other, question, share) for question in QUESTIONS]
            rows = [_list_row(answered[QUESTIONS.index(LIST)]), *_rows(mine, other, share)]
    return ScaleFigures(facts, ON_RECORD, RUNNING, answered, rows)


def _shown(door: Door, certificates: Path) -> Door:
    """The same door with another client's certificate."""
    return Door(netns_path=door.netns_path, port=door.port, certificates=certificates)


@contextmanager
def crowd(made: Crowd) -> Iterator[Crowd]:
    """Make its containers, half of them by the owner, and start those that run; all are removed afterwards."""
    try:
        made.ids = made.in_network(partial(_populate, made))
        yield made
    finally:
        for first in range(0, ON_RECORD, 100):
            made.peer.docker("rm", "-f", *(f"scale-{number}" for number in range(first, first + 100)), limit_s=300)


def _populate(made: Crowd) -> list[str]:
    doors = (made.peer.door(tls=False), made.owner)
    connections = [door.connect(door.context()) for door in doors]
    ids = []
    for number in range(ON_RECORD):
        document = {
            "Image": IMAGE,
            "Cmd": ["sleep", "1d"],
            "Labels": {_LABEL: str(number % 10)},
            "HostConfig": {"NetworkMode": "bridge" if number % 4 < 2 else "none"},
        }
        create = f"{_API}/containers/create?name=scale-{number}"
        asking = Asking("POST", create, 201, msgspec.json.encode(document))
        ids.append(msgspec.json.decode(exchange(connections[number % 2], asking))["Id"])
    for identity in ids[:RUNNING]:
        exchange(connections[0], Asking("POST", f"{_API}/containers/{identity}/start", 204))
    return ids


def _ask(mine: Crowd, other: Crowd, question: Question, share: float) -> Answered:
    count = max(10, round(question.count * share))
    taken = []
    for each in (mine,) if question.as_owner else (mine, other):
        doors = [(each.door(question), Asking("GET", question.target))]
        with undisturbed(each.peer.processes):
            (samples,), used_s = each.measured(partial(each.in_network, partial(latencies, doors, count)))
        taken.append((samples, used_s / (count + count // 10)))
    (ours_s, cpu), (theirs_s, their_cpu) = taken[0], taken[1] if len(taken) > 1 else ([], 0.0)
    print(f"{question.title}: {p99_ms(ours_s):.1f} ms p99", flush=True)
    return Answered(question.title, ours_s, theirs_s, cpu, their_cpu)


def _list_row(answered: Answered) -> Row:
    theirs = [p99_ms(answered.theirs_s)] if answered.theirs_s else []
    return Row(f"{answered.title}, p99", "ms", limit=25, ours=[p99_ms(answered.ours_s)], theirs=theirs)


def _rows(mine: Crowd, other: Crowd, share: float) -> list[Row]:
    rows = []
    for measure in (_stats, _streams, _events, _memory, _runs, _start_up):
        pairs = list(zip(measure(mine, share), measure(other, share), strict=True))
        for ours, theirs in pairs:
            ours.theirs = theirs.ours
            rows.append(ours)
            print(f"{ours.title}: {ours.ours} {ours.theirs} {ours.unit}", flush=True)
    return rows


def _stats(each: Crowd, share: float) -> list[Row]:
    targets = [f"{_API}/containers/{identity}/stats?stream=0&one-shot=1" for identity in each.ids[:RUNNING]]
    took_s = [each.in_network(partial(answers_at_once, each.peer.door(tls=False), targets)) for _ in range(3)]
    cli_s = [each.peer.timed("stats", "--no-stream") for _ in range(2)]
    return [
        Row(f"one shot of the stats of {RUNNING}, asked at once", "s", ours=took_s),
        Row(f"`docker stats --no-stream` of {RUNNING}", "s", ours=cli_s),
    ]


def _streams(each: Crowd, share: float) -> list[Row]:
    with StatsStreams(each.peer.door(tls=False), each.ids[:RUNNING]) as streams:
        _, used_s = each.measured(partial(streams.drain, STREAMED_S))
    title = f"CPU time of the engine for a second of {RUNNING} streams of stats"
    return [Row(title, "ms", ours=[used_s / STREAMED_S * 1e3])]


def _events(each: Crowd, share: float) -> list[Row]:
    count = max(20, round(EVENTS * share))
    create = Asking("POST", f"{_API}/containers/scale-0/exec", 201, b'{"Cmd": ["true"]}')
    door = each.peer.door(tls=False)
    with undisturbed(each.peer.processes):
        delays_s, used_s = each.measured(
            partial(each.in_network, partial(delays_to_listeners, door, create, b'"exec_create', LISTENERS, count))
        )
    return [
        Row(f"an exec's event at the last of {LISTENERS} listeners, p99", "ms", ours=[p99_ms(delays_s)]),
        Row("CPU time of the engine for it", "ms", ours=[used_s / count * 1e3]),
    ]


def _memory(each: Crowd, share: float) -> list[Row]:
    return [Row("memory, PSS of all the engine's processes", "MiB", ours=[sum(each.peer.pss_kib().values()) / 1024])]


def _runs(each: Crowd, share: float) -> list[Row]:
    alone_ms = [each.peer.timed("run", "--rm", IMAGE, "true") * 1e3 for _ in range(7)]
    together_ms = [run_parallel(each.peer, tls=False) / PARALLEL * 1e3 for _ in range(3)]
    alone = sorted(alone_ms)[3]
    return [
        Row("`run --rm`, bridge, unix, alone", "ms", ours=alone_ms),
        Row(f"the same, {PARALLEL} at once, each", "ms", ours=together_ms),
        Row(f"one of {PARALLEL} by one alone", "times", limit=3, ours=[took / alone for took in together_ms]),
    ]


def _start_up(each: Crowd, share: float) -> list[Row]:
    took_s = []
    for _ in range(3):
        each.peer.stop()
        with undisturbed(each.peer.processes):
            begin = time.perf_counter()
            each.peer.begin()
            _await_running(each)
            took_s.append(time.perf_counter() - begin)
    return [Row(f"start-up until {RUNNING} are listed as running", "s", limit=1, ours=took_s)]


def _await_running(each: Crowd) -> None:
    door = each.peer.door(tls=False)
    listing = Asking("GET", f"{_API}/containers/json")
    deadline = time.perf_counter() + START_LIMIT_S
    while time.perf_counter() < deadline:
        try:
            with door.connect(None) as connection:
                if len(msgspec.json.decode(unchunked(exchange(connection, listing)))) == RUNNING:
                    return
        except OSError:
            time.sleep(0.005)
    raise PeerError(f"{each.peer.name} does not list {RUNNING} running containers after its start")
