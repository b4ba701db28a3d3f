"""The supervisor with real crun: stdio, logs, exit codes, execs, terminals. Runs in a private mount namespace."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from tests.kernel.shim_client import Shim, create, log_path, logged, needs_crun, read_all, shim, unframe, worker_pid

from tidegate.shim.compression import MAGIC

__all__ = ["shim"]
pytestmark = needs_crun


def test_output_log_and_exit_code(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"])
    client = shim.attach(container_id)
    assert shim.ok("start", container_id=container_id)["pid"] > 1
    event = shim.exited()
    assert (event["container_id"], event["exec_id"], event["exit_code"]) == (container_id, None, 7)
    assert unframe(read_all(client)) == {1: b"out\n", 2: b"err\n"}
    assert sorted(logged(shim, container_id).splitlines()) == ["err", "out"]


def test_rotated_files_are_compressed_while_the_container_runs_on(shim: Shim) -> None:
    script = "seq 1 100000; read x; echo end"
    container_id = create(
        shim, ["/bin/sh", "-c", script], rotate_bytes=1_000_000, compress=True, open_stdin=True, stdin_once=True
    )
    client = shim.attach(container_id, stdin=True)
    shim.ok("start", container_id=container_id)
    path = log_path(shim, container_id)
    deadline = time.monotonic() + 20
    while not (rotated := list(path.parent.glob("log.*"))) or any(f.read_bytes()[:2] != MAGIC for f in rotated):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client.sendall(b"go\n")
    assert shim.exited()["exit_code"] == 0
    assert logged(shim, container_id) == "".join(f"{number}\n" for number in range(1, 100001)) + "end\n"


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


def test_what_a_client_typed_before_it_left_is_not_lost(shim: Shim) -> None:
    script = "while :; do echo filler; done & read line; kill $!; echo got $line"
    container_id = create(shim, ["/bin/sh", "-c", script], open_stdin=True)
    client = shim.attach(container_id, stdin=True)
    shim.ok("start", container_id=container_id)
    assert client.recv(1)
    os.kill(worker_pid(shim), signal.SIGSTOP)
    client.sendall(b"a line\n")
    client.close()  # with output unread: to the worker this is an error on the way out, before it has read the line
    os.kill(worker_pid(shim), signal.SIGCONT)
    assert shim.exited()["exit_code"] == 0
    assert "got a line\n" in logged(shim, container_id)  # a filler may follow: a kill takes its time


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
with open(__file__ + ".calls", "a") as calls:
    calls.write("run " if "run" in sys.argv else " ".join(sys.argv))
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


def test_a_process_that_ended_while_crun_was_its_parent_is_reaped_and_crun_is_not_needed_again(
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
        assert (tmp_path / "crun.calls").read_text() == "run "
    finally:
        supervisor.process.kill()
        supervisor.process.wait()


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


@pytest.mark.parametrize("shim", [0.3], indirect=True)
@pytest.mark.parametrize("tty", [False, True])
def test_a_client_that_reads_nothing_is_let_go_and_told(shim: Shim, tty: bool) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "seq 1 250000; exit 6"], tty=tty)
    stopped = shim.attach(container_id)
    reading = shim.attach(container_id)
    shim.ok("start", container_id=container_id)
    lines = "".join(f"{number}\r\n" if tty else f"{number}\n" for number in range(1, 250001)).encode()
    output = read_all(reading)
    assert (output if tty else unframe(output)[1]) == lines
    assert shim.exited()["exit_code"] == 6
    assert logged(shim, container_id).encode() == lines
    output = read_all(stopped)
    assert 1 << 20 < len(output) < 2 << 20 and output.rstrip().endswith(b"see its log for the rest")
    assert lines.startswith(output[: 1 << 20] if tty else unframe(output)[1])


@pytest.mark.parametrize("shim", [0.3], indirect=True)
def test_a_client_that_reads_slowly_loses_nothing(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sh", "-c", "seq 1 400000; exit 6"])
    slow = shim.attach(container_id)
    shim.ok("start", container_id=container_id)
    output = b""
    for _ in range(8):
        time.sleep(0.15)
        output += slow.recv(300_000)
    output += read_all(slow)
    assert unframe(output)[1] == "".join(f"{number}\n" for number in range(1, 400001)).encode()


@pytest.mark.parametrize("shim", [0.2], indirect=True)
def test_an_exec_that_is_let_go_while_it_starts_does_not_run_on(shim: Shim) -> None:
    """As a health check that exceeds its timeout does on a slow machine."""
    container_id = create(shim, ["/bin/sleep", "1000"])
    shim.ok("start", container_id=container_id)
    process = {"args": ["/bin/sleep", "77"], "cwd": "/", "user": {"uid": 0, "gid": 0}}
    names = {"container_id": container_id, "exec_id": "e1"}
    shim.ok("exec_create", **names, process=process, stdio={})
    shim.send("exec_start", **names)
    shim.send("exec_release", **names)
    answers = [shim.answer(), shim.answer()]
    (pid,) = [answer["ok"]["pid"] for answer in answers if answer.get("ok")]
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() or len(shim.ok("state")["processes"]) > 1:
        assert time.monotonic() < deadline, answers
        time.sleep(0.01)


def test_the_output_of_an_exec_waits_for_its_client(shim: Shim) -> None:
    container_id = create(shim, ["/bin/sleep", "60"])
    shim.ok("start", container_id=container_id)
    process = {"args": ["/bin/seq", "1", "400000"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
    names = {"container_id": container_id, "exec_id": "e1"}
    shim.ok("exec_create", **names, process=process, stdio={})
    client = shim.attach(container_id, "e1")
    shim.ok("exec_start", **names)
    time.sleep(1)
    assert unframe(read_all(client))[1] == "".join(f"{number}\n" for number in range(1, 400001)).encode()
