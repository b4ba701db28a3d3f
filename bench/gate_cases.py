"""What is measured of the gate: before Debian's dockerd, and before an engine that is only its streams."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
from tests.e2e.stream_load import time_of_revocation

from bench.gate_load import Asking, Bulk, answer, in_network, latencies, new_connections, stream
from bench.gate_peer import GatePeer, cpu_s, gate_before
from bench.gate_report import Answers, Flow, GateFigures
from bench.load_client import Door
from bench.peers import Peer, dockerd
from bench.pouring_engine import BULK_BYTES, pouring_engine
from tidegate.pki.authority import Authority

LISTED = 20
REQUESTS = 1000
CONNECTIONS = 500
STREAMS_EACH = 500
EXEC_BYTES = 256 * 1024 * 1024
_REFUSED = b'{"Image": "nowhere", "HostConfig": {"Privileged": true}}'
_START = b'{"Detach": false, "Tty": false}'


@dataclass(frozen=True)
class Question:
    """A request for both; what dockerd answers is 200 unless said otherwise, and the gate the same."""

    title: str
    asking: Asking
    client: str = "admin"
    status: int = 0


QUESTIONS = (
    Question("`/_ping`", Asking("GET", "/_ping")),
    Question("`/version`", Asking("GET", "/version")),
    Question("inspect", Asking("GET", "/v1.41/containers/listed-1/json")),
    Question(f"list of {LISTED}", Asking("GET", "/v1.41/containers/json?all=1")),
    Question(
        "create, refused: by the gate 403, by dockerd 404",
        Asking("POST", "/v1.41/containers/create", 404, _REFUSED),
        "developer",
        403,
    ),
)


def measure_gate(packages: Path, image: Path, facts: list[str], share: float) -> GateFigures:
    """All of it. Raises PeerError, UnexpectedResponseError."""
    count = max(100, round(REQUESTS * share))
    with _root() as root, dockerd(packages, root / "data/pki", image) as engine:
        for number in range(LISTED - 1):
            engine.docker("create", "--name", f"listed-{number}", "busybox", "true")
        engine.docker("run", "-d", "--network", "none", "--name", "streams", "busybox", "sleep", "1d")
        with gate_before(engine.socket_path, engine.netns_path, root) as gate:
            clients = root / "data/pki/clients"
            cuts, _ = asyncio.run(time_of_revocation(gate, clients / "leaver", clients / "stayer", STREAMS_EACH))
            answers = [_ask(gate, engine, each, count) for each in QUESTIONS]
            handshakes = _handshakes(gate, engine, max(50, round(CONNECTIONS * share)))
            flows = [_stdout(gate, engine), _stdin(gate, engine)]
        with pouring_engine(root / "pouring.sock") as pouring, gate_before(pouring, engine.netns_path, root) as gate:
            flows += [_alone(gate, title, bulk) for title, bulk in _BULKS]
    return GateFigures(facts, answers, flows, handshakes, cuts)


@contextmanager
def _root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-gate-") as directory:
        root = Path(directory)
        root.chmod(0o711)
        authority = Authority(root / "data")
        authority.ensure_all()
        for name, role in (("developer", "developer"), ("leaver", "admin"), ("stayer", "admin")):
            authority.ensure_client(name, role=role)
        yield root


def _ask(gate: GatePeer, engine: Peer, question: Question, count: int) -> Answers:
    asking = question.asking
    ours = replace(asking, status=question.status or asking.status)
    doors = [(gate.door(question.client), ours), (engine.door(tls=True), asking)]
    before_s = cpu_s(gate.worker_pid)
    at_gate, at_engine = in_network(gate.netns_path, lambda: latencies(doors, count))
    used_s = cpu_s(gate.worker_pid) - before_s
    return Answers(question.title, at_gate, at_engine, used_s / (count + count // 10))


def _handshakes(gate: GatePeer, engine: Peer, count: int) -> tuple[float, float]:
    """By one second of CPU time: of the gate's worker, and of dockerd."""
    pid = next(pid for pid, program in engine.processes().items() if program == "dockerd")
    rates = []
    for door, busy in ((gate.door(), gate.worker_pid), (engine.door(tls=True), pid)):
        in_network(gate.netns_path, partial(new_connections, door, count // 10))
        before_s = cpu_s(busy)
        in_network(gate.netns_path, partial(new_connections, door, count))
        rates.append(count / (cpu_s(busy) - before_s))
    return rates[0], rates[1]


def _stdout(gate: GatePeer, engine: Peer) -> Flow:
    command = ["dd", "if=/dev/zero", "bs=1M", f"count={EXEC_BYTES >> 20}"]
    return _exec(gate, engine, "stdout of an exec in dockerd", lambda door: _exec_stream(door, command, 0))


def _stdin(gate: GatePeer, engine: Peer) -> Flow:
    command = ["sh", "-c", "cat >/dev/null"]
    return _exec(gate, engine, "stdin of an exec in dockerd", lambda door: _exec_stream(door, command, EXEC_BYTES))


def _exec(gate: GatePeer, engine: Peer, title: str, run: Callable[[Door], tuple[int, float]]) -> Flow:
    _, past_s = in_network(gate.netns_path, lambda: run(engine.door(tls=True)))
    before_s = cpu_s(gate.worker_pid)
    size, through_s = in_network(gate.netns_path, lambda: run(gate.door()))
    return Flow(title, size, through_s, cpu_s(gate.worker_pid) - before_s, past_s)


def _exec_stream(door: Door, command: list[str], sent_bytes: int) -> tuple[int, float]:
    wanted = {"AttachStdin": bool(sent_bytes), "AttachStdout": True, "Cmd": command}
    create = Asking("POST", "/v1.41/containers/streams/exec", 201, msgspec.json.encode(wanted))
    exec_id = msgspec.json.decode(answer(door, create))["Id"]
    return stream(door, Bulk(_start(exec_id), sent_bytes))


def _start(exec_id: str) -> bytes:
    head = f"POST /v1.41/exec/{exec_id}/start HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
    head += f"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {len(_START)}\r\n\r\n"
    return head.encode() + _START


_SAVE = b"GET /v1.41/images/pour/get HTTP/1.1\r\nHost: docker\r\n\r\n"
_LOAD = b"POST /v1.41/images/load HTTP/1.1\r\nHost: docker\r\nContent-Type: application/x-tar\r\n"
_BULKS = (
    ("stdout of an exec, engine without cost", Bulk(_start("pour"))),
    ("stdin of an exec, engine without cost", Bulk(_start("drain"), BULK_BYTES)),
    (
        "save (chunked answer), engine without cost",
        Bulk(_SAVE),
    ),
    (
        "load (chunked upload), engine without cost",
        Bulk(_LOAD + b"Transfer-Encoding: chunked\r\n\r\n", BULK_BYTES, chunked=True),
    ),
)


def _alone(gate: GatePeer, title: str, bulk: Bulk) -> Flow:
    before_s = cpu_s(gate.worker_pid)
    size, through_s = in_network(gate.netns_path, lambda: stream(gate.door(), bulk))
    return Flow(title, size, through_s, cpu_s(gate.worker_pid) - before_s)
