"""The json-file log: records, partial lines, rotation, and what a successor makes of a log cut short."""

import json
from pathlib import Path

from tidegate.shim.journal import Journal
from tidegate.shim.json_log import PART_SIZE_BYTES, JSONLog, LogFile, format_block, rotate, split_blocks


def opened(tmp_path: Path, max_size_bytes: int = 0, max_files: int = 1) -> JSONLog:
    return JSONLog(LogFile(tmp_path / "log", max_size_bytes, max_files), Journal(tmp_path / "journals" / "c1"))


def append(log: JSONLog, stream: str, data: bytes) -> None:
    log.append(stream, data)
    log.settle()


def lines_of(path: Path) -> list[str]:
    return [json.loads(line)["log"] for line in path.read_text().splitlines()]


def test_an_unfinished_line_waits_for_its_end() -> None:
    assert split_blocks(b"a\nbc", final=False) == ([b"a\n"], b"bc")
    assert split_blocks(b"bc", final=True) == ([b"bc"], b"")
    assert split_blocks(b"", final=True) == ([], b"")


def test_a_long_line_is_recorded_in_parts() -> None:
    blocks, rest = split_blocks(b"x" * (PART_SIZE_BYTES + 5) + b"\n", final=False)
    assert [len(block) for block in blocks] == [PART_SIZE_BYTES, 6]
    assert rest == b""
    assert split_blocks(b"x" * (PART_SIZE_BYTES - 1) + b"\n", final=False)[0] == [b"x" * (PART_SIZE_BYTES - 1) + b"\n"]


def test_many_lines_make_few_blocks() -> None:
    data = b"line\n" * 10_000
    blocks, rest = split_blocks(data + b"li", final=False)
    assert b"".join(blocks) == data and rest == b"li"
    assert len(blocks) <= len(data) / (PART_SIZE_BYTES - 5) + 1


def test_every_line_is_a_record_whatever_it_holds() -> None:
    for block in (b'a "q" \\n\r\tb\n\n\xff\xc3\n\xe2\x82\xac\x00\n', b"marked \x7f\nnext\n", b"\x7f no end", b"no end"):
        expected = [line.decode("utf-8", "replace") for line in block.replace(b"\n", b"\n|").split(b"|") if line]
        records = [json.loads(line) for line in format_block(block, "stderr", 0).decode().split("\n")[:-1]]
        assert [record["log"] for record in records] == expected
        assert {record["stream"] for record in records} == {"stderr"}
        assert {record["time"] for record in records} == {"1970-01-01T00:00:00.000000000Z"}


def test_attributes_stand_in_every_record() -> None:
    for block in (b"one\ntwo\n", b"no end"):
        for line in format_block(block, "stdout", 0, '{"tag":"x"}').splitlines():
            assert list(json.loads(line)) == ["log", "stream", "attrs", "time"]
            assert json.loads(line)["attrs"] == {"tag": "x"}


def test_streams_are_told_apart_and_ends_recorded(tmp_path: Path) -> None:
    log = opened(tmp_path)
    append(log, "stdout", b"ou")
    append(log, "stderr", b"err\n")
    append(log, "stdout", b"t\nlast")
    log.finish("stdout")
    log.close()
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(r["stream"], r["log"]) for r in records] == [("stderr", "err\n"), ("stdout", "out\n"), ("stdout", "last")]
    assert records[0]["time"].endswith("Z") and len(records[0]["time"]) == 30


def test_rotation_keeps_the_newest_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = opened(tmp_path, 1, 3)
    for number in range(5):
        append(log, "stdout", b"%d\n" % number)
    log.close()
    assert [lines_of(path), lines_of(tmp_path / "log.1"), lines_of(tmp_path / "log.2")] == [["4\n"], ["3\n"], ["2\n"]]
    assert not (tmp_path / "log.3").exists()


def test_one_file_is_begun_anew(tmp_path: Path) -> None:
    log = opened(tmp_path, 1, 1)
    append(log, "stdout", b"1\n")
    append(log, "stdout", b"2\n")
    log.close()
    assert lines_of(tmp_path / "log") == ["2\n"]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["log"]


def test_a_rotation_cut_short_is_completed_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("new")
    (tmp_path / "log.2").write_text("older")  # log.1 had just become log.2
    rotate(path, 4)
    assert (tmp_path / "log.1").read_text() == "new"
    assert (tmp_path / "log.2").read_text() == "older"


def test_a_successor_cuts_off_what_was_not_committed_and_goes_on_with_the_unfinished_line(tmp_path: Path) -> None:
    append(opened(tmp_path), "stdout", b"one\ntw")  # killed: never closed
    with (tmp_path / "log").open("a") as file:
        file.write('{"log":"thr')
    log = opened(tmp_path)
    assert log.staged is None
    append(log, "stdout", b"o\n")
    assert lines_of(tmp_path / "log") == ["one\n", "two\n"]


def test_a_successor_is_told_that_staged_bytes_were_recorded(tmp_path: Path) -> None:
    opened(tmp_path).append("stderr", b"one\n")
    log = opened(tmp_path)
    assert log.staged == "stderr"
    log.settle()
    assert opened(tmp_path).staged is None
    assert lines_of(tmp_path / "log") == ["one\n"]


def test_a_successor_completes_a_rotation(tmp_path: Path) -> None:
    class KilledError(Exception): ...

    class KilledJournal(Journal):
        """Fails at the commit that follows ``rotating``."""

        def commit(self, state: object) -> None:
            super().commit(state)  # type: ignore[arg-type]
            if getattr(state, "rotating", False):
                self.commit = self.kill  # type: ignore[method-assign]

        def kill(self, state: object) -> None:
            raise KilledError

    path = tmp_path / "log"
    for files in (1, 3):
        for number in range(2):  # as the file is, and as it is after the renames
            append(opened(tmp_path, 1, files), "stdout", b"old\n")
            log = JSONLog(LogFile(path, 1, files), KilledJournal(tmp_path / "journals" / "c1"))
            try:
                log.append("stdout", b"new\n")
            except KilledError:
                path.write_text("torn" * number)
            log = opened(tmp_path, 1, files)
            assert path.read_text() == ""
            append(log, "stdout", b"new\n")
            assert lines_of(path) == ["new\n"]
            if files > 1:
                assert lines_of(tmp_path / "log.1") == ["old\n"]


def test_a_log_that_somebody_emptied_goes_on_from_its_start(tmp_path: Path) -> None:
    log = opened(tmp_path)
    append(log, "stdout", b"one\n")
    (tmp_path / "log").write_text("")
    append(log, "stdout", b"two\n")
    assert lines_of(tmp_path / "log") == ["two\n"]
    opened(tmp_path)
    assert lines_of(tmp_path / "log") == ["two\n"]
