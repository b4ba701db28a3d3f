"""``docker cp`` and ``docker export``, with the stock CLI by both doors, and docker-py's archives."""

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]
BIG_BYTES = 256 << 20
LIMIT_BYTES = 100 << 20


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        mounts = ["--network", "none", "-v", "vol:/vol", "--mount", "type=tmpfs,target=/tm"]
        assert running.docker("create", "--name", "resting", *mounts, "busybox", "true").returncode == 0
        assert running.docker("run", "-d", "--name", "running", *mounts, "busybox", "sleep", "1000").returncode == 0
        yield running
        assert running.docker("rm", "-f", "resting", "running").returncode == 0


def copy(engine: RunningEngine, source: str, target: str, *options: str, tls: bool = True) -> None:
    done = engine.docker("cp", *options, source, target, tls=tls)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
@pytest.mark.parametrize("name", ["resting", "running"])
def test_directories_and_volumes_go_in_and_out(engine: RunningEngine, tmp_path: Path, name: str, tls: bool) -> None:
    source, place = tmp_path / "source", f"/{'tls' if tls else 'unix'}"
    (source / "sub").mkdir(parents=True)
    (source / "sub/file").write_text("text\n")
    (source / "sub/file").chmod(0o640)
    (source / "link").symlink_to("/etc/shadow")
    copy(engine, str(source), f"{name}:{place}", tls=tls)
    copy(engine, str(source), f"{name}:{place}", tls=tls)  # now it is there: below it
    copy(engine, f"{name}:{place}/.", str(tmp_path / "out"), tls=tls)
    assert sorted(os.listdir(tmp_path / "out")) == ["link", "source", "sub"]
    assert os.readlink(tmp_path / "out/link") == "/etc/shadow"
    assert (tmp_path / "out/source/sub/file").stat().st_mode & 0o777 == 0o640
    copy(engine, str(source / "sub/file"), f"{name}:/vol/of-{name}", tls=tls)
    assert (engine.root / f"data/volumes/vol/_data/of-{name}").read_text() == "text\n"
    copy(engine, f"{name}:/vol/of-{name}", str(tmp_path / "back"), tls=tls)
    assert (tmp_path / "back").read_text() == "text\n"


def test_what_a_running_container_sees(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("in memory\n")
    copy(engine, str(tmp_path / "f"), "running:/tm/f")
    assert engine.docker("exec", "running", "cat", "/tm/f").stdout == "in memory\n"
    assert engine.docker("exec", "running", "ln", "-s", str(tmp_path), "/host").returncode == 0
    assert "Could not find the file" in engine.docker("cp", "running:/host/f", "-").stderr
    refused = engine.docker("cp", "running:/proc/1/root/", "-").stderr
    assert "Error response from daemon" in refused
    assert "no such directory" in engine.docker("cp", str(tmp_path / "f"), "running:/nope/").stderr


def test_a_stream_both_ways(engine: RunningEngine) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("streamed")
        member.size, member.uid = 5, 1000
        tar.addfile(member, io.BytesIO(b"hello"))
    assert engine.docker("cp", "-", "running:/tmp2/", stdin=archive.getvalue()).returncode != 0
    assert engine.docker("cp", "-", "running:/vol", stdin=archive.getvalue()).returncode == 0
    assert engine.docker("exec", "running", "stat", "-c", "%s %u", "/vol/streamed").stdout == "5 1000\n"
    command, environment = engine.cli("cp", "running:/vol/streamed", "-")
    out = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        assert tar.getnames() == ["streamed"]


def test_a_read_only_root_takes_nothing_and_its_volume_does(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text\n")
    for words in (["create"], ["run", "-d"]):
        options = ["--name", "locked", "--network", "none", "--read-only", "-v", "vol:/vol"]
        assert engine.docker(*words, *options, "busybox", "sleep", "1000").returncode == 0
        refused = engine.docker("cp", str(tmp_path / "f"), "locked:/f")
        assert "container rootfs is marked read-only" in refused.stderr
        copy(engine, str(tmp_path / "f"), "locked:/vol/g")
        assert engine.docker("rm", "-f", "locked").returncode == 0


def test_a_container_that_starts_during_a_copy_keeps_its_files(engine: RunningEngine) -> None:
    created = engine.docker("create", "--network", "none", "busybox", "sleep", "1000").stdout.strip()
    command, environment = engine.cli("cp", f"{created}:/bin", "-")
    copying = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert copying.stdout is not None
    copying.stdout.read(512)
    assert engine.docker("start", created).returncode == 0
    with copying.stdout:
        copying.stdout.read()
    assert copying.wait() == 0
    assert engine.docker("exec", "-u", "root", created, "ls", "/bin/busybox").returncode == 0
    assert engine.docker("rm", "-f", created).returncode == 0


def test_an_export_is_an_image_again(engine: RunningEngine, tmp_path: Path) -> None:
    done = engine.docker("export", "-o", str(tmp_path / "all.tar"), "running")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "all.tar") as tar:
        names = tar.getnames()
    assert "bin/busybox" in names
    assert not [name for name in names if name.startswith(("vol/", "tm/", "/"))]
    assert engine.docker("import", str(tmp_path / "all.tar"), "again").returncode == 0
    run = engine.docker("run", "--rm", "--network", "none", "again", "/bin/busybox", "echo", "works")
    assert run.stdout == "works\n", run.stderr
    assert engine.docker("rmi", "again").returncode == 0


@pytest.mark.parametrize("tls", [True, False], ids=["mtls", "unix"])
def test_much_data_with_flat_memory(engine: RunningEngine, tmp_path: Path, tls: bool) -> None:
    big = tmp_path / "big"
    block = os.urandom(1 << 20)
    with big.open("wb") as file:
        for _ in range(BIG_BYTES >> 20):
            file.write(block)
    before = {name: peak_bytes(pid) for name, pid in engine.children().items()}
    copy(engine, str(big), "running:/big", tls=tls)
    copy(engine, "running:/big", str(tmp_path / "back"), tls=tls)
    for name, pid in engine.children().items():
        assert peak_bytes(pid) - before[name] < LIMIT_BYTES, name
    assert digest(big) == digest(tmp_path / "back")
    assert engine.docker("exec", "running", "rm", "/big").returncode == 0


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_docker_py_archives(engine: RunningEngine) -> None:
    docker = pytest.importorskip("docker", reason="docker-py is not installed")

    def conversation() -> None:
        client = docker.DockerClient(base_url=f"unix://{engine.root}/docker.sock", timeout=30)
        container = client.containers.get("running")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo("py/file")
            member.size = 2
            tar.addfile(member, io.BytesIO(b"py"))
        assert container.put_archive("/vol", archive.getvalue())
        for encode in (False, True):
            chunks, found = container.get_archive("/vol/py", encode_stream=encode)
            assert (found["name"], found["linkTarget"]) == ("py", "")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
                assert tar.getnames() == ["py", "py/file"]
        with pytest.raises(docker.errors.NotFound, match="Could not find the file /nope"):
            container.get_archive("/nope")
        assert sum(len(chunk) for chunk in container.export()) > 1_000_000
        client.close()

    engine.in_its_network(conversation)
