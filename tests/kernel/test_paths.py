"""Paths seen from a container's root: no symlink leads out."""

from pathlib import Path

import pytest

from tidegate.kernel.paths import directory_in_root, make_directories_in_root, open_in_root, read_in_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("of the host")
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "data").symlink_to("/etc")
    (root / "up").symlink_to("../outside")
    (root / "etc/shadow").symlink_to("../../../secret")
    (root / "etc/host").symlink_to(str(tmp_path / "secret"))
    return root


def test_absolute_symlinks_are_those_of_the_container(root: Path) -> None:
    assert directory_in_root(root, "/data") == root / "etc"
    assert read_in_root(root, "/data/passwd", 100).startswith("root:")


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/host", "/../secret", "../../secret"])
def test_nothing_of_the_host_is_read(root: Path, path: str) -> None:
    assert read_in_root(root, path, 100) == ""
    with pytest.raises(FileNotFoundError):
        open_in_root(root, path)


def test_what_is_no_directory_is_none(root: Path) -> None:
    assert directory_in_root(root, "/up") is None
    assert directory_in_root(root, "/missing") is None
    assert directory_in_root(root, "/etc/passwd") is None


def test_a_text_is_cut_at_its_limit(root: Path) -> None:
    assert read_in_root(root, "/etc/passwd", 4) == "root"


def test_directories_are_made_within_the_root_only(root: Path, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if root not in path.parents)
    for path in ("/a/b/c", "/a/b/c", "/data/new", "/../../made", "/etc/./more/"):
        make_directories_in_root(root, path)
    for made in ("a", "a/b", "a/b/c", "etc/new", "made", "etc/more"):
        assert (root / made).stat().st_mode & 0o7777 == 0o755
    for path in ("/up/dangling", "/etc/passwd/below"):
        with pytest.raises(OSError):
            make_directories_in_root(root, path)
    assert sorted(path for path in tmp_path.rglob("*") if root not in path.parents) == before
