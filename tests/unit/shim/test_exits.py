"""Exit codes of this process's own children, of recorded ones, and of processes that are not there any more."""

import os
from pathlib import Path

import pytest

from tidegate.shim.exits import (
    UNKNOWN_EXIT_CODE,
    ExitRecords,
    exit_code,
    exit_of_foreign,
    read_stat,
    start_ticks,
)


def ended(code: int) -> tuple[int, int, int]:
    """(pid, start ticks, pidfd) of a zombie."""
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    pidfd = os.pidfd_open(pid)
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    return pid, start_ticks(pid), pidfd


@pytest.mark.parametrize(("status", "code"), [(0, 0), (7 << 8, 7), (9, 137), (11 | 0x80, 139)])
def test_a_wait_status_is_dockers_exit_code(status: int, code: int) -> None:
    assert exit_code(status) == code


def test_a_zombie_shows_its_parent_and_its_status() -> None:
    pid, _ticks, pidfd = ended(7)
    stat = read_stat(pid)
    assert stat is not None and stat.zombie and (stat.parent, stat.status) == (os.getpid(), 7 << 8)
    os.waitpid(pid, 0)
    os.close(pidfd)


def test_a_reaped_process_is_told_by_its_record_or_its_pidfd(tmp_path: Path) -> None:
    records = ExitRecords(tmp_path)
    pid, ticks, pidfd = ended(7)
    assert exit_of_foreign(pid, ticks, pidfd, records, None) is None
    os.waitpid(pid, 0)
    assert read_stat(pid) is None and start_ticks(pid) == 0
    assert exit_of_foreign(pid, ticks, pidfd, records, None) in (7, UNKNOWN_EXIT_CODE)  # before Linux 6.15 nobody knows
    assert exit_of_foreign(pid, ticks, pidfd, records, 8 << 8) == 8
    (tmp_path / "exits" / f"{pid}-{ticks}").write_text("9")
    assert exit_of_foreign(pid, ticks, pidfd, records, None) == 9
    os.close(pidfd)


def test_records_are_written_found_by_pid_and_forgotten(tmp_path: Path) -> None:
    records = ExitRecords(tmp_path)
    ticks = start_ticks(os.getpid())
    records.write(os.getpid(), 3)
    assert (records.read(os.getpid(), ticks), records.ticks(os.getpid())) == (3, ticks)
    assert records.read(os.getpid(), ticks + 1) is None and records.ticks(1) == 0
    records.keep_only({os.getpid()})
    assert records.read(os.getpid(), ticks) == 3
    records.keep_only(set())
    assert not list((tmp_path / "exits").iterdir())
