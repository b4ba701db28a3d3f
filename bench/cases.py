"""What is measured, each on one peer at a time; the runner interleaves the peers and takes medians."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.load_client import handshakes_per_second, requests_per_second
from bench.peers import Peer, PeerError, await_end

IMAGE = "busybox"
NONE = ("--network", "none")
BULK_MB = 200
PARALLEL = 32
LISTED = 100
RUNNING = 20
LOAD_S = 2.0
KEEP_LOG = ("--log-opt", "max-size=1g", "--log-opt", "max-file=1")


@dataclass(frozen=True)
class Case:
    """One row. ``smaller_is_better`` for times, else a rate; ``most`` is the largest allowed Tidegate/dockerd ratio."""

    key: str
    title: str
    unit: str
    measure: Callable[[Peer], float]
    repeats: int
    smaller_is_better: bool = True
    most: float | None = None


def write_lines(path: Path) -> None:
    """BULK_MB of lines of 100 bytes."""
    line = b"0123456789" * 9 + b"012345678\n"
    block = line * 10_000
    with path.open("wb") as file:
        for _ in range(BULK_MB):
            file.write(block)


def _run(*words: str, tls: bool) -> Callable[[Peer], float]:
    return lambda peer: peer.timed("run", "--rm", *words, IMAGE, "true", tls=tls) * 1000


def _exec(tls: bool) -> Callable[[Peer], float]:
    def measure(peer: Peer) -> float:
        return peer.timed("exec", "bench-exec", "true", tls=tls) * 1000

    return measure


def run_parallel(peer: Peer, tls: bool) -> float:
    """Seconds until PARALLEL runs at once have ended. Raises PeerError."""
    command, environment = peer.command("run", "--rm", IMAGE, "true", tls=tls)
    begin = time.perf_counter()
    running = [
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for _ in range(PARALLEL)
    ]
    late = sum(await_end(each, 120) is None for each in running)
    took = time.perf_counter() - begin
    failed = sum(each.returncode != 0 for each in running)
    if failed:
        raise PeerError(f"{peer.name}: {failed} of {PARALLEL} parallel runs failed, {late} of them hung")
    return took


def _rate(path: str, tls: bool) -> Callable[[Peer], float]:
    return lambda peer: requests_per_second(peer.door(tls), path, LOAD_S)


def _handshakes(peer: Peer) -> float:
    return handshakes_per_second(peer.door(tls=True), LOAD_S)


def _megabytes_per_second(seconds: float) -> float:
    return BULK_MB / seconds


def _write_log(peer: Peer) -> float:
    """From the start to the exit of a detached container; all of it is in the log then."""
    mount = ("-v", f"{peer.root}/bulk:/bulk:ro")
    begin = time.perf_counter()
    container = peer.docker("run", "-d", *NONE, *KEEP_LOG, *mount, IMAGE, "cat", "/bulk/lines")
    if peer.docker("wait", container) != "0":
        raise PeerError(f"{peer.name}: writing the log failed")
    took = time.perf_counter() - begin
    peer.docker("rm", container)
    return _megabytes_per_second(took)


def _read_log(tls: bool) -> Callable[[Peer], float]:
    return lambda peer: _megabytes_per_second(peer.timed("logs", "bench-logs", tls=tls))


def _stdout(tls: bool) -> Callable[[Peer], float]:
    def measure(peer: Peer) -> float:
        mount = ("-v", f"{peer.root}/bulk:/bulk:ro")
        words = ("run", "--rm", *NONE, *KEEP_LOG, *mount, IMAGE, "cat", "/bulk/lines")
        return _megabytes_per_second(peer.timed(*words, tls=tls))

    return measure


def _stdin(tls: bool) -> Callable[[Peer], float]:
    def measure(peer: Peer) -> float:
        words = ("run", "--rm", "-i", *NONE, IMAGE, "sh", "-c", "cat >/dev/null")
        return _megabytes_per_second(peer.timed(*words, tls=tls, stdin=peer.root / "bulk/lines"))

    return measure


def prepare(peer: Peer) -> None:
    """The bulk file, a container for exec, one with a long log, and containers to list."""
    bulk = peer.root / "bulk"
    bulk.mkdir()
    write_lines(bulk / "lines")
    peer.docker("run", "-d", *NONE, "--name", "bench-exec", IMAGE, "sleep", "1d")
    mount = ("-v", f"{bulk}:/bulk:ro")
    peer.docker("run", *NONE, *KEEP_LOG, *mount, "--name", "bench-logs", IMAGE, "true")
    peer.docker("rm", "bench-logs")
    peer.docker("run", "-d", *NONE, *KEEP_LOG, *mount, "--name", "bench-logs", IMAGE, "cat", "/bulk/lines")
    peer.docker("wait", "bench-logs")
    for number in range(LISTED - 2):
        peer.docker("create", *NONE, "--name", f"bench-{number}", IMAGE, "true")


def memory_per_container(peer: Peer) -> float:
    """MiB of PSS the engine's own processes grow by, a running container (idle ones, network none)."""
    before = sum(peer.pss_kib().values())
    for number in range(RUNNING):
        peer.docker("run", "-d", *NONE, "--name", f"bench-memory-{number}", IMAGE, "sleep", "1d")
    grown = sum(peer.pss_kib().values()) - before
    peer.docker("rm", "-f", *(f"bench-memory-{number}" for number in range(RUNNING)))
    return grown / 1024 / RUNNING


