"""The engine's process alone, with roots and a network namespace of its own, to be killed and started at will.

Its shim can be killed too, in parts or as a whole. Of engine, worker and keeper at most two are killed at once, and
others when they were replaced: that much must not cost anything.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from tests.control_groups import groups_in
from tests.e2e.running_engine import RunningEngine, running_engine
from tests.kernel.shim_client import supervisors as supervisors_of
from tests.kernel.shim_client import worker_and_keeper

from tidegate.daemon.process_settings import EngineProcessSettings, encode_settings
from tidegate.kernel.cgroups.host import open_cgroups
from tidegate.kernel.network.nftables import Nftables


class CrashingEngine:
    """Runs what ``tidegate up`` runs, without its gate, so that a kill and a start take a fraction of a second."""

    def __init__(self, home: RunningEngine, command: list[str]) -> None:
        self.home = home
        self._command = ["nsenter", f"--net={home.root}/netns", *command]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns at once: the engine may not listen yet."""
        with (self.home.root / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self.home.process = self.process  # nsenter becomes the engine: the pid is in its namespaces

    def wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(5)
                if probe.connect_ex(f"{self.home.root}/docker.sock") == 0:
                    probe.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
                    try:
                        if probe.recv(64).startswith(b"HTTP/1.1 200"):
                            return
                    except OSError:
                        continue
            time.sleep(0.01)
        pytest.fail(f"the engine did not begin to serve:\n{self.log_tail()}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def supervisors(self) -> dict[str, int]:
        """Pids of the shim's worker and keeper; waits for them where one was just killed."""
        worker, keeper = worker_and_keeper(self.home.root / "exec/shim")
        return {"worker": worker, "keeper": keeper}

    def strike(self, victims: Sequence[str]) -> None:
        """Kill -9 all of ``victims`` (engine, worker, keeper); an engine is started again."""
        supervisors = self.supervisors()
        if {"worker", "keeper"} <= set(victims):
            self.wait_until_it_serves()  # else its copies of the descriptors may not be whole yet
        doomed = [supervisors[name] for name in victims if name != "engine"]
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        if "engine" in victims:
            self.kill()
            self.start()
        for pid in doomed:
            while pid in supervisors_of(self.home.root / "exec/shim"):
                time.sleep(0.001)

    def held(self) -> "Counter[str]":
        """How many pipes, pidfds, namespaces and terminals engine, worker and keeper have open."""
        assert self.process is not None
        kinds: Counter[str] = Counter()
        for name, pid in {"engine": self.process.pid, **self.supervisors()}.items():
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                target = str(entry.readlink())
                kind = next((kind for kind in ("pipe:", "pidfd", "net:", "ptmx") if kind in target), None)
                if kind is not None:
                    kinds[f"{name} {kind.strip(':')}"] += 1
        return kinds

    def client(self) -> docker.DockerClient:
        # The version is given, since asking for it would fail while the engine is down.
        return docker.DockerClient(base_url=f"unix://{self.home.root}/docker.sock", version="1.43", timeout=60)

    def reaches(self, port: int) -> bool:
        """Whether a container's web server, which may just be starting, answers at a published port."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with self.home.in_its_network(socket.socket) as connection:
                connection.settimeout(5)
                try:
                    connection.connect(("127.0.0.1", port))
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    return connection.recv(64).startswith(b"HTTP/1.")
                except OSError:
                    time.sleep(0.05)
        return False

    def log_tail(self) -> str:
        return (self.home.root / "log").read_text(errors="replace")[-6000:]

    def wrongly_frozen(self, client: docker.DockerClient) -> list[str]:
        """Containers that the engine says are running while the kernel keeps them frozen."""
        running = [each for each in client.containers.list() if each.attrs["State"]["Status"] == "running"]
        groups = open_cgroups(self.home.name)
        return [each.name for each in running if groups.is_frozen(str(each.id))]

    def leftovers(self) -> list[str]:
        """Every object that containers of this engine would have, named; empty when all of them are gone."""
        assert self.process is not None
        root, name = self.home.root, self.home.name
        found = [str(path) for path in groups_in(name)]
        mounts = Path(f"/proc/{self.process.pid}/mountinfo").read_text().splitlines()
        found += [line for line in mounts if f"{root}/data" in line.split()[4]]
        shim = [f"exec/shim/{name}" for name in ("processes", "crun", "r", "exits", "journals")]
        for directory in ("data/rootfs", "exec/bundles", *shim):
            if (root / directory).is_dir():
                found += [str(path) for path in (root / directory).iterdir()]
        links = Path(f"/proc/{self.process.pid}/net/dev").read_text().splitlines()[2:]
        found += [link for line in links if (link := line.split(":")[0].strip()) not in ("lo", name)]
        listening = Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        found += [f"listens: {line.split()[1]}" for line in listening if line.split()[3] == "0A"]
        found += [f"published: {key}" for key in self.home.in_its_network(self._published)]
        return found

    def _published(self) -> list[str]:
        firewall = Nftables()
        try:
            table = f"ip tidegate-{self.home.name}"
            maps = [firewall.query(f"list map {table} {name}") for name in ("published", "published_any")]
            return [str(element) for each in maps for entry in each for element in entry.get("map", {}).get("elem", ())]
        finally:
            firewall.close()


@contextmanager
def crashing_engine() -> Iterator[CrashingEngine]:
    """Started, with the ``busybox`` image; afterwards nothing of it is left."""
    with running_engine() as home:
        root = home.root
        settings = EngineProcessSettings(
            parent_pid=os.getpid(),
            data_root=root / "data",
            exec_root=root / "exec",
            sockets=(root / "docker.sock",),
            gate_socket=root / "exec/gate.sock",
            bridge=home.name,
        )
        command = [sys.executable, "-m", "tidegate.daemon.process", "--settings", encode_settings(settings)]
        home.process.send_signal(signal.SIGTERM)
        assert home.process.wait(30) == 0
        engine = CrashingEngine(home, command)
        engine.start()
        engine.wait_until_it_serves()
        yield engine
