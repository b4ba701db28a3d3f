"""Which directories have to be there before the mounts."""

from pathlib import Path

from tidegate.drivers.rootfs.mountpoints import plan_mountpoints


def test_of_a_file_its_parent_and_of_a_mount_within_a_mount_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mounts = [
        {"destination": "/proc", "type": "proc"},
        {"destination": "/dev", "type": "tmpfs"},
        {"destination": "/dev/shm", "type": "tmpfs"},
        {"destination": "/etc/hosts", "type": "bind", "source": str(tmp_path / "file")},
        {"destination": "/a/b/", "type": "bind", "source": str(tmp_path)},
        {"destination": "/a/b/c/d", "type": "bind", "source": str(tmp_path)},
        {"destination": "/file", "type": "bind", "source": str(tmp_path / "file")},
    ]
    assert plan_mountpoints(mounts) == {"/proc", "/dev", "/etc", "/a/b"}
