"""``--mount`` in all its forms, through the docker CLI."""

import io
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running
        assert staged(running) == []


def staged(engine: RunningEngine) -> list[str]:
    """What is left staged, as the engine's mount namespace has it."""
    told = Path(f"/proc/{engine.children()['engine']}/mountinfo").read_text()
    return [line for line in told.splitlines() if f"{engine.root}/exec/mounts" in line]


def run(engine: RunningEngine, mounts: list[str], script: str) -> str:
    options = [word for mount in mounts for word in ("--mount", mount)]
    result = engine.docker("run", "--rm", "--network", "none", *options, "busybox", "sh", "-c", script)
    return result.stdout + result.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A shared tmpfs with another one mounted in it."""
    outer = tmp_path / "outer"
    outer.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "outer", outer], check=True)
    subprocess.run(["mount", "--make-shared", outer], check=True)
    (outer / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "inner", outer / "below"], check=True)
    (outer / "below/file").touch()
    try:
        yield outer
    finally:
        subprocess.run(["umount", "-R", outer], check=True)


def test_how_deep_a_bind_reaches_and_how_deep_it_is_read_only(engine: RunningEngine, tree: Path) -> None:
    bind = f"type=bind,source={tree},target=/t"
    writes = "ls /t/below; touch /t/x && echo top; touch /t/below/x && echo below"
    assert run(engine, [bind], writes) == "file\ntop\nbelow\n"
    assert run(engine, [f"{bind},bind-recursive=disabled"], writes) == "top\nbelow\n"
    for recursive in ("", ",bind-recursive=readonly,bind-propagation=rprivate"):
        told = run(engine, [f"{bind},readonly{recursive}"], writes)
        assert "top" not in told and "below\n" not in told and told.count("Read-only file system") == 2
    told = run(engine, [f"{bind},readonly,bind-recursive=writable"], writes)
    assert "below\n" in told and "top" not in told


def test_mounts_travel_as_far_as_the_propagation_says(engine: RunningEngine, tree: Path) -> None:
    (tree / "new").mkdir()
    script = "mount -t tmpfs made /t/new && exec sleep 60"
    for mode, shows in (("rshared", True), ("rslave", False), ("rprivate", False)):
        bind = ["--mount", f"type=bind,source={tree},target=/t,bind-propagation={mode}"]
        name = ["--name", mode, "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"]
        started = engine.docker("run", "-d", "--network", "none", *name, *bind, "busybox", "sh", "-c", script)
        assert started.returncode == 0, started.stderr
        waiting = "until grep -q 'made /t/new' /proc/mounts; do sleep 0.05; done"
        assert engine.docker("exec", mode, "sh", "-c", waiting).returncode == 0
        assert (tree / "new").is_mount() is shows
        if shows:
            subprocess.run(["umount", tree / "new"], check=True)
        if mode == "rslave":
            (tree / "late").mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "late", tree / "late"], check=True)
            assert "late /t/late" in engine.docker("exec", mode, "cat", "/proc/mounts").stdout
            subprocess.run(["umount", tree / "late"], check=True)
        assert engine.docker("rm", "-f", mode).returncode == 0
    private = tree.parent / "private"
    private.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "private", private], check=True)
    try:
        told = run(engine, [f"type=bind,source={private},target=/t,bind-propagation=rshared"], "true")
        assert f"path {private} is mounted on {private} but it is not a shared mount" in told
    finally:
        subprocess.run(["umount", private], check=True)


def test_a_part_of_a_volume(engine: RunningEngine) -> None:
    script = "mkdir -p /v/a/b; echo deep > /v/a/b/file; ln -s / /v/root"
    assert run(engine, ["type=volume,source=parts,target=/v"], script) == ""
    part = "type=volume,source=parts,target=/p,volume-subpath="
    assert run(engine, [f"{part}a/b"], "cat /p/file; touch /p/new; ls /p") == "deep\nfile\nnew\n"
    assert run(engine, [f"{part}a/b/file,readonly"], "cat /p; echo x > /p").startswith("deep\n")
    told = run(engine, [f"{part}nope"], "true")
    assert f"cannot access path {engine.root}/data/volumes/parts/_data/nope: no such file or directory" in told
    assert "path concatenation escapes the base directory" in run(engine, [f"{part}root/etc"], "true")
    assert "subpath must be a relative path within the volume" in run(engine, [f"{part}../x"], "true")
    made = engine.docker("create", "--name", "resting", "--mount", f"{part}a/b", "busybox", "true")
    assert made.returncode == 0, made.stderr
    assert "deep" in engine.docker("cp", "resting:/p/file", "-").stdout
    heir = engine.docker("run", "--rm", "--network", "none", "--volumes-from", "resting", "busybox", "cat", "/p/file")
    assert heir.stdout == "deep\n"
    assert engine.docker("rm", "resting").returncode == 0


def test_an_image_is_mounted_read_only_and_kept(engine: RunningEngine) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tool = tarfile.TarInfo("opt/tool")
        tool.size = 5
        tar.addfile(tool, io.BytesIO(b"tool\n"))
    imported = engine.docker("import", "-", "tools", stdin=archive.getvalue())
    assert imported.returncode == 0, imported.stderr
    whole, part = "type=image,source=tools,target=/i", "type=image,source=tools,target=/j,image-subpath=opt"
    options = ["--network", "none", "--name", "viewer", "--mount", whole, "--mount", part]
    started = engine.docker("run", "-d", *options, "busybox", "sh", "-c", "ls /i /j; touch /i/x; exec sleep 60")
    assert started.returncode == 0, started.stderr
    shown = json.loads(engine.docker("inspect", "-f", "{{json .Mounts}}", "viewer").stdout)
    assert [(each["Type"], each["Name"], each["RW"]) for each in shown] == [("image", "tools", False)] * 2
    logs = engine.docker("logs", "viewer")
    assert logs.stdout == "/i:\nopt\n\n/j:\ntool\n" and "Read-only file system" in logs.stderr
    assert "image is being used by running container" in engine.docker("rmi", "-f", "tools").stderr
    os.kill(engine.children()["engine"], signal.SIGKILL)
    engine.process.wait(30)
    engine.start()
    assert engine.docker("exec", "viewer", "cat", "/j/tool").stdout == "tool\n"
    assert engine.docker("rm", "-f", "viewer").returncode == 0
    assert engine.docker("rmi", "tools").returncode == 0
    assert "No such image: tools" in run(engine, [whole], "true")
    assert engine.docker("ps", "-aq").stdout == ""


def test_tmpfs_with_options(engine: RunningEngine) -> None:
    tmpfs = "type=tmpfs,target=/t,tmpfs-size=65536,tmpfs-mode=1770"
    script = "stat -c %a /t; grep ' /t ' /proc/mounts; head -c 100000 /dev/zero > /t/x"
    told = run(engine, [tmpfs], script)
    assert told.startswith("1770\n") and "size=64k" in told
    assert "nosuid,nodev,noexec" in told


def test_volumes_with_driver_options(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the host\n")
    options = ["--opt", "type=none", "--opt", "o=bind", "--opt", f"device={tmp_path}"]
    assert engine.docker("volume", "create", "--label", "a=b", *options, "host").stdout == "host\n"
    shown = json.loads(engine.docker("volume", "inspect", "host").stdout)[0]
    assert shown["Options"] == {"type": "none", "o": "bind", "device": str(tmp_path)}
    tmpfs = "type=volume,source=fast,target=/f,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=64k"
    command = ["sh", "-c", "cat /h/file; grep ' /f ' /proc/mounts; exec sleep 60"]
    run_it = ["run", "-d", "--network", "none", "-v", "host:/h", "--mount", tmpfs, "busybox", *command]
    containers = [engine.docker(*run_it).stdout.strip() for _ in range(2)]
    logs = engine.docker("logs", containers[0]).stdout
    assert logs.startswith("of the host\ntmpfs /f tmpfs rw") and "size=64k" in logs
    assert engine.docker("exec", containers[0], "touch", "/f/shared").returncode == 0
    assert engine.docker("exec", containers[1], "ls", "/f").stdout == "shared\n"
    os.kill(engine.children()["engine"], signal.SIGKILL)
    engine.process.wait(30)
    engine.start()
    assert engine.docker("rm", "-f", containers[0]).returncode == 0
    assert len(mounted_volumes(engine)) == 2
    assert "volume is in use" in engine.docker("volume", "rm", "host").stderr
    assert engine.docker("rm", "-f", containers[1]).returncode == 0
    assert mounted_volumes(engine) == []
    created = engine.docker("create", "--name", "resting", "-v", "host:/h", "busybox", "true")
    assert created.returncode == 0, created.stderr
    assert "of the host" in engine.docker("cp", "resting:/h/file", "-").stdout
    assert engine.docker("rm", "resting").returncode == 0
    for name in ("host", "fast"):
        assert engine.docker("volume", "rm", name).returncode == 0
    assert (tmp_path / "file").read_text() == "of the host\n"
    assert mounted_volumes(engine) == []
    missing = ["--opt", "type=none", "--opt", "o=bind", "--opt", "device=/no/such/place", "broken"]
    assert engine.docker("volume", "create", *missing).returncode == 0
    told = run(engine, ["type=volume,source=broken,target=/b"], "true")
    assert "failed to mount local volume: mount /no/such/place" in told
    assert "invalid option" in engine.docker("volume", "create", "--opt", "colour=red").stderr


def test_volumes_are_listed_by_filters(engine: RunningEngine) -> None:
    for name in ("list-a", "list-b"):
        assert engine.docker("volume", "create", "--label", f"of={name}", name).returncode == 0
    assert engine.docker("create", "--name", "user", "-v", "list-a:/a", "busybox", "true").returncode == 0

    def listed(*filters: str) -> list[str]:
        words = [word for each in ("name=^list-", *filters) for word in ("--filter", each)]
        return engine.docker("volume", "ls", "-q", *words).stdout.split()

    assert listed() == ["list-a", "list-b"]
    assert listed("dangling=true") == ["list-b"] and listed("dangling=false") == ["list-a"]
    assert listed("label=of=list-b") == ["list-b"] and listed("driver=local") == ["list-a", "list-b"]
    assert listed("driver=nfs") == []
    assert "invalid filter" in engine.docker("volume", "ls", "--filter", "colour=red").stderr
    assert engine.docker("rm", "user").returncode == 0


def mounted_volumes(engine: RunningEngine) -> list[str]:
    told = Path(f"/proc/{engine.children()['engine']}/mountinfo").read_text()
    return [line for line in told.splitlines() if f"{engine.root}/data/volumes" in line]
