"""A log as a queue: what is read, committed, dropped and found again, across rotation and compression."""

import gzip
import os
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.drivers.logs.remote_logs import append, lines

from tidegate.drivers.logs.forwarding.spool import Spool
from tidegate.shim.json_log import rotate


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "c1.log"


def spool(log: Path) -> Spool:
    return Spool(log, log.with_name("position"))


def taken(queue: Spool, limit_bytes: int = 1 << 20) -> str:
    got = ""
    while (chunk := queue.read(limit_bytes)) is not None:
        got += chunk.lines.decode()
        queue.commit(chunk)
    return got


def compress(path: Path) -> None:
    packed = path.with_name("packed")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    packed.replace(path)


def test_a_log_that_is_not_written_yet_is_empty(log: Path) -> None:
    with closing(spool(log)) as queue:
        assert queue.read(1) is None
        append(log, 1)
        assert taken(queue) == lines(1)


def test_what_is_not_committed_is_read_again(log: Path) -> None:
    append(log, 1, 2)
    with closing(spool(log)) as queue:
        first = queue.read(1)
        assert first is not None and first.lines.decode() == lines(1)
        assert queue.read(1) == first
    with closing(spool(log)) as queue:
        assert queue.read(1) == first
        queue.commit(first)
    with closing(spool(log)) as queue:
        assert taken(queue) == lines(2) and queue.position.gaps == 0


def test_an_unfinished_line_waits_for_its_end(log: Path) -> None:
    append(log, 1)
    with log.open("a") as file:
        file.write(lines(2)[:-5])
    with closing(spool(log)) as queue:
        assert taken(queue) == lines(1)
        with log.open("a") as file:
            file.write(lines(2)[-5:])
        assert taken(queue) == lines(2)


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("reopens", [False, True])
def test_the_place_is_found_again_in_rotated_files(log: Path, packs: bool, reopens: bool) -> None:
    append(log, 1, 2)
    queue = spool(log)
    chunk = queue.read(1)
    assert chunk is not None
    queue.commit(chunk)
    if reopens:
        queue.close()
    for number in (3, 4):
        rotate(log, 5)
        if packs:
            compress(log.with_name("c1.log.1"))
        append(log, number)
    with closing(spool(log) if reopens else queue) as queue:
        assert taken(queue) == lines(2, 3, 4) and queue.position.gaps == 0


def test_what_is_written_just_before_a_rotation_is_read(log: Path) -> None:
    append(log, 1)
    with closing(spool(log)) as queue:
        assert taken(queue) == lines(1)
        append(log, 2)
        rotate(log, 5)
        append(log, 3)
        assert taken(queue) == lines(2, 3)


def test_a_place_that_was_rotated_away_is_a_gap(log: Path) -> None:
    append(log, 1)
    with closing(spool(log)) as queue:
        taken(queue)
    for number in (2, 3):
        rotate(log, 2)
        append(log, number)
    with closing(spool(log)) as queue:
        assert taken(queue) == lines(2, 3) and queue.position.gaps == 1


def test_what_exceeds_the_limit_is_dropped_oldest_first_and_counted(log: Path) -> None:
    append(log, *range(10, 20))
    rotate(log, 5)
    append(log, *range(20, 30))
    line_bytes = len(lines(10))
    with closing(spool(log)) as queue:
        assert queue.drop_beyond(20 * line_bytes) == 0
        assert queue.drop_beyond(3 * line_bytes + 1) == 17
        assert taken(queue) == lines(27, 28, 29)
    with closing(spool(log)) as queue:
        assert (queue.position.dropped, queue.read(1)) == (17, None)


def test_a_damaged_position_begins_anew(log: Path) -> None:
    append(log, 1)
    log.with_name("position").write_bytes(os.urandom(40))
    with closing(spool(log)) as queue:
        assert taken(queue) == lines(1)
