"""The json-file log: records, partial lines, rotation."""

import json
from pathlib import Path

from tidegate.shim.json_log import PART_SIZE_BYTES, JSONLog, rotate, split_records


def lines_of(path: Path) -> list[str]:
    return [json.loads(line)["log"] for line in path.read_text().splitlines()]


def test_an_unfinished_line_waits_for_its_end() -> None:
    assert split_records(b"a\nbc", final=False) == ([b"a\n"], b"bc")
    assert split_records(b"bc", final=True) == ([b"bc"], b"")


def test_a_long_line_is_recorded_in_parts() -> None:
    records, rest = split_records(b"x" * (PART_SIZE_BYTES + 5) + b"\n", final=False)
    assert [len(record) for record in records] == [PART_SIZE_BYTES, 6]
    assert rest == b""


def test_streams_are_told_apart_and_ends_recorded(tmp_path: Path) -> None:
    log = JSONLog(tmp_path / "log", 0, 1)
    log.append("stdout", b"ou")
    log.append("stderr", b"err\n")
    log.append("stdout", b"t\nlast")
    log.finish("stdout")
    log.close()
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(r["stream"], r["log"]) for r in records] == [("stderr", "err\n"), ("stdout", "out\n"), ("stdout", "last")]
    assert records[0]["time"].endswith("Z") and len(records[0]["time"]) == 30


def test_rotation_keeps_the_newest_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = JSONLog(path, 1, 3)
    for number in range(5):
        log.append("stdout", b"%d\n" % number)
    log.close()
    assert [lines_of(path), lines_of(tmp_path / "log.1"), lines_of(tmp_path / "log.2")] == [["4\n"], ["3\n"], ["2\n"]]
    assert not (tmp_path / "log.3").exists()


def test_a_rotation_cut_short_is_completed_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("new")
    (tmp_path / "log.2").write_text("older")  # log.1 had just become log.2
    rotate(path, 4)
    assert (tmp_path / "log.1").read_text() == "new"
    assert (tmp_path / "log.2").read_text() == "older"
