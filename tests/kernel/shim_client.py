"""A supervisor of a test's own, a client of its control socket, and busybox bundles for real crun."""

import gzip
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.control_groups import group

from tidegate.shim.compression import MAGIC
from tidegate.shim.protocol import STREAM_END

SOURCE = Path(__file__).resolve().parents[2] / "src"
BOOTSTRAP = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('tidegate.shim', run_name='__main__')"
)
PREPARE = "umount /sys/fs/cgroup/unified 2>/dev/null; exec "

needs_crun = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("crun") or not Path("/bin/busybox").exists(),
    reason="needs root, crun and a static busybox",
)


class Shim:
    """A supervisor of its own and a client of its control socket."""

    def __init__(self, root: Path, stall_limit_s: float = 10.0) -> None:
        self.root = root
        self._stall_limit_s = stall_limit_s
        self.process = self.spawn()
        self.control = self.connect()
        self._lines = self.control.makefile("rb")
        self._events: list[dict[str, Any]] = []

    def spawn(self) -> subprocess.Popen[bytes]:
        command = f'{PREPARE} {sys.executable} -I -S -c "$0" "$1" --root "$2" --stall-limit "$3"'
        arguments = ["unshare", "-m", "sh", "-c", command, BOOTSTRAP, str(SOURCE), str(self.root)]
        arguments.append(str(self._stall_limit_s))
        return subprocess.Popen(arguments, start_new_session=True)

    def connect(self) -> socket.socket:
        deadline = time.monotonic() + 60
        while True:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(20)
            try:
                connection.connect(str(self.root / "control.sock"))
                return connection
            except OSError:
                connection.close()
                assert time.monotonic() < deadline, "the shim does not listen"
                time.sleep(0.01)

    def reconnect(self) -> None:
        self.control.close()
        self.control = self.connect()
        self._lines = self.control.makefile("rb")
        self.ok("subscribe")

    def request(self, op: str, **arguments: object) -> dict[str, Any]:
        self.send(op, **arguments)
        return self.answer()

    def send(self, op: str, **arguments: object) -> None:
        self.control.sendall(json.dumps({"id": 1, "op": op, **arguments}).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self._lines.readline())
            if "event" not in message:
                return message
            self._events.append(message)

    def ok(self, op: str, **arguments: object) -> dict[str, Any]:
        answer = self.request(op, **arguments)
        assert "ok" in answer, answer
        result: dict[str, Any] = answer["ok"]
        return result

    def exited(self) -> dict[str, Any]:
        while not self._events:
            self._events.append(json.loads(self._lines.readline()))
        return self._events.pop(0)

    def attach(self, container_id: str, exec_id: str | None = None, *, stdin: bool = False) -> socket.socket:
        connection = self.connect()
        request: dict[str, Any] = {"op": "attach", "container_id": container_id, "exec_id": exec_id}
        request |= {"stdin": stdin, "stdout": True, "stderr": True}
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += connection.recv(1)
        assert "ok" in json.loads(answer), answer
        return connection


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    connection.close()
    assert data.endswith(STREAM_END)
    return data.removesuffix(STREAM_END)


def unframe(data: bytes) -> dict[int, bytes]:
    streams = {1: bytearray(), 2: bytearray(), 3: bytearray()}
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        streams[data[at]] += data[at + 8 : at + 8 + size]
        at += 8 + size
    return {number: bytes(stream) for number, stream in streams.items() if stream or number < 3}


