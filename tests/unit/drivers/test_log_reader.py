"""Reading json-file logs: order, tail, times, damage, following across rotation."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from tidegate.drivers.logs import reader
from tidegate.drivers.logs.files import LogFile
from tidegate.drivers.logs.reader import read_log
from tidegate.engine.ports import LogRecord, LogRequest


def line(number: int, stream: str = "stdout", text: str = "") -> str:
    record = {"log": text or f"line {number}\n", "stream": stream, "time": f"2026-01-01T00:00:{number:02}.5Z"}
    return json.dumps(record) + "\n"


def plain(record: LogRecord) -> bytes:
    return record.log.encode()


def read(path: Path, request: LogRequest) -> list[str]:
    async def main() -> bytes:
        finished = asyncio.Event()
        finished.set()
        return b"".join([batch async for batch in read_log(path, request, plain, finished)])

    return asyncio.run(main()).decode().splitlines()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "json.log"
    (tmp_path / "json.log.2").write_text("".join(line(n) for n in range(3)))
    (tmp_path / "json.log.1").write_text("".join(line(n) for n in range(3, 6)))
    path.write_text("".join(line(n, "stderr" if n % 2 else "stdout") for n in range(6, 10)))
    return path


def numbered(*numbers: int) -> list[str]:
    return [f"line {number}" for number in numbers]


def test_rotated_files_are_read_oldest_first(log: Path) -> None:
    assert read(log, LogRequest()) == numbered(*range(10))


@pytest.mark.parametrize("tail", [0, 1, 3, 4, 5, 9, 10, 99])
def test_tail_counts_across_files(log: Path, tail: int) -> None:
    assert read(log, LogRequest(tail=tail)) == numbered(*range(10))[10 - min(tail, 10) :]


def test_tail_counts_only_lines_that_are_wanted(log: Path) -> None:
    assert read(log, LogRequest(tail=3, stderr=False)) == numbered(5, 6, 8)
    assert read(log, LogRequest(tail=3, stdout=False)) == numbered(7, 9)


def test_tail_finds_its_place_in_a_file_of_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_TAIL_BLOCK_BYTES", 7)
    path = tmp_path / "json.log"
    path.write_text("".join(line(n) for n in range(20)))
    for tail in range(22):
        assert read(path, LogRequest(tail=tail)) == numbered(*range(20))[20 - min(tail, 20) :]


def test_since_and_until_bound_the_time(log: Path) -> None:
    request = LogRequest(since="2026-01-01T00:00:03.0Z", until="2026-01-01T00:00:05.5Z")
    assert read(log, request) == numbered(3, 4, 5)


def test_a_line_longer_than_a_read_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 64)
    path = tmp_path / "json.log"
    path.write_text(line(1, text="x" * 1000) + line(2))
    assert read(path, LogRequest()) == ["x" * 1000 + "line 2"]


def test_damaged_and_unfinished_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "json.log"
    path.write_text(line(1) + '{"log": "torn\n' + line(2) + '{"log":"unfini')
    assert read(path, LogRequest()) == numbered(1, 2)
    assert read(path, LogRequest(tail=1)) == numbered(2)


def test_a_log_never_written_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "none", LogRequest(tail=5)) == []


def test_following_goes_on_across_a_rotation_and_ends_with_the_container(tmp_path: Path) -> None:
    path = tmp_path / "json.log"
    path.write_text(line(1))

    async def main() -> bytes:
        finished = asyncio.Event()
        lines = read_log(path, LogRequest(follow=True), plain, finished)
        got = await anext(lines)
        with path.open("a") as file:
            file.write(line(2))
        path.rename(tmp_path / "json.log.1")
        path.write_text(line(3))
        async with asyncio.timeout(10):
            while b"line 3" not in got:
                got += await anext(lines)
            with path.open("a") as file:
                file.write(line(4))
            finished.set()
            async for batch in lines:
                got += batch
        return got

    assert asyncio.run(main()).decode().splitlines() == numbered(1, 2, 3, 4)


def compressed(path: Path) -> None:
    """In its place, as another file, as the shim does it."""
    packed = path.with_name("packed")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    packed.replace(path)


@pytest.mark.parametrize("tail", [None, 0, 1, 5, 9, 99])
def test_compressed_files_are_read_as_plain_ones(log: Path, tail: int | None) -> None:
    compressed(log.with_name("json.log.2"))
    compressed(log.with_name("json.log.1"))
    assert read(log, LogRequest(tail=tail)) == numbered(*range(10))[10 - min(10 if tail is None else tail, 10) :]


def test_what_a_damaged_compressed_file_holds_is_read(tmp_path: Path) -> None:
    path = tmp_path / "json.log"
    path.write_text(line(9))
    old = tmp_path / "json.log.1"
    old.write_text("".join(line(n) for n in range(5)))
    compressed(old)
    old.write_bytes(old.read_bytes()[:-12] + b"damaged!")
    assert read(path, LogRequest())[-1] == "line 9"


def test_a_follower_goes_on_when_its_file_is_rotated_and_compressed(tmp_path: Path) -> None:
    path = tmp_path / "json.log"
    path.write_text(line(1))

    async def main() -> bytes:
        finished = asyncio.Event()
        lines = read_log(path, LogRequest(follow=True), plain, finished)
        got = await anext(lines)
        for number in (2, 3):
            for older in (2, 1):
                if (rotated := tmp_path / f"json.log.{older}").exists():
                    rotated.rename(tmp_path / f"json.log.{older + 1}")
            path.rename(tmp_path / "json.log.1")
            compressed(tmp_path / "json.log.1")
            path.write_text(line(number))
        finished.set()
        async for batch in lines:
            got += batch
        return got

    assert asyncio.run(main()).decode().splitlines() == numbered(1, 2, 3)


def test_a_follower_reads_on_what_was_written_just_before_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "json.log"
    path.write_text(line(1))
    look, finished = reader.open_newer, asyncio.Event()

    def rotating(newest: Path, last: LogFile | None) -> list[LogFile]:
        if not finished.is_set():
            with path.open("a") as file:
                file.write(line(2))
            path.rename(tmp_path / "json.log.1")
            path.write_text(line(3))
            finished.set()
        return look(newest, last)

    monkeypatch.setattr(reader, "open_newer", rotating)

    async def main() -> bytes:
        return b"".join([batch async for batch in read_log(path, LogRequest(follow=True), plain, finished)])

    assert asyncio.run(main()).decode().splitlines() == numbered(1, 2, 3)
