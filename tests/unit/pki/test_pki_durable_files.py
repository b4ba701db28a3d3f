"""Writing a file whole or not at all; one writer at a time."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tidegate.pki.authority import Authority
from tidegate.pki.durable_files import remove_leftovers, write_durably, write_together
from tidegate.pki.inventory import list_entries


def test_failed_write_leaves_nothing_and_keeps_the_old(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OSError, match="directory"):
        write_durably(target, b"new", 0o600)
    assert [p.name for p in tmp_path.rglob("*")] == ["target", "old"]


def test_symlink_is_replaced_not_followed(tmp_path: Path) -> None:
    outside, link = tmp_path / "outside", tmp_path / "link"
    outside.write_bytes(b"precious")
    link.symlink_to(outside)
    write_durably(link, b"new", 0o600)
    assert (outside.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"precious", b"new", False)


def test_leftovers_are_told_from_other_files(tmp_path: Path) -> None:
    for name in (".key.pem.0a1b.tmp", "key.pem", ".lock", "x.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"key.pem", ".lock", "x.tmp"}


def test_many_writers_at_once_agree(tmp_path: Path) -> None:
    def run(_: int) -> bytes:
        authority = Authority(tmp_path, own_names=lambda: ("localhost",))
        authority.ensure_all()
        material = authority.client_material("admin")
        return material.ca + material.certificate + material.key

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(run, range(16)))) == 1


def test_killed_process_frees_the_lock_and_the_next_completes(tmp_path: Path) -> None:
    def die_at_the_certificate(path: Path, content: bytes, mode: int) -> None:
        if path.name == "cert.pem":
            os.kill(os.getpid(), signal.SIGKILL)
        write_durably(path, content, mode)

    child = os.fork()
    if child == 0:
        try:
            Authority(tmp_path, own_names=lambda: ("localhost",), write=die_at_the_certificate).ensure_all()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    authority = Authority(tmp_path, own_names=lambda: ("localhost",))
    authority.ensure_all()
    assert [entry.state for entry in list_entries(authority)] == ["valid"] * 3


def test_files_that_belong_together_are_written_before_the_first_is_renamed(tmp_path: Path) -> None:
    write_together(tmp_path, {"key.pem": (b"key", 0o600), "cert.pem": (b"cert", 0o644)})
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("key.pem", "cert.pem")] == [0o600, 0o644]
    too_long = "x" * 300
    with pytest.raises(OSError, match="name too long"):
        write_together(tmp_path, {"key.pem": (b"key2", 0o600), too_long: (b"cert2", 0o644)})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"key.pem": b"key", "cert.pem": b"cert"}
