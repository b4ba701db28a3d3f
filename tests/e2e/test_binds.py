"""Directories and files of the host in containers, with the stock docker CLI."""

import io
import os
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


def run(engine: RunningEngine, options: list[str], script: str) -> str:
    result = engine.docker("run", "--rm", "--network", "none", *options, "busybox", "sh", "-c", script)
    return result.stdout + result.stderr


def test_a_missing_source_and_its_parents_are_made_by_v_and_refused_by_mount(
    engine: RunningEngine, tmp_path: Path
) -> None:
    missing = tmp_path / "not/there/yet"
    assert (
        run(engine, ["-v", f"{missing}:/a/b/c"], "echo text > /a/b/c/file; stat -c '%a %u' /a /a/b") == "755 0\n755 0\n"
    )
    assert (missing / "file").read_text() == "text\n"
    for directory in (missing, missing.parent, missing.parent.parent):
        assert (directory.stat().st_mode & 0o777, directory.stat().st_uid) == (0o755, 0)
    absent = tmp_path / "absent"
    told = run(engine, ["--mount", f"type=bind,source={absent},target=/a"], "true")
    assert f'invalid mount config for type "bind": bind source path does not exist: {absent}' in told
    assert not absent.exists()
    assert engine.docker("ps", "-aq").stdout == ""


def test_mounts_within_mounts_in_whatever_order_they_are_named(engine: RunningEngine, tmp_path: Path) -> None:
    for name in ("outer", "inner"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    (tmp_path / "outer/in").mkdir()
    inner, outer = ["-v", f"{tmp_path}/inner:/x/in"], ["-v", f"{tmp_path}/outer:/x"]
    for options in (inner + outer, outer + inner, [*inner, "--mount", f"type=bind,source={tmp_path}/outer,target=/x"]):
        assert run(engine, options, "ls /x /x/in") == "/x:\nin\nouter\n\n/x/in:\ninner\n"


def test_files_links_and_read_only_ones(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("one\n")
    (tmp_path / "link").symlink_to("real")
    one_file = ["-v", f"{tmp_path}/link/file:/etc/conf.d/file:ro"]
    told = run(engine, one_file, "cat /etc/conf.d/file; echo two > /etc/conf.d/file")
    assert told.startswith("one\n")
    assert "Read-only file system" in told
    assert run(engine, ["-v", f"{tmp_path}/link:/data"], "cat /data/file; echo two > /data/file") == "one\n"
    assert (tmp_path / "real/file").read_text() == "two\n"
    template = "{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.RW}}\n{{end}}"
    created = engine.docker("create", *one_file, "-v", "kept:/kept:ro", "busybox", "true").stdout.strip()
    volume = f"volume {engine.root}/data/volumes/kept/_data /kept false"
    shown = engine.docker("inspect", "-f", template, created).stdout.split("\n")
    assert sorted(shown) == ["", "", f"bind {tmp_path}/link/file /etc/conf.d/file false", volume]
    assert engine.docker("rm", created).returncode == 0


def test_a_target_that_is_a_link_of_the_image_stays_within_it(engine: RunningEngine, tmp_path: Path) -> None:
    before = sorted(os.listdir("/"))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add("/bin/busybox", "bin/sh")
        for name, target in (("link", "/etc/real"), ("escape", "../../../../outside")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
        for name in ("etc/real", "outside"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
    assert engine.docker("import", "-", "linked", stdin=archive.getvalue()).returncode == 0
    (tmp_path / "file").touch()
    options = ["-v", f"{tmp_path}:/link/x", "-v", f"{tmp_path}:/escape/y"]
    result = engine.docker(
        "run", "--rm", *options, "linked", "sh", "-c", "cd /etc/real/x; echo *; cd /outside/y; echo *"
    )
    assert result.stdout == "file\nfile\n", result.stderr
    assert sorted(os.listdir("/")) == before
    assert engine.docker("rmi", "linked").returncode == 0