def write_bundle(bundle: Path, args: list[str], *, tty: bool = False) -> None:
    binaries = bundle / "rootfs" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy("/bin/busybox", binaries / "busybox")
    for name in ("sh", "cat", "echo", "sleep", "seq", "stty"):
        (binaries / name).symlink_to("busybox")
    subprocess.run(["crun", "spec"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": tty, "args": args}
    config["root"]["readonly"] = False
    config["mounts"] = [mount for mount in config["mounts"] if mount["type"] != "cgroup"]
    (bundle / "config.json").write_text(json.dumps(config))


def create(shim: Shim, args: list[str], *, rotate_bytes: int = 0, compress: bool = False, **stdio: bool) -> str:
    name = f"c{len(list(shim.root.parent.glob('bundle-*')))}"
    container_id = f"tgshim{os.getpid()}{name}"
    bundle = shim.root.parent / f"bundle-{name}"
    write_bundle(bundle, args, tty=stdio.get("tty", False))
    log = {"path": str(bundle / "log"), "max_size_bytes": rotate_bytes, "max_files": 1000, "compress": compress}
    cgroup = group("pids", f"tgshim-{os.getpid()}")
    cgroup.mkdir(exist_ok=True)
    shim.ok("create", container_id=container_id, bundle=str(bundle), stdio=stdio, log=log, cgroup_join=[str(cgroup)])
    return container_id


def plain(file: Path) -> bytes:
    data = file.read_bytes()
    return gzip.decompress(data) if data[:2] == MAGIC else data


def log_path(shim: Shim, container_id: str) -> Path:
    return shim.root.parent / f"bundle-{container_id.removeprefix(f'tgshim{os.getpid()}')}" / "log"


def logged(shim: Shim, container_id: str, *streams: str) -> str:
    """What the log holds of these streams, or of all, oldest file first."""
    path = log_path(shim, container_id)
    older = sorted(path.parent.glob("log.*"), key=lambda file: -int(file.suffix[1:]))
    records = [json.loads(line) for file in [*older, path] for line in plain(file).decode().splitlines()]
    return "".join(record["log"] for record in records if not streams or record["stream"] in streams)


@pytest.fixture
def shim(request: pytest.FixtureRequest) -> Iterator[Shim]:
    """A parameter is its stall limit."""
    short = Path(os.environ.get("TMPDIR", "/tmp")) / f"tgs{os.getpid()}"
    shutil.rmtree(short, ignore_errors=True)
    short.mkdir()
    supervisor = Shim(short / "shim", getattr(request, "param", 10.0))
    try:
        supervisor.ok("subscribe")
        yield supervisor
        for process in supervisor.ok("state")["processes"]:
            if process["exec_id"] is None:
                supervisor.ok("release", container_id=process["container_id"])
        supervisor.ok("shutdown")
        assert supervisor.process.wait(10) in (0, -9)
        wait_for_the_end(supervisor.root)
    finally:
        for pid in supervisors(supervisor.root):
            os.kill(pid, 9)
        supervisor.process.wait()
        shutil.rmtree(short)
        cgroup = group("pids", f"tgshim-{os.getpid()}")
        if cgroup.exists():
            cgroup.rmdir()


def supervisors(root: Path) -> dict[int, int]:
    """Pid to parent of the processes that serve ``root``."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):  # not deeper: glob would look at what ends meanwhile
        try:
            if str(root).encode() in (words := (process / "cmdline").read_bytes().split(b"\0")) and b"--root" in words:
                stat = (process / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    found[int(process.name)] = int(stat[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return found


def wait_for_the_end(root: Path) -> None:
    deadline = time.monotonic() + 10
    while left := supervisors(root):
        assert time.monotonic() < deadline, left
        time.sleep(0.005)


def worker_and_keeper(root: Path) -> tuple[int, int]:
    """Waits until there are two, where one was just killed. A fork that is about to become crun looks like a worker."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        parents = supervisors(root)
        roles = {pid: role(pid) for pid in parents}
        for pid, parent in parents.items():
            if (roles[pid], roles.get(parent)) == ("tidegate-shim", "tidegate-keeper"):
                return pid, parent
        time.sleep(0.001)
    raise AssertionError(f"there is no worker with a keeper: {supervisors(root)}")


def role(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def kill(pid: int) -> None:
    """Kill -9; returns when the process has ended."""
    pidfd = os.pidfd_open(pid)
    try:
        os.kill(pid, 9)
        assert select.select([pidfd], [], [], 10)[0]
    finally:
        os.close(pidfd)


def worker_pid(shim: Shim) -> int:
    return worker_and_keeper(shim.root)[0]


def keeper_pid(shim: Shim) -> int:
    return worker_and_keeper(shim.root)[1]
