"""The supervisor with real crun: stdio, logs, exit codes, execs, terminals. Runs in a private mount namespace."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
BOOTSTRAP = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('tidegate.shim', run_name='__main__')"
)
PREPARE = "umount /sys/fs/cgroup/unified 2>/dev/null; exec "

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("crun") or not Path("/bin/busybox").exists(),
    reason="needs root, crun and a static busybox",
)


class Shim:
    """A supervisor of its own and a client of its control socket."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process = self.spawn()
        self.control = self.connect()
        self._lines = self.control.makefile("rb")
        self._events: list[dict[str, Any]] = []

    def spawn(self) -> subprocess.Popen[bytes]:
        command = f'{PREPARE} {sys.executable} -I -S -c "$0" "$1" --root "$2"'
        arguments = ["unshare", "-m", "sh", "-c", command, BOOTSTRAP, str(SOURCE), str(self.root)]
        return subprocess.Popen(arguments, start_new_session=True)

    def connect(self) -> socket.socket:
        deadline = time.monotonic() + 10
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
        self.control.sendall(json.dumps({"id": 1, "op": op, **arguments}).encode() + b"\n")
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
    return data


def unframe(data: bytes) -> dict[int, bytes]:
    streams = {1: b"", 2: b""}
    while data:
        size = int.from_bytes(data[4:8], "big")
        streams[data[0]] += data[8 : 8 + size]
        data = data[8 + size :]
    return streams


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


def create(shim: Shim, args: list[str], **stdio: bool) -> str:
    name = f"c{len(list(shim.root.parent.glob('bundle-*')))}"
    container_id = f"tgshim{os.getpid()}{name}"
    bundle = shim.root.parent / f"bundle-{name}"
    write_bundle(bundle, args, tty=stdio.get("tty", False))
    log = {"driver": "json-file", "path": str(bundle / "log"), "max_size_bytes": 0, "max_files": 1}
    cgroup = Path(f"/sys/fs/cgroup/pids/tgshim-{os.getpid()}")
    cgroup.mkdir(exist_ok=True)
    shim.ok("create", container_id=container_id, bundle=str(bundle), stdio=stdio, log=log, cgroup_join=[str(cgroup)])
    return container_id


def logged(shim: Shim, container_id: str) -> str:
    path = shim.root.parent / f"bundle-{container_id.removeprefix(f'tgshim{os.getpid()}')}" / "log"
    return "".join(json.loads(line)["log"] for line in path.read_text().splitlines())


@pytest.fixture
def shim(tmp_path: Path) -> Iterator[Shim]:
    short = Path(os.environ.get("TMPDIR", "/tmp")) / f"tgs{os.getpid()}"
    shutil.rmtree(short, ignore_errors=True)
    short.mkdir()
    supervisor = Shim(short / "shim")
    try:
        supervisor.ok("subscribe")
        yield supervisor
        for process in supervisor.ok("state")["processes"]:
            if process["exec_id"] is None:
                supervisor.ok("release", container_id=process["container_id"])
        supervisor.ok("shutdown")
        assert supervisor.process.wait(10) == 0
    finally:
        supervisor.process.kill()
        supervisor.process.wait()
        shutil.rmtree(short)
        cgroup = Path(f"/sys/fs/cgroup/pids/tgshim-{os.getpid()}")
        if cgroup.exists():
            cgroup.rmdir()


def test_output_log_and_exit_code(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"])
    client = shim.attach(container_id)
    assert shim.ok("start", container_id=container_id)["pid"] > 1
    event = shim.exited()
    assert (event["container_id"], event["exec_id"], event["exit_code"]) == (container_id, None, 7)
    assert unframe(read_all(client)) == {1: b"out\n", 2: b"err\n"}
    assert sorted(logged(shim, container_id).splitlines()) == ["err", "out"]


def test_large_input_comes_back_whole(shim: Shim) -> None:
    container_id = create(shim, ["/bin/cat"], open_stdin=True, stdin_once=True)
    client = shim.attach(container_id, stdin=True)
    shim.ok("start", container_id=container_id)
    payload = os.urandom(16) * (1 << 18)
    writer = os.fork()
    if writer == 0:
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)
        os._exit(0)
    output = unframe(read_all(client))[1]
    os.waitpid(writer, 0)
    assert output == payload
    assert shim.exited()["exit_code"] == 0


