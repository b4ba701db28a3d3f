"""Reading json-file logs: order, tail, times, damage, following across rotation."""

import asyncio
import json
from pathlib import Path

import pytest

from tidegate.drivers import json_log_reader
from tidegate.drivers.json_log_reader import read_log
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
    monkeypatch.setattr(json_log_reader, "_TAIL_BLOCK_BYTES", 7)
    path = tmp_path / "json.log"
    path.write_text("".join(line(n) for n in range(20)))
    for tail in range(22):
        assert read(path, LogRequest(tail=tail)) == numbered(*range(20))[20 - min(tail, 20) :]


def test_since_and_until_bound_the_time(log: Path) -> None:
    request = LogRequest(since="2026-01-01T00:00:03.0Z", until="2026-01-01T00:00:05.5Z")
    assert read(log, request) == numbered(3, 4, 5)


def test_a_line_longer_than_a_read_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_log_reader, "_CHUNK_BYTES", 64)
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
