"""The two engines under measure, each in a network namespace of its own, and one way to drive the stock CLI at both."""

import os
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.running_engine import running_engine

from bench.load_client import Door


class PeerError(Exception):
    """An engine did not start, or a docker command of a measurement failed."""


def await_end(child: "subprocess.Popen[bytes]", limit_s: float) -> int | None:
    """The exit code, as soon as there is one; None for a child that had to be killed.

    ``Popen.wait(timeout)`` looks every 50 ms only, which is longer than most of what is measured here.
    """
    fd = os.pidfd_open(child.pid)
    try:
        ended, _, _ = select.select([fd], [], [], limit_s)
    finally:
        os.close(fd)
    if not ended:
        child.kill()
    code = child.wait()
    return code if ended else None


@dataclass(frozen=True)
class Peer:
    """A running engine. ``stop`` ends it, its containers live on; ``begin`` spawns it again and does not wait."""

    name: str
    root: Path
    netns_path: Path
    socket_path: Path
    certificates: Path
    stop: Callable[[], None]
    begin: Callable[[], None]
    port: int = 2376

    def door(self, tls: bool) -> Door:
        """For the load client."""
        if tls:
            return Door(netns_path=self.netns_path, port=self.port, certificates=self.certificates)
        return Door(unix_path=self.socket_path)

    def command(self, *words: str, tls: bool = False) -> tuple[list[str], dict[str, str]]:
        """The docker CLI's words and environment."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "DOCKER_CONFIG": str(self.root / "config")}
        if tls:
            environment |= {"DOCKER_HOST": f"tcp://127.0.0.1:{self.port}", "DOCKER_TLS_VERIFY": "1"}
            environment["DOCKER_CERT_PATH"] = str(self.certificates)
        else:
            environment["DOCKER_HOST"] = f"unix://{self.socket_path}"
        return ["nsenter", f"--net={self.netns_path}", "docker", *words], environment

    def docker(self, *words: str, tls: bool = False, stdin: Path | None = None, limit_s: int = 120) -> str:
        """Run the CLI to its end. PeerError."""
        command, environment = self.command(*words, tls=tls)
        with Path(stdin or os.devnull).open("rb") as source:
            try:
                done = subprocess.run(
                    command, env=environment, stdin=source, capture_output=True, timeout=limit_s, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise PeerError(f"{self.name}: docker {' '.join(words)} took longer than {limit_s} s") from error
        if done.returncode != 0:
            raise PeerError(f"{self.name}: docker {' '.join(words)}: {done.stderr.decode()[-500:]}")
        return done.stdout.decode(errors="replace").strip()

    def timed(self, *words: str, tls: bool = False, stdin: Path | None = None) -> float:
        """Seconds that the CLI took; its output is read away by /dev/null. PeerError."""
        command, environment = self.command(*words, tls=tls)
        with Path(stdin or os.devnull).open("rb") as source, tempfile.TemporaryFile() as errors:
            begin = time.perf_counter()
            child = subprocess.Popen(command, env=environment, stdin=source, stdout=subprocess.DEVNULL, stderr=errors)
            code = await_end(child, 120)
            took = time.perf_counter() - begin
            errors.seek(0)
            if code is None:
                raise PeerError(f"{self.name}: docker {' '.join(words)} hangs")
            if code != 0:
                raise PeerError(f"{self.name}: docker {' '.join(words)}: {errors.read().decode()[-500:]}")
        return took

    def processes(self) -> dict[int, str]:
        """Pids and programs of the engine: whatever lives in its network namespace (containers have their own)."""
        ours = self.netns_path.stat().st_ino
        found: dict[int, str] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "ns/net").stat().st_ino == ours:
                    found[int(entry.name)] = _program((entry / "comm").read_text().strip())
            except (FileNotFoundError, ProcessLookupError):
                continue
            except PermissionError:  # of a process that even root may not look into; the engines' own are not such
                continue
        return found

    def pss_kib(self) -> dict[str, int]:
        """Proportional set size by program."""
        sizes: dict[str, int] = {}
        for pid, program in self.processes().items():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            size = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            sizes[program] = sizes.get(program, 0) + size
        return sizes


def _program(name: str) -> str:
    """What a process calls itself (proc(5), comm: fifteen characters); the interpreter is our registrar."""
    own = name.removeprefix("tidegate-")
    return {"python": "registrar", "python3": "registrar"}.get(own, own)


@contextmanager
def tidegate() -> Iterator[Peer]:
    """This working tree's Tidegate, with the ``busybox`` image in it."""
    with running_engine() as engine:
        root = engine.root

        def stop() -> None:
            engine.process.send_signal(signal.SIGTERM)
            engine.process.wait(60)

        certificates = root / "data/pki/clients/admin"
        yield Peer("Tidegate", root, root / "netns", root / "docker.sock", certificates, stop, engine.spawn)


