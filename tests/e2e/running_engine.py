"""``tidegate up`` for tests: roots, bridge and network namespace of its own, with the docker CLI in that namespace."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from tests.control_groups import groups_in, parents

from tidegate.kernel.namespaces import in_network_namespace

T = TypeVar("T")
START_LIMIT_S = 180  # of an emulated machine
needs_cli = pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine")


@dataclass
class RunningEngine:
    """A running engine and gate; ``process`` is ``tidegate up``."""

    root: Path
    name: str
    process: "subprocess.Popen[bytes]"
    port: int = 2376
    options: tuple[str, ...] = ()
    program: tuple[str, ...] = (sys.executable, "-m", "tidegate", "up")

    def docker(
        self, *words: str, tls: bool = True, certificates: Path | None = None, stdin: bytes = b"", limit_s: int = 60
    ) -> "subprocess.CompletedProcess[str]":
        """Run the CLI over mutual TLS, or over the unix socket."""
        command, environment = self.cli(*words, tls=tls, certificates=certificates, limit_s=limit_s)
        done = subprocess.run(command, env=environment, capture_output=True, input=stdin, check=False)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def cli(
        self, *words: str, tls: bool = True, certificates: Path | None = None, limit_s: int = 60
    ) -> tuple[list[str], dict[str, str]]:
        """The command and environment that ``docker`` runs."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "DOCKER_CONFIG": str(self.root / "config")}
        if tls:
            path = certificates or self.root / "data/pki/clients/admin"
            environment |= {"DOCKER_HOST": f"tcp://127.0.0.1:{self.port}", "DOCKER_TLS_VERIFY": "1"}
            environment["DOCKER_CERT_PATH"] = str(path)
        else:
            environment["DOCKER_HOST"] = f"unix://{self.root}/docker.sock"
        enter = ["nsenter", f"--net={self.root}/netns"]
        # In the foreground, so that timeout leaves the terminal to the CLI.
        return [*enter, "timeout", "--foreground", "-s", "KILL", str(limit_s), "docker", *words], environment

    def in_its_network(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the engine's network namespace."""
        fd = os.open(self.root / "netns", os.O_RDONLY)
        try:
            return in_network_namespace(fd, work)
        finally:
            os.close(fd)

    def spawn(self) -> None:
        """Begin ``tidegate up``; in the namespace of the one before, where there was one."""
        up = [*self.program, "-H", f"unix://{self.root}/docker.sock"]
        up += ["-H", f"tcp://127.0.0.1:{self.port}", "--tlsverify", "--data-root", f"{self.root}/data"]
        up += ["--exec-root", f"{self.root}/exec", "--bridge", self.name, *self.options]
        enter = ["nsenter", f"--net={self.root}/netns"]
        log = (self.root / "log").open("ab")
        self.process = subprocess.Popen([*enter, *up], stdout=log, stderr=log)
        log.close()

    def start(self) -> None:
        """``spawn``, and wait until engine and gate listen."""
        self.spawn()
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(f"{self.root}/docker.sock") == 0 and self._gate_listens():
                    return
            time.sleep(0.05)
        pytest.fail(f"tidegate up did not begin to listen:\n{(self.root / 'log').read_text()[-4000:]}")

    def _gate_listens(self) -> bool:
        def probe() -> bool:
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", self.port)) == 0

        return self.in_its_network(probe)

    def children(self) -> dict[str, int]:
        """Pids of ``engine`` and ``gate``."""
        found: dict[str, int] = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            found[name.removeprefix("tidegate-")] = int(pid)
        return found

    def shim_pids(self) -> list[int]:
        """Pids of the shim of this engine's own root."""
        return self.pids_of("shim")

    def pids_of(self, name: str) -> list[int]:
        """Of the processes that outlive the engine on this root: ``shim``, ``relay``."""
        return self._pids_on(f"{self.root}/exec/{name}")

    def forwarder_pids(self) -> list[int]:
        """Of what sends logs to remotes."""
        return self._pids_on(f"{self.root}/data/logs")

    def _pids_on(self, directory: str) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):  # not deeper: glob would look at what ends meanwhile
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if directory.encode() in words:
                found.append(int(process.name))
        return found


@contextmanager
def running_engine(*options: str, program: tuple[str, ...] | None = None) -> Iterator[RunningEngine]:
    """An engine with a ``busybox`` image made of busybox-static; afterwards nothing of it is left."""
    root = Path(tempfile.mkdtemp(prefix="tidegate-e2e-"))
    root.chmod(0o711)  # the gate, without privileges, must reach the engine's socket in it
    name = f"tg{secrets.token_hex(4)}"
    (root / "exec").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=711", "tmpfs", f"{root}/exec"], check=True)  # as /run is
    (root / "netns").touch()
    make = f"mount --bind /proc/self/ns/net {root}/netns && ip link set lo up"
    subprocess.run(["unshare", "--net", "sh", "-c", make], check=True)
    engine = RunningEngine(root, name, subprocess.Popen(["true"]), options=options)
    engine.program = program or engine.program
    try:
        engine.start()
        load_busybox(engine)
        yield engine
        engine.process.send_signal(signal.SIGTERM)
        assert engine.process.wait(30) == 0
    finally:
        _take_down(engine)


def load_busybox(engine: RunningEngine) -> None:
    """The image that ``tidegate image seed`` makes."""
    command = [sys.executable, "-m", "tidegate", "image", "seed", "--socket", f"{engine.root}/docker.sock"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr


def _killed(pids: Iterable[int]) -> list[int]:
    """Those of them that were there to be killed."""
    found = []
    for number in (signal.SIGSTOP, signal.SIGKILL):
        found = []
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                found.append(pid)
    return found


def _take_down(engine: RunningEngine) -> None:
    children = engine.children().values() if engine.process.poll() is None else ()
    pids = _killed([engine.process.pid, *children])
    while left := [
        *engine.shim_pids(),
        *engine.pids_of("relay"),
        *engine.forwarder_pids(),
    ]:  # who sees another part of the shim die puts a new one in its place
        pids += _killed(left)
    engine.process.wait()
    while any(Path(f"/proc/{pid}/root").exists() for pid in pids):  # a dead one, reaped or not, has no root
        time.sleep(0.01)
    containers = groups_in(engine.name)
    for directory in containers:
        for pid in (directory / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    deadline = time.monotonic() + 10
    left = [*containers, *parents(engine.name)]
    while left and time.monotonic() < deadline:
        for directory in list(left):
            try:
                directory.rmdir()
                left.remove(directory)
            except FileNotFoundError:
                left.remove(directory)
            except OSError:
                time.sleep(0.02)
    subprocess.run(["umount", f"{engine.root}/netns", f"{engine.root}/exec"], check=True)
    shutil.rmtree(engine.root)
