"""What is put away is out of sight at once, and deleted later, by whoever comes next."""

import threading
from pathlib import Path

import pytest

from tidegate.drivers.rootfs.trash import Trash


def test_what_is_put_away_leaves_its_place_and_is_deleted_later(tmp_path: Path) -> None:
    trash = Trash(tmp_path / ".trash")
    (tmp_path / "a/b").mkdir(parents=True)
    trash.put(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert (tmp_path / ".trash/a/b").is_dir()
    trash.put(tmp_path / "a")
    Trash(tmp_path / ".trash").empty()
    assert list((tmp_path / ".trash").iterdir()) == []


def test_an_empty_trash_needs_no_directory(tmp_path: Path) -> None:
    Trash(tmp_path / ".trash").empty()
    assert not (tmp_path / ".trash").exists()


def test_what_cannot_be_deleted_is_told_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trash = Trash(tmp_path)
    (tmp_path / "file").write_text("no directory: rmtree refuses it")
    trash.empty()
    assert "cannot delete" in caplog.text
    assert (tmp_path / "file").exists()


def test_a_thread_deletes_what_comes(tmp_path: Path) -> None:
    emptied = threading.Semaphore(0)

    class Noting(Trash):
        def empty(self) -> None:
            super().empty()
            emptied.release()

    trash = Noting(tmp_path / ".trash")
    trash.start()
    assert emptied.acquire(timeout=10)
    (tmp_path / "a").mkdir()
    trash.put(tmp_path / "a")
    assert emptied.acquire(timeout=10)
    assert list((tmp_path / ".trash").iterdir()) == []
