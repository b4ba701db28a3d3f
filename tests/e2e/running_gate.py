"""``tidegate gate`` before an engine of somebody else, in that engine's network namespace; and such engines."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench.debian_packages import unpack
from bench.peers import dockerd
from tests.e2e.running_engine import running_engine

from tidegate.pki.authority import Authority

PACKAGES = Path(__file__).parents[2] / "build/bench"


@dataclass
class Fronted:
    """A gate on 2376 of a network namespace, before the engine at ``upstream``; ``process`` is ``tidegate gate``."""

    root: Path
    netns: Path
    upstream: Path
    process: "subprocess.Popen[bytes]"

    def through(self, name: str = "admin") -> dict[str, str]:
        """What leads a client through the gate."""
        environment = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1"}
        return environment | {"DOCKER_CERT_PATH": str(self.certificates(name))}

    def past(self) -> dict[str, str]:
        """What leads a client to the engine itself."""
        return {"DOCKER_HOST": f"unix://{self.upstream}"}

    def certificates(self, name: str) -> Path:
        return self.root / f"data/pki/clients/{name}"

    def run(
        self, *words: str, way: Mapping[str, str], stdin: bytes = b"", cwd: Path | None = None, limit_s: int = 90
    ) -> "subprocess.CompletedProcess[bytes]":
        """A client's command in the network of gate and engine; ``way`` says how it gets there, and more."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "DOCKER_CONFIG": str(self.root / "config")}
        environment |= {"DOCKER_BUILDKIT": "0", **way}
        command = ["nsenter", f"--net={self.netns}", "timeout", "-s", "KILL", str(limit_s), *words]
        return subprocess.run(command, env=environment, input=stdin, capture_output=True, check=False, cwd=cwd)

    def docker(self, *words: str, name: str = "admin", stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return self.run("docker", *words, way=self.through(name), stdin=stdin)

    def ok(self, *words: str, name: str = "admin", stdin: bytes = b"") -> str:
        done = self.docker(*words, name=name, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def worker_pid(self) -> int:
        """Of the one gate worker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (pid,) = [int(each) for each in children if Path(f"/proc/{each}/comm").read_text() == "tidegate-gate\n"]
        return pid


@contextmanager
def gate_before(upstream: Path, netns: Path, *options: str, access: str = "") -> Iterator[Fronted]:
    """With ``access`` as its access file; ROOT in an option is the gate's folder."""
    root = Path(tempfile.mkdtemp(prefix="tidegate-gate-"))
    (root / "data/access").mkdir(parents=True)
    (root / "data/access/access.toml").write_text(access)
    authority = Authority(root / "data")
    authority.ensure_all()
    authority.ensure_client("dev", role="developer")
    command = ["nsenter", f"--net={netns}", sys.executable, "-m", "tidegate", "gate", f"--upstream=unix://{upstream}"]
    command += [f"--data-root={root}/data", f"--exec-root={root}/exec", f"--gate-socket={root}/ci.sock,role=ci"]
    more = [option.replace("ROOT", str(root)) for option in options]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([*command, *more], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(f"{root}/ci.sock") == 0:
                    break
            time.sleep(0.05)
        else:
            raise AssertionError((root / "log").read_text())
        yield Fronted(root, netns, upstream, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(root)


@contextmanager
def debian_dockerd(archive: Path, scratch: Path) -> Iterator[tuple[Path, Path]]:
    try:
        packages = unpack(PACKAGES)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"Debian's docker.io cannot be fetched here: {error}")
    authority = Authority(scratch)
    authority.ensure_all()
    with dockerd(packages, authority.directory, archive, tls=False) as peer:
        yield peer.socket_path, peer.netns_path


@contextmanager
def podman(archive: Path, scratch: Path) -> Iterator[tuple[Path, Path]]:
    if shutil.which("podman") is None:
        pytest.skip("no podman on this machine")
    netns, sock = scratch / "netns", scratch / "podman.sock"
    netns.touch()
    subprocess.run(
        ["unshare", "--net", "sh", "-c", f"mount --bind /proc/self/ns/net {netns} && ip link set lo up"], check=True
    )
    roots = [f"--root={scratch}/root", f"--runroot={scratch}/run", "--cgroup-manager=cgroupfs", "--log-level=error"]
    roots += [f"--tmpdir={scratch}/tmp", "--events-backend=file", "--storage-driver=vfs"]
    command = ["nsenter", f"--net={netns}", "podman", *roots]
    # Its own default of a million open files is more than some hosts allow a root.
    (scratch / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
    )
    environment = {**os.environ, "CONTAINERS_CONF": str(scratch / "containers.conf")}
    with (scratch / "log").open("wb") as log:
        # crun refuses a host with hybrid cgroups while it sees the second hierarchy.
        hide = 'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec "$@"'
        service = ["nsenter", f"--net={netns}", "unshare", "--mount", "sh", "-c", hide, "sh", "podman", *roots]
        service += ["system", "service", "--time=0", f"unix://{sock}"]
        process = subprocess.Popen(service, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not sock.is_socket() and time.monotonic() < deadline:
            time.sleep(0.05)
        subprocess.run([*command, "load", "-i", str(archive)], check=True, capture_output=True)
        yield sock, netns
    finally:
        process.terminate()
        process.wait(30)
        subprocess.run([*command, "rm", "-fa", "-t", "0"], check=False, capture_output=True)
        _kill_what_names(scratch)  # conmon, which outlives its container here
        subprocess.run(["umount", "-l", str(netns)], check=True)
        subprocess.run(["umount", "-l", f"{scratch}/root/vfs"], check=False, capture_output=True)


def _kill_what_names(directory: Path) -> None:
    """Processes whose command line has a path in ``directory``: they are this test's."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{directory}/".encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue


def save_busybox(directory: Path) -> Path:
    """An archive of the image that ``tidegate image seed`` makes."""
    archive = directory / "busybox.tar"
    with running_engine() as engine:
        saved = engine.docker("save", "-o", str(archive), "busybox")
        assert saved.returncode == 0, saved.stderr
    return archive