def test_a_command_that_is_not_there(shim: Shim) -> None:
    container_id = create(shim, ["/bin/nope"])
    error = shim.request("start", container_id=container_id)["error"]
    assert error["kind"] == "invalid_parameter"
    assert "executable file not found in $PATH" in error["message"]
    assert logged(shim, container_id) == ""


def test_exec_has_streams_and_an_exit_code_of_its_own(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sleep", "60"])
    shim.ok("start", container_id=container_id)
    process = {"args": ["/bin/sh", "-c", "cat; exit 3"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
    names = {"container_id": container_id, "exec_id": "e1"}
    shim.ok("exec_create", **names, process=process, stdio={"open_stdin": True})
    client = shim.attach(container_id, "e1", stdin=True)
    shim.ok("exec_start", **names)
    client.sendall(b"hello")
    client.shutdown(socket.SHUT_WR)
    assert unframe(read_all(client))[1] == b"hello"
    event = shim.exited()
    assert (event["exec_id"], event["exit_code"]) == ("e1", 3)
    shim.ok("exec_release", **names)
    shim.ok("signal", container_id=container_id, signal=9)
    assert shim.exited()["exit_code"] == 137
    assert shim.request("signal", container_id=container_id, signal=9)["error"]["kind"] == "not_found"


def test_a_terminal_has_the_size_asked_for(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "read x; stty size; echo got $x"], tty=True, open_stdin=True)
    client = shim.attach(container_id, stdin=True)
    shim.ok("resize", container_id=container_id, height=31, width=97)
    shim.ok("start", container_id=container_id)
    client.sendall(b"word\n")
    output = read_all(client)
    assert b"31 97\r\n" in output and b"got word\r\n" in output
    assert shim.exited()["exit_code"] == 0


def test_a_released_container_is_forgotten_and_an_unreleased_exit_repeated(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "exit 5"])
    shim.ok("start", container_id=container_id)
    assert shim.exited()["exit_code"] == 5
    shim.ok("subscribe")
    assert shim.exited()["exit_code"] == 5
    shim.ok("release", container_id=container_id)
    assert shim.ok("state")["processes"] == []
    assert shim.request("start", container_id=container_id)["error"]["kind"] == "not_found"


LINGERING_CRUN = """\
#!{python} -IS
import os, sys, time
if "run" not in sys.argv:
    sys.exit()
middle = os.fork()
if not middle:
    process = os.fork() or os._exit(3)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    with open(sys.argv[sys.argv.index("--pid-file") + 1] + ".new", "w") as file:
        file.write(str(process))
    os.rename(file.name, file.name[:-4])
    time.sleep(0.3)
    os._exit(0)
while not os.path.exists(sys.argv[sys.argv.index("--pid-file") + 1]):
    time.sleep(0.001)
"""


def test_a_process_that_ended_while_crun_was_its_parent_is_reaped_when_crun_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crun").write_text(LINGERING_CRUN.format(python=sys.executable))
    (tmp_path / "crun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    supervisor = Shim(tmp_path / "shim")
    try:
        supervisor.ok("subscribe")
        supervisor.ok("create", container_id="quick", bundle=str(tmp_path), stdio={}, cgroup_join=[])
        supervisor.ok("start", container_id="quick")
        assert supervisor.exited()["exit_code"] == 3
        supervisor.ok("release", container_id="quick")
        supervisor.ok("shutdown")
        assert supervisor.process.wait(10) == 0
    finally:
        supervisor.process.kill()
        supervisor.process.wait()


def worker_pid(shim: Shim) -> int:
    children = Path(f"/proc/{shim.process.pid}/task/{shim.process.pid}/children").read_text().split()
    return int(children[0])


def test_a_killed_worker_loses_no_stream_and_no_exit_code(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "echo before; read x; echo after $x; exit 9"], open_stdin=True)
    shim.ok("start", container_id=container_id)
    assert {process["status"] for process in shim.ok("state")["processes"]} == {"running"}
    os.kill(worker_pid(shim), 9)
    assert shim.control.recv(1) == b""
    shim.reconnect()
    client = shim.attach(container_id, stdin=True)
    client.sendall(b"word\n")
    assert unframe(read_all(client))[1].endswith(b"after word\n")
    assert shim.exited()["exit_code"] == 9
    assert logged(shim, container_id).endswith("after word\n")