LIST = "/containers/json?all=1"
CASES = (
    Case("run-none-unix", "`run --rm`, network none, unix", "ms", _run(*NONE, tls=False), 15, most=0.25),
    Case("run-none-tls", "`run --rm`, network none, mTLS", "ms", _run(*NONE, tls=True), 15, most=0.25),
    Case("run-bridge-unix", "`run --rm`, bridge, unix", "ms", _run(tls=False), 15, most=0.25),
    Case("run-bridge-tls", "`run --rm`, bridge, mTLS", "ms", _run(tls=True), 15, most=0.25),
    Case("exec-unix", "`exec`, unix", "ms", _exec(False), 15, most=0.5),
    Case("exec-tls", "`exec`, mTLS", "ms", _exec(True), 15, most=0.5),
    Case(
        "parallel", f"{PARALLEL} parallel `run --rm`, bridge, mTLS", "s", lambda peer: run_parallel(peer, tls=True), 3
    ),
    Case("ping-unix", "`GET /_ping`, unix", "1/s", _rate("/_ping", False), 3, False, 1.0),
    Case("ping-tls", "`GET /_ping`, mTLS", "1/s", _rate("/_ping", True), 3, False, 1.0),
    Case("list-unix", f"list of {LISTED} containers, unix", "1/s", _rate(LIST, False), 3, False),
    Case("list-tls", f"list of {LISTED} containers, mTLS", "1/s", _rate(LIST, True), 3, False),
    Case("handshakes", "new mTLS connections with one `/_ping`", "1/s", _handshakes, 3, False),
    Case("log-write", f"log of {BULK_MB} MB written, detached", "MB/s", _write_log, 3, False),
    Case("log-read-unix", f"`logs` of {BULK_MB} MB, unix", "MB/s", _read_log(False), 3, False),
    Case("log-read-tls", f"`logs` of {BULK_MB} MB, mTLS", "MB/s", _read_log(True), 3, False),
    Case("stdout-unix", f"stdout of {BULK_MB} MB, attached and logged, unix", "MB/s", _stdout(False), 3, False),
    Case("stdout-tls", f"stdout of {BULK_MB} MB, attached and logged, mTLS", "MB/s", _stdout(True), 3, False),
    Case("stdin-unix", f"stdin of {BULK_MB} MB, unix", "MB/s", _stdin(False), 3, False),
    Case("stdin-tls", f"stdin of {BULK_MB} MB, mTLS", "MB/s", _stdin(True), 3, False),
)
