"""What programs say of their version, and which filesystem a path is on."""

from pathlib import Path

import pytest

from tidegate.drivers.installation import parse_program, read_program
from tidegate.kernel.host import Program
from tidegate.kernel.mounts import filesystem_of


@pytest.mark.parametrize(
    ("said", "version", "commit"),
    [
        ("crun version 1.8.1\ncommit: f8a096be060b\nrundir: /run/crun\nspec: 1.0.0\n", "1.8.1", "f8a096be060b"),
        ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1\nspec: 1.0.2-dev\n", "1.1.5+ds1", "1.1.5+ds1-1"),
        ("tini version 0.19.0 - git.de40ad0\n", "0.19.0", "de40ad0"),
        ("tini version 0.19.0\n", "0.19.0", ""),
        ("usage: what?\n", "", ""),
    ],
)
def test_versions_are_read_as_each_program_writes_them(said: str, version: str, commit: str) -> None:
    assert parse_program("x", "/x", said) == Program("x", "/x", version, commit)


def test_a_program_that_cannot_be_run_is_known_by_its_path_only() -> None:
    assert read_program("x", Path("/nonexistent")) == Program("x", "/nonexistent")


def test_the_filesystem_of_a_path_is_that_of_the_mount_it_is_on() -> None:
    mountinfo = """22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /var/lib rw - btrfs /dev/sdb rw
31 30 0:26 / /var/lib/docker\\040data rw master:2 - xfs /dev/sdc rw
"""
    assert filesystem_of("/srv", mountinfo) == "ext4"
    assert filesystem_of("/var/library", mountinfo) == "ext4"
    assert filesystem_of("/var/lib/x", mountinfo) == "btrfs"
    assert filesystem_of("/var/lib/docker data/overlay", mountinfo) == "xfs"
    assert filesystem_of("/srv", "") == ""