@contextmanager
def dockerd(packages: Path, pki: Path, image: Path, tls: bool = True, more_flags: Sequence[str] = ()) -> Iterator[Peer]:
    """Debian's dockerd from its unpacked packages, with the certificates of ``pki`` and the image archive ``image``.

    Its mount namespace has an empty /run, so that no containerd of the host is found and no lock is shared. Its run-
    time state is in memory, as ours is and as both have it by default.
    """
    root = Path(tempfile.mkdtemp(prefix="tidegate-bench-"))
    netns, socket_path, group = root / "netns", root / "docker.sock", f"bench{secrets.token_hex(4)}"
    netns.touch()
    make = f"mount --bind /proc/self/ns/net {netns} && ip link set lo up"
    subprocess.run(["unshare", "--net", "sh", "-c", make], check=True)
    flags = [f"--data-root={root}/data", f"--exec-root={root}/exec", f"--pidfile={root}/pid", f"-Hunix://{socket_path}"]
    flags += [f"--cgroup-parent=/{group}", *more_flags]
    if tls:
        flags += ["-Htcp://127.0.0.1:2376", "--tlsverify", f"--tlscacert={pki}/ca.pem"]
        flags += [f"--tlscert={pki}/server/cert.pem", f"--tlskey={pki}/server/key.pem"]
    path = f"{packages}/usr/sbin:{packages}/usr/bin:{os.environ['PATH']}"
    libraries = ":".join(str(each) for each in (packages / "lib").glob("*-linux-gnu"))
    environment = {**os.environ, "PATH": path, "LD_LIBRARY_PATH": libraries}
    holder = _hold_mounts(root)
    command = ["nsenter", f"--net={netns}", f"--mount=/proc/{holder.pid}/ns/mnt", "dockerd", *flags]
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        with (root / "log").open("ab") as log:
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    peer = Peer("dockerd", root, netns, socket_path, pki / "clients/admin", lambda: _end(running.pop()), begin)
    try:
        begin()
        _await_listening(peer, running[0])
        peer.docker("load", "-i", str(image))
        yield peer
    finally:
        for process in running:
            _end(process)
        _end(holder)
        _take_down(peer, group)


def _hold_mounts(root: Path) -> "subprocess.Popen[bytes]":
    """A process whose mount namespace is dockerd's, whichever dockerd runs. Raises PeerError."""
    memory = f"mount -t tmpfs tmpfs /run && mkdir {root}/exec && mount -t tmpfs tmpfs {root}/exec"
    command = ["unshare", "--mount", "sh", "-c", f"{memory} && echo made && exec sleep infinity"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    if holder.stdout.readline() != b"made\n":
        raise PeerError("dockerd's mount namespace could not be made")
    return holder


def _await_listening(peer: Peer, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            peer.docker("version")
            return
        except PeerError:
            time.sleep(0.1)
    raise PeerError(f"dockerd did not begin to listen:\n{(peer.root / 'log').read_text()[-3000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _take_down(peer: Peer, group: str) -> None:
    left = peer.processes()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    while any(Path(f"/proc/{pid}/root").exists() for pid in left):
        time.sleep(0.01)
    for pattern in (f"*/{group}/*", f"*/{group}"):
        for directory in Path("/sys/fs/cgroup").glob(pattern):
            if directory.is_dir():
                directory.rmdir()
    subprocess.run(["umount", str(peer.netns_path)], check=True)
    shutil.rmtree(peer.root)
