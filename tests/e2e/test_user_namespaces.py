"""``userns-remap`` and ``--userns=host``, through the docker CLI."""

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]

FIRST = 240_000
# With files of subordinate ids of its own, so that the machine's stay what they are.
WITH_RANGES = 'mount --bind "$0/subuid" /etc/subuid && mount --bind "$0/subgid" /etc/subgid && exec "$@"'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    etc = tmp_path_factory.mktemp("etc")
    for name in ("subuid", "subgid"):
        (etc / name).write_text(f"someone:100000:65536\nroot:{FIRST}:65536\n")
    up = ("unshare", "-m", "sh", "-c", WITH_RANGES, str(etc), sys.executable, "-m", "tidegate", "up")
    with running_engine("--userns-remap", "root", program=up) as running:
        yield running


def run(engine: RunningEngine, *words: str) -> str:
    result = engine.docker("run", "--rm", *words)
    return result.stdout + result.stderr


def test_root_of_a_container_is_nobody_on_the_host(engine: RunningEngine) -> None:
    assert "name=userns" in engine.docker("info", "-f", "{{.SecurityOptions}}").stdout
    made = engine.docker("run", "-d", "--name", "mapped", "busybox", "sleep", "300")
    assert made.returncode == 0, made.stderr
    pid = engine.docker("inspect", "-f", "{{.State.Pid}}", "mapped").stdout.strip()
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", str(FIRST), "65536"]
    assert Path(f"/proc/{pid}").stat().st_uid == FIRST
    owners_seen = "id -u; stat -c '%u %a' / /bin/busybox /etc/hosts"
    script = f"{owners_seen}; touch /x; chown 1000:1000 /x; stat -c %u /x; echo out >&2"
    told = engine.docker("exec", "mapped", "sh", "-c", script)
    assert told.stdout.split("\n")[:2] == ["0", "0 755"] and told.stdout.endswith("1000\n") and told.stderr == "out\n"
    writes = "id -u; echo x > /dev/stdout"
    assert run(engine, "-u", "7", "busybox", "sh", "-c", writes) == "7\nx\n"
    for user in ("0", "7"):
        assert engine.docker("exec", "-u", user, "mapped", "sh", "-c", writes).stdout == f"{user}\nx\n"
    upper = engine.root / "data/rootfs" / engine.docker("inspect", "-f", "{{.Id}}", "mapped").stdout.strip() / "upper"
    assert (upper / "x").stat().st_uid == 1000, "on disk are the ids that the container sees"
    network = "ip link set lo down && ip link set lo up && cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    assert run(engine, "--cap-add", "NET_ADMIN", "busybox", "sh", "-c", network) == "0\n"
    assert engine.docker("rm", "-f", "mapped").returncode == 0


def test_files_in_and_out_have_the_container_s_owners(engine: RunningEngine) -> None:
    made = engine.docker(
        "run", "-d", "--name", "files", "busybox", "sh", "-c", "touch /mine; chown 5:6 /mine; sleep 300"
    )
    assert made.returncode == 0, made.stderr
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("deep/sent")
        member.uid, member.gid, member.size = 8, 9, 2
        tar.addfile(member, io.BytesIO(b"hi"))
    for resting in (False, True):
        if resting:
            assert engine.docker("kill", "files").returncode == 0
            engine.docker("wait", "files")
        sent = engine.docker("cp", "-a", "-", "files:/", stdin=archive.getvalue())
        assert sent.returncode == 0, sent.stderr
        for path, owner in (("/mine", (5, 6)), ("/deep/sent", (8, 9)), ("/deep", (0, 0))):
            assert owners(engine, "cp", f"files:{path}", "-")[path.rpartition("/")[2]] == owner
        exported = owners(engine, "export", "files")
        assert (exported["mine"], exported["deep/sent"], exported["bin/busybox"]) == ((5, 6), (8, 9), (0, 0))
    assert "A /deep/sent" in engine.docker("diff", "files").stdout
    assert engine.docker("commit", "files", "committed").returncode == 0
    assert run(engine, "committed", "stat", "-c", "%u %g", "/mine", "/deep/sent") == "5 6\n8 9\n"
    assert run(engine, "--userns", "host", "committed", "stat", "-c", "%u %g", "/mine") == "5 6\n"
    too_high = io.BytesIO()
    with tarfile.open(fileobj=too_high, mode="w") as tar:
        member = tarfile.TarInfo("far")
        member.uid = 70_000
        tar.addfile(member)
    assert "not mapped" in engine.docker("cp", "-a", "-", "files:/", stdin=too_high.getvalue()).stderr
    assert engine.docker("rm", "-f", "files").returncode == 0
    assert engine.docker("rmi", "committed").returncode == 0


