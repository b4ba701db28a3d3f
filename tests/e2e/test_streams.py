"""Terminals, big streams and followed logs with the stock docker CLI."""

import hashlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine
from tests.e2e.terminal import Terminal

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
]
both_doors = pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
BIG_BYTES = 100 * 1024 * 1024


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@both_doors
def test_a_terminal_is_resized_left_and_taken_up_again(engine: RunningEngine, tls: bool) -> None:
    name = f"term-{tls}"
    terminal = Terminal(*engine.cli("run", "-it", "--name", name, "busybox", "sh", tls=tls))
    with closing(terminal):
        terminal.read_until(b"# ")
        terminal.type(b"stty size\n")
        terminal.read_until(b"24 80")
        deadline = time.monotonic() + 60
        for columns in itertools.count(
            100
        ):  # the CLI hears no signal until it listens, and acts on one some time later
            terminal.resize(30, columns)
            terminal.type(b"echo size=$(stty size)=\n")
            terminal.read_until(b"\nsize=")
            if terminal.read_until(b"=").startswith(b"30 "):
                break
            assert time.monotonic() < deadline, "the terminal was not resized"
        terminal.type(b"here=$((40+2))\n")
        terminal.type(b"\x10\x11")
        assert terminal.wait() == 0
    assert engine.docker("inspect", "-f", "{{.State.Status}}", name, tls=tls).stdout == "running\n"
    again = Terminal(*engine.cli("attach", name, tls=tls))
    with closing(again):
        again.type(b"echo kept $here\n")
        again.read_until(b"kept 42")
        again.type(b"exit 6\n")
        assert again.wait() == 6
    assert engine.docker("rm", name, tls=tls).returncode == 0


def test_an_exec_has_a_terminal_too(engine: RunningEngine) -> None:
    assert engine.docker("run", "-d", "--name", "host", "--network", "none", "busybox", "sleep", "1000").returncode == 0
    terminal = Terminal(*engine.cli("exec", "-it", "host", "sh"))
    with closing(terminal):
        terminal.read_until(b"# ")
        terminal.type(b"tty; exit 7\n")
        terminal.read_until(b"/dev/pts/")
        assert terminal.wait() == 7
    assert engine.docker("rm", "-f", "host").returncode == 0


@both_doors
def test_a_hundred_megabytes_come_back_whole(engine: RunningEngine, tls: bool, tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    sent = hashlib.sha256()
    with (tmp_path / "in").open("wb") as file:
        for number in range(BIG_BYTES >> 20):
            piece = number.to_bytes(8, "big") + block[8:]
            sent.update(piece)
            file.write(piece)
    command, environment = engine.cli("run", "-i", "--rm", "busybox", "cat", tls=tls, limit_s=110)
    with (tmp_path / "in").open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
        done = subprocess.run(command, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sent.hexdigest()


@both_doors
def test_followed_logs_end_with_the_container_and_miss_nothing(engine: RunningEngine, tls: bool) -> None:
    name = f"told-{tls}"
    script = "trap 'echo bye; exit 0' TERM; i=0; while true; do echo line $i; i=$((i+1)); sleep 0.01; done"
    started = engine.docker("run", "-d", "--name", name, "--network", "none", "busybox", "sh", "-c", script, tls=tls)
    assert started.returncode == 0, started.stderr
    command, environment = engine.cli("logs", "-f", name, tls=tls)
    follower = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert follower.stdout is not None
    lines = [follower.stdout.readline() for _ in range(50)]
    assert engine.docker("stop", name, tls=tls).returncode == 0
    lines += follower.stdout.readlines()
    assert follower.wait(30) == 0
    assert lines == [*(b"line %d\n" % number for number in range(len(lines) - 1)), b"bye\n"]
    assert engine.docker("logs", name, tls=tls).stdout.encode() == b"".join(lines)
    assert engine.docker("rm", name, tls=tls).returncode == 0
