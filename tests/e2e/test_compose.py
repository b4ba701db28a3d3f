"""Compose v2 as people use it, over mutual TLS and over the unix socket, on projects without networks of their own."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.debian_clients import unpack_plugins
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

from tidegate.spec.timestamps import parse_time

pytestmark = [
    needs_cli,
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.timeout(300),
]
PROJECTS = Path(__file__).parent / "projects"
Compose = Callable[..., str]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    try:
        plugins = unpack_plugins()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"Debian 13's Compose cannot be fetched here: {error}")
    with running_engine() as running:
        directory = running.root / "config/cli-plugins"
        directory.mkdir(parents=True)
        (directory / "docker-compose").symlink_to(plugins / "docker-compose")
        yield running


@pytest.fixture(params=[True, False], ids=["mtls", "unix"])
def compose(engine: RunningEngine, request: pytest.FixtureRequest) -> Iterator[Compose]:
    """Runs a command of the project ``shop``, of which nothing is left afterwards; ``ends`` is its exit code."""

    def run(*words: str, ends: int = 0) -> str:
        done = engine.docker("compose", "-f", str(PROJECTS / "shop.yaml"), *words, tls=request.param)
        assert done.returncode == ends, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    yield run
    run("--profile", "tools", "down", "-v", "--remove-orphans", "-t", "0")
    assert engine.docker("ps", "-aq").stdout == "" and engine.docker("volume", "ls", "-q").stdout == ""


def states(compose: Compose) -> list[str]:
    return sorted(compose("ps", "-a", "--format", "{{.Service}} {{.State}} {{.Health}}").split("\n")[:-1])


def test_a_project_s_life(compose: Compose) -> None:
    compose("up", "-d", "--wait")
    assert states(compose) == ["db running healthy", "job exited ", "web running "]
    assert compose("port", "web", "80").strip() == "127.0.0.1:8081"
    assert "done" in compose("logs", "--no-log-prefix", "job")
    assert compose("exec", "-T", "web", "cat", "/etc/greeting") == "good morning\n"
    compose("exec", "-T", "db", "sh", "-c", "echo kept > /data/file; exit 5", ends=5)
    assert "httpd -p 80" in compose("top", "web")
    compose("pause", "web")
    assert "web paused " in states(compose)
    compose("unpause", "web")
    compose("restart", "-t", "0", "db")
    assert compose("exec", "-T", "db", "cat", "/data/file") == "kept\n"
    compose("stop", "-t", "0", "web")
    compose("kill", "db")
    assert states(compose) == ["db exited ", "job exited ", "web exited "]
    compose("start")
    compose("up", "-d", "--scale", "db=2", "--no-recreate", "--no-deps", "db")
    assert [each.split()[0] for each in states(compose)] == ["db", "db", "job", "web"]
    compose("up", "-d", "--force-recreate", "--no-deps", "db")
    assert [each.split()[0] for each in states(compose)] == ["db", "job", "web"]
    assert [(each["Name"], each["Status"]) for each in json.loads(compose("ls", "--format", "json"))] == [
        ("shop", "running(2)")
    ]


def test_one_off_runs_and_what_is_followed(compose: Compose, engine: RunningEngine) -> None:
    begun = f"{time.time():.6f}"
    said = compose("up", "--abort-on-container-exit", "--exit-code-from", "shell", "shell", "db", ends=4)
    assert "good morning" in said and "hello" in said
    compose("up", "-d", "clock")
    assert "ticks\nrings\n" in "".join(compose("logs", "--no-log-prefix", "-f", "clock").split("\x1b[2K"))
    compose("start", "clock")
    assert "exited with status code 7" in compose("wait", "clock", ends=7)
    assert compose("run", "--rm", "-T", "--no-deps", "job", "echo", "once") == "once\n"
    compose("run", "--rm", "-T", "--no-deps", "job", "sh", "-c", "exit 9", ends=9)
    window = ("--since", begun, "--until", f"{time.time():.6f}", "--filter", "container=shop-shell-1")
    told = engine.docker("events", *window, "--format", "{{.Action}}").stdout.split()
    assert told == ["create", "extract-to-dir", "attach", "start", "die"]


def test_files_go_in_and_out(compose: Compose, tmp_path: Path) -> None:
    compose("create", "job")
    (tmp_path / "file").write_text("carried\n")
    compose("cp", str(tmp_path / "file"), "job:/root/file")
    compose("cp", "job:/root/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "carried\n"
    compose("rm", "-f", "job")


def test_after_a_loss_of_power_the_order_of_depends_on_is_kept(engine: RunningEngine) -> None:
    up = ("compose", "-f", str(PROJECTS / "shop.yaml"))
    assert engine.docker(*up, "up", "-d", "--wait").returncode == 0
    lose_power(engine)
    engine.start()
    shown = "{{.State.Running}} {{.State.StartedAt}} {{if .State.Health}}{{json .State.Health.Log}}{{end}}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        web, db = engine.docker("inspect", "-f", shown, "shop-web-1", "shop-db-1", tls=False).stdout.splitlines()
        if web.startswith("true"):
            break
        time.sleep(0.1)
    web_started_ns, (_, db_started, probes) = parse_time(web.split()[1], 0), db.split(maxsplit=2)
    ends_ns = [parse_time(probe["End"], 0) for probe in json.loads(probes) if probe["ExitCode"] == 0]
    assert min(end for end in ends_ns if end > parse_time(db_started, 0)) <= web_started_ns, (web, db)
    log = (engine.root / "log").read_text()
    assert "shop-web-1 waits for db (service_healthy), job (service_completed_successfully)" in log
    assert engine.docker(*up, "down", "-v", "-t", "0").returncode == 0


def lose_power(engine: RunningEngine) -> None:
    """End engine, gate, supervisors and containers at once."""
    containers = engine.docker("ps", "-q", tls=False).stdout.split()
    shown = engine.docker("inspect", "-f", "{{.State.Pid}}", *containers, tls=False).stdout.split()
    pids = [engine.process.pid, *engine.children().values(), *engine.shim_pids(), *map(int, shown)]
    pidfds = [os.pidfd_open(pid) for pid in pids]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pidfd in pidfds:
            signal.pidfd_send_signal(pidfd, number)
    for pidfd in pidfds:  # what is not dead yet holds ports and sockets
        assert select.select([pidfd], [], [], 20)[0]
        os.close(pidfd)
    engine.process.wait()
