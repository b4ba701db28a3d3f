"""Who may do what, through the stock CLI: joining, roles, owners, and taking it all back while streams run."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine
from tests.e2e.stream_load import time_of_revocation

STREAMS_EACH = 500
pytestmark = [needs_cli, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces and mounts")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    socket = tmp_path_factory.mktemp("doors") / "viewer.sock"
    with running_engine("--gate-socket", f"{socket},role=viewer,mode=0666") as running:
        running.viewer_socket = socket  # type: ignore[attr-defined]
        yield running


def tidegate(engine: RunningEngine, *words: str, check: bool = True) -> str:
    """The command, in the engine's network, on its data root where that is asked for."""
    command = ["nsenter", f"--net={engine.root}/netns", sys.executable, "-m", "tidegate", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "HOME": "/nowhere"})
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def data_root(engine: RunningEngine) -> tuple[str, str]:
    return "--data-root", f"{engine.root}/data"


def client(engine: RunningEngine, name: str, role: str, out: Path) -> Path:
    """A certificate for ``name``, handed out."""
    tidegate(engine, "client", "create", name, *data_root(engine), "--role", role, "--out", str(out / name))
    return out / name


def test_a_machine_joins_by_one_line_and_its_key_never_left_it(engine: RunningEngine, tmp_path: Path) -> None:
    line = tidegate(engine, "client", "invite", "laptop", *data_root(engine), "--role", "viewer", "--host", "127.0.0.1")
    words = next(each for each in line.splitlines() if "client join" in each).split()
    token = words[words.index("join") + 1 :]
    begun = time.monotonic()
    tidegate(engine, "client", "join", *token, "--out", str(tmp_path / "laptop"))
    assert time.monotonic() - begun < 10
    assert engine.docker("ps", certificates=tmp_path / "laptop").returncode == 0
    refused = engine.docker("run", "--rm", "busybox", "true", certificates=tmp_path / "laptop")
    assert "role viewer" in refused.stderr
    again = tidegate(engine, "client", "join", *token, "--out", str(tmp_path / "thief"), check=False)
    assert "invitation" in again
    assert not (tmp_path / "thief").exists()


def test_a_developer_builds_on_its_own_and_reaches_neither_host_nor_others(
    engine: RunningEngine, tmp_path: Path
) -> None:
    alice, bob = (client(engine, name, "developer", tmp_path) for name in ("alice", "bob"))
    ran = engine.docker("run", "-d", "--name", "web", "-e", "SECRET=x", "busybox", "sleep", "300", certificates=alice)
    assert ran.returncode == 0, ran.stderr
    assert engine.docker("exec", "web", "echo", "hi", certificates=alice).stdout == "hi\n"
    assert "No such container" in engine.docker("exec", "web", "echo", "hi", certificates=bob).stderr
    assert "No such container" in engine.docker("rm", "-f", "web", certificates=bob).stderr
    shown = json.loads(engine.docker("inspect", "web", certificates=bob).stdout)
    assert "SECRET=<redacted>" in shown[0]["Config"]["Env"]
    assert "SECRET=x" in json.loads(engine.docker("inspect", "web", certificates=alice).stdout)[0]["Config"]["Env"]
    for words in (["-v", "/:/host"], ["--privileged"], ["--pid", "host"], ["--network", "host"], ["--cap-add", "ALL"]):
        refused = engine.docker("run", "--rm", *words, "busybox", "true", certificates=alice)
        assert refused.returncode == 125 and "role developer" in refused.stderr, (words, refused.stderr)
    assert engine.docker("rm", "-f", "web", certificates=alice).returncode == 0


def test_a_ci_job_sees_nothing_but_its_own(engine: RunningEngine, tmp_path: Path) -> None:
    job = client(engine, "job", "ci", tmp_path)
    engine.docker("run", "-d", "--name", "theirs", "busybox", "sleep", "300")
    engine.docker("run", "-d", "--name", "ours", "busybox", "sleep", "300", certificates=job)
    names = engine.docker("ps", "-a", "--format", "{{.Names}}", certificates=job).stdout.split()
    assert names == ["ours"]
    assert "No such container" in engine.docker("logs", "theirs", certificates=job).stderr
    assert engine.docker("container", "prune", "-f", certificates=job).returncode == 0
    for name in ("ours", "theirs"):
        assert engine.docker("rm", "-f", name).returncode == 0


@pytest.mark.parametrize("how", ["revoke", "role"])
def test_taking_it_back_cuts_what_runs_at_once(engine: RunningEngine, tmp_path: Path, how: str) -> None:
    name = f"leaver-{how}"
    leaver = client(engine, name, "developer", tmp_path)
    assert engine.docker("run", "-d", "--name", name, "busybox", "sleep", "300", certificates=leaver).returncode == 0
    streams = []
    for words in (["exec", "-i", name, "sh", "-c", "echo up; cat"], ["logs", "-f", name], ["events"]):
        command, environment = engine.cli(*words, certificates=leaver)
        streams.append(
            subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
    assert streams[0].stdout is not None
    assert streams[0].stdout.readline() == b"up\n"
    time.sleep(0.5)  # the two others have nothing to say when they have begun
    assert all(stream.poll() is None for stream in streams)
    access = engine.root / "data/access"
    access.mkdir(exist_ok=True)
    (access / "access.toml").write_text('[roles.nothing]\nlike = "viewer"\noperations = ["SystemInfo"]\n')
    change = ["revoke", name] if how == "revoke" else ["role", name, "nothing"]
    tidegate(engine, "client", *change, *data_root(engine))
    for stream in streams:
        assert stream.wait(5) is not None
        for pipe in (stream.stdin, stream.stdout, stream.stderr):
            assert pipe is not None
            pipe.close()
    refused = engine.docker("ps", certificates=leaver)
    assert ("was revoked" if how == "revoke" else "role nothing") in refused.stderr
    assert engine.docker("rm", "-f", name).returncode == 0


def test_a_revocation_amid_hundreds_of_streams_cuts_all_of_them_and_no_other(
    engine: RunningEngine, tmp_path: Path
) -> None:
    leaver, stayer = client(engine, "leaver", "developer", tmp_path), client(engine, "stayer", "developer", tmp_path)
    delays_s, others = asyncio.run(time_of_revocation(engine, leaver, stayer, each=STREAMS_EACH))
    assert len(delays_s) == STREAMS_EACH and others == 0
    delays_s.sort()
    print(f"cut after {delays_s[len(delays_s) // 2] * 1e3:.0f} ms (median), {delays_s[-1] * 1e3:.0f} ms (last)")


def test_a_scoped_socket_has_its_role_whoever_comes(engine: RunningEngine) -> None:
    host = f"unix://{engine.viewer_socket}"  # type: ignore[attr-defined]
    environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": host, "HOME": str(engine.root)}
    shown = subprocess.run(["docker", "ps"], env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    refused = subprocess.run(["docker", "run", "busybox"], env=environment, capture_output=True, text=True, check=False)
    assert "role viewer" in refused.stderr


def test_all_of_it_is_in_an_audit_that_is_whole(engine: RunningEngine) -> None:
    found = tidegate(engine, "audit", "query", *data_root(engine), "--principal", "CN=alice", "--json")
    assert any(json.loads(line).get("operation") == "ContainerCreate" for line in found.splitlines())
    tidegate(engine, "audit", "verify", *data_root(engine))