def owners(engine: RunningEngine, *words: str) -> dict[str, tuple[int, int]]:
    command, environment = engine.cli(*words)
    out = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        return {member.name.rstrip("/"): (member.uid, member.gid) for member in tar}


def test_volumes_are_mapped_and_binds_are_not(engine: RunningEngine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").touch()
    script = "touch /v/a; chown 3 /v/a; stat -c %u /v /v/a /b/file; touch /b/x"
    told = run(engine, "-v", "data:/v", "-v", f"{tmp_path}:/b", "busybox", "sh", "-c", script)
    assert told.startswith("0\n3\n65534\n") and "Permission denied" in told
    assert run(engine, "--userns=host", "-v", "data:/v", "busybox", "stat", "-c", "%u", "/v/a") == "3\n"
    assert (engine.root / "data/volumes/data/_data/a").stat().st_uid == 3
    assert run(engine, "-v", "filled:/bin", "busybox", "stat", "-c", "%u", "/bin/busybox") == "0\n"
    mounts = ["--mount", "type=volume,source=data,target=/p,volume-subpath=a", "--tmpfs", "/t"]
    mounts += ["--mount", "type=image,source=busybox,target=/i"]
    assert run(engine, *mounts, "busybox", "stat", "-c", "%u", "/p", "/t", "/i/bin/busybox") == "3\n0\n0\n"


def test_namespaces_are_shared_within_the_mapping(engine: RunningEngine) -> None:
    first = ["run", "-d", "--name", "first", "--ipc", "shareable", "busybox", "sleep", "300"]
    assert engine.docker(*first).returncode == 0
    for mode in ("--network", "--pid", "--ipc"):
        told = run(
            engine, f"{mode}=container:first", "busybox", "sh", "-c", "id -u; touch /dev/shm/x; ip link set lo up"
        )
        assert told.startswith("0\n"), f"{mode}: {told}"
        assert mode == "--network" or "denied" not in told
    host = engine.docker("run", "-d", "--name", "hosts", "--userns", "host", "busybox", "sleep", "300")
    assert host.returncode == 0, host.stderr
    assert "in the host's user namespace" in run(engine, "--network", "container:hosts", "busybox", "true")
    assert run(engine, "--userns=host", "--network", "container:first", "busybox", "id", "-u") == "0\n"
    assert engine.docker("rm", "-f", "first", "hosts").returncode == 0


def test_what_needs_the_host_s_user_namespace_is_refused(engine: RunningEngine) -> None:
    refusals = {
        "--privileged": "privileged mode is incompatible with user namespaces",
        "--network=host": "cannot share the host's network namespace when user namespaces are enabled",
        "--pid=host": "cannot share the host PID namespace when user namespaces are enabled",
    }
    for option, words in refusals.items():
        assert words in run(engine, option, "busybox", "true")
        assert run(engine, option, "--userns=host", "busybox", "echo", "ran") == "ran\n"
    assert "invalid" in run(engine, "--userns=other", "busybox", "true")


def test_a_mapped_container_survives_the_engine_and_nothing_is_left(engine: RunningEngine) -> None:
    made = engine.docker("run", "-d", "--name", "lives", "-v", "data:/v", "busybox", "sleep", "300")
    assert made.returncode == 0, made.stderr
    os.kill(engine.children()["engine"], signal.SIGKILL)
    engine.process.wait(30)
    engine.start()
    assert engine.docker("exec", "lives", "id", "-u").stdout == "0\n"
    assert engine.docker("restart", "-t", "0", "lives").returncode == 0
    assert engine.docker("exec", "lives", "touch", "/again").returncode == 0
    assert engine.docker("rm", "-f", "lives").returncode == 0
    told = Path(f"/proc/{engine.children()['engine']}/mountinfo").read_text()
    assert f"{engine.root}/exec/mounts" not in told and f"{engine.root}/data/rootfs" not in told
