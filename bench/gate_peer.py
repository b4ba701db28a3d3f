"""``tidegate gate`` under measure: one worker before an engine's socket, in that engine's network namespace."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.load_client import Door
from bench.peers import PeerError
from tidegate.kernel.namespaces import in_network_namespace

T = TypeVar("T")
GATE_PORT = 2377
_START_S = 60.0
_CPUCLOCK_SCHED = 2


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process, ended ones too (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


@dataclass(frozen=True)
class GatePeer:
    """A running gate; ``root`` has its ``data``."""

    root: Path
    netns_path: Path
    worker_pid: int
    port: int = GATE_PORT

    def door(self, client: str = "admin") -> Door:
        """For the load clients."""
        return Door(netns_path=self.netns_path, port=self.port, certificates=self.root / f"data/pki/clients/{client}")

    def in_its_network(self, work: Callable[[], T]) -> T:
        """Do ``work`` in the gate's network namespace."""
        fd = os.open(self.netns_path, os.O_RDONLY)
        try:
            return in_network_namespace(fd, work)
        finally:
            os.close(fd)


@contextmanager
def gate_before(engine: Path, netns: Path, root: Path) -> Iterator[GatePeer]:
    """A gate with the certificates in ``root/data/pki``. Raises PeerError when it does not start."""
    command = ["nsenter", f"--net={netns}", sys.executable, "-m", "tidegate", "gate", f"--upstream=unix://{engine}"]
    command += [f"--host=tcp://127.0.0.1:{GATE_PORT}", "--tlsverify", "--gate-workers=1"]
    command += [f"--data-root={root}/data", f"--exec-root={root}/exec"]
    with (root / "gate.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        peer = GatePeer(root, netns, _worker_of(process, root))
        _await_listening(peer, process)
        yield peer
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _worker_of(process: "subprocess.Popen[bytes]", root: Path) -> int:
    deadline = time.monotonic() + _START_S
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and time.monotonic() < deadline:
        for pid in children.read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "tidegate-gate":
                return int(pid)
        time.sleep(0.05)
    raise PeerError(f"the gate did not start:\n{(root / 'gate.log').read_text()[-3000:]}")


def _await_listening(peer: GatePeer, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_S
    context = peer.door().context()
    while process.poll() is None and time.monotonic() < deadline:
        try:
            peer.in_its_network(lambda: peer.door().connect(context)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise PeerError(f"the gate does not listen:\n{(peer.root / 'gate.log').read_text()[-3000:]}")
