"""The gate before engines of other people: Debian's dockerd, and Podman. As an administrator nothing changes; a
developer is confined, whatever the engine behind would have done."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench.debian_packages import unpack
from bench.peers import dockerd
from tests.e2e.running_engine import needs_cli, running_engine

from tidegate.pki.authority import Authority

pytestmark = [needs_cli, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: engines, namespaces and mounts")]
PACKAGES = Path(__file__).parents[2] / "build/bench"


@dataclass
class Fronted:
    """A gate on 2376 of a network namespace, before some engine."""

    root: Path
    netns: Path

    def docker(self, *words: str, name: str = "admin", stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        environment = {
            "PATH": os.environ["PATH"],
            "DOCKER_HOST": "tcp://127.0.0.1:2376",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(self.root / f"data/pki/clients/{name}"),
            "DOCKER_CONFIG": str(self.root / "config"),
            "DOCKER_BUILDKIT": "0",
        }
        command = ["nsenter", f"--net={self.netns}", "timeout", "-s", "KILL", "90", "docker", *words]
        return subprocess.run(command, env=environment, input=stdin, capture_output=True, check=False)

    def ok(self, *words: str, name: str = "admin", stdin: bytes = b"") -> str:
        done = self.docker(*words, name=name, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


@contextmanager
def gate_before(upstream: Path, netns: Path) -> Iterator[Fronted]:
    root = Path(tempfile.mkdtemp(prefix="tidegate-gate-"))
    authority = Authority(root / "data")
    authority.ensure_all()
    authority.ensure_client("dev", role="developer")
    command = ["nsenter", f"--net={netns}", sys.executable, "-m", "tidegate", "gate", f"--upstream=unix://{upstream}"]
    command += [f"--data-root={root}/data", f"--exec-root={root}/exec", f"--gate-socket={root}/ci.sock,role=ci"]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(f"{root}/ci.sock") == 0:
                    break
            time.sleep(0.05)
        else:
            raise AssertionError((root / "log").read_text())
        yield Fronted(root, netns)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def busybox_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("image") / "busybox.tar"
    with running_engine() as engine:
        assert engine.docker("save", "-o", str(archive), "busybox").returncode == 0
    return archive


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


@pytest.fixture(scope="module", params=[debian_dockerd, podman], ids=["dockerd", "podman"])
def fronted(
    request: pytest.FixtureRequest, busybox_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fronted]:
    scratch = tmp_path_factory.mktemp("engine")
    with request.param(busybox_archive, scratch) as (sock, netns), gate_before(sock, netns) as gate:
        yield gate


def test_an_administrator_notices_no_gate(fronted: Fronted) -> None:
    fronted.ok("version")
    assert fronted.ok("run", "--rm", "--network", "none", "busybox", "echo", "hello") == "hello\n"
    assert (
        fronted.ok("run", "-i", "--rm", "--network", "none", "busybox", "cat", stdin=b"x" * 300_000).count("x")
        == 300_000
    )
    fronted.ok("run", "-d", "--name", "web", "--network", "none", "busybox", "sh", "-c", "echo started; sleep 300")
    assert fronted.ok("exec", "web", "echo", "inside") == "inside\n"
    assert "started" in fronted.ok("logs", "web")
    assert "web" in fronted.ok("ps", "--format", "{{.Names}}")
    fronted.ok("rm", "-f", "web")


def test_a_developer_is_confined_whatever_the_engine_would_have_done(fronted: Fronted) -> None:
    for words in (["-v", "/:/host"], ["--privileged"], ["--pid=host"], ["--security-opt", "seccomp=unconfined"]):
        refused = fronted.docker("run", "--rm", *words, "busybox", "true", name="dev")
        assert refused.returncode == 125
        assert b"role developer" in refused.stderr
    fronted.ok("run", "-d", "--name", "theirs", "--network", "none", "busybox", "sleep", "300")
    try:
        assert b"No such container" in fronted.docker("exec", "theirs", "true", name="dev").stderr
        fronted.ok("run", "-d", "--name", "mine", "--network", "none", "busybox", "sleep", "300", name="dev")
        assert fronted.ok("exec", "mine", "echo", "hi", name="dev") == "hi\n"
        fronted.ok("rm", "-f", "mine", name="dev")
    finally:
        fronted.ok("rm", "-f", "theirs")
