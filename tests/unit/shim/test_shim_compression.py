"""Compression of rotated files: what it leaves, beside a rotation, another compression, and a damaged past."""

import fcntl
import gzip
import os
from pathlib import Path

import pytest

from tidegate.shim import compression
from tidegate.shim.compression import PlaceLock, compress_rotated
from tidegate.shim.journal import Journal
from tidegate.shim.json_log import JSONLog, LogFile, rotate


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text("newest\n")
    for number in (1, 2):
        (tmp_path / f"log.{number}").write_text(f"rotated {number}\n")
    return path


def test_rotated_files_are_compressed_under_their_names(log: Path) -> None:
    written_ns = log.with_name("log.2").stat().st_mtime_ns
    compress_rotated(log)
    compress_rotated(log)
    assert sorted(path.name for path in log.parent.iterdir()) == ["log", "log.1", "log.2"]
    assert log.read_text() == "newest\n"
    assert [gzip.decompress(log.with_name(f"log.{n}").read_bytes()) for n in (1, 2)] == [b"rotated 1\n", b"rotated 2\n"]
    assert log.with_name("log.2").stat().st_mtime_ns == written_ns


def test_a_file_that_is_rotated_meanwhile_is_found_under_its_new_name(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.with_name("log.2").unlink()
    write, rotations = compression._write_gzip, [log]

    def rotating(plain: int, fd: int) -> None:
        write(plain, fd)
        if rotations:
            rotate(rotations.pop(), 5)

    monkeypatch.setattr(compression, "_write_gzip", rotating)
    compress_rotated(log)
    assert gzip.decompress(log.with_name("log.2").read_bytes()) == b"rotated 1\n"
    assert gzip.decompress(log.with_name("log.1").read_bytes()) == b"newest\n"


def test_a_file_that_is_rotated_away_meanwhile_leaves_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = compression._write_gzip

    def dropping(plain: int, fd: int) -> None:
        write(plain, fd)
        for number in (1, 2):
            log.with_name(f"log.{number}").unlink(missing_ok=True)

    monkeypatch.setattr(compression, "_write_gzip", dropping)
    compress_rotated(log)
    assert [path.name for path in log.parent.iterdir()] == ["log"]


def test_two_at_once_leave_it_to_the_first(log: Path) -> None:
    other = os.open(log.with_name(".log.gz"), os.O_WRONLY | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    compress_rotated(log)
    assert log.with_name("log.1").read_text() == "rotated 1\n"
    os.close(other)
    compress_rotated(log)
    assert gzip.decompress(log.with_name("log.1").read_bytes()) == b"rotated 1\n"


def test_a_rotation_waits_for_no_compression_and_tells_of_itself(tmp_path: Path) -> None:
    told: list[Path] = []
    path = tmp_path / "log"
    log = JSONLog(LogFile(path, 1, 3, compress=True), Journal(tmp_path / "journals" / "c1"), told.append)

    def append(data: bytes) -> None:
        log.append("stdout", data)
        log.settle()

    append(b"one\n")
    with PlaceLock(path, wait=True):
        append(b"two\n")
    assert not told and not path.with_name("log.1").exists()
    append(b"three\n")
    assert told == [path] and path.with_name("log.1").read_text().count("\n") == 2
    assert "three" in path.read_text()
