"""Devices and their limits, read back in the container and where the kernel keeps them."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.control_groups import HAS_CONTROLLERS, UNIFIED, group
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"),
    pytest.mark.skipif(shutil.which("docker") is None, reason="no docker CLI on this machine"),
    pytest.mark.skipif(not HAS_CONTROLLERS, reason="no cgroup controllers on this machine"),
]

WITH_DEVICES = [each for each in Path("/sys/block").iterdir() if (each / "device").exists()]
DISKS = [f"/dev/{each.name}" for each in WITH_DEVICES if (each / "removable").read_text() == "0\n"]
DISKS = [path for path in DISKS if Path(path).exists()]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def run(engine: RunningEngine, options: list[str], script: str) -> tuple[int, str, str]:
    done = engine.docker("run", "--rm", "--network", "none", *options, "busybox", "sh", "-c", script)
    return done.returncode, done.stdout, done.stderr


def test_a_device_is_there_with_the_access_asked_for(engine: RunningEngine) -> None:
    """Opened for writing, which needs no capability, and nothing is written."""
    script = "ls -l /dev/msg | cut -c1; : 3> /dev/msg && echo opened"
    assert run(engine, ["--device", "/dev/kmsg:/dev/msg:w"], script)[1].split() == ["c", "opened"]
    code, out, error = run(engine, ["--device", "/dev/kmsg:/dev/msg:r"], script)
    assert out.split() == ["c"] and "/dev/msg: Operation not permitted" in error and code != 0
    assert run(engine, [], "ls /dev/kmsg")[0] != 0


def test_a_missing_device_is_named(engine: RunningEngine) -> None:
    _, _, error = run(engine, ["--device", "/dev/nope"], "true")
    assert 'error gathering device information while adding custom device "/dev/nope": no such file' in error


def test_a_cgroup_rule_admits_a_node_that_the_container_makes(engine: RunningEngine) -> None:
    script = "mknod /msg c 1 11 && : 3> /msg && echo opened"
    assert run(engine, ["--device-cgroup-rule", "c 1:11 wm"], script)[1] == "opened\n"
    assert run(engine, [], script)[1] == ""


def test_a_privileged_container_sees_the_host_s_devices(engine: RunningEngine) -> None:
    code, out, error = run(engine, ["--privileged"], "ls /dev; head -c 1 /dev/kmsg > /dev/null && echo read")
    assert code == 0 and "kmsg" in out.split() and out.endswith("read\n"), error
    disks = [each.name for each in Path("/dev").iterdir() if stat.S_ISBLK(each.lstat().st_mode)]
    assert set(disks) <= set(out.split())


@pytest.mark.skipif(not DISKS, reason="no disk on this machine")
def test_throttles_are_in_the_control_groups(engine: RunningEngine) -> None:
    disk = DISKS[0]
    options = ["--device-read-bps", f"{disk}:1mb", "--device-write-iops", f"{disk}:77"]
    started = engine.docker("run", "-d", "--name", "slow", *options, "busybox", "sleep", "1000")
    assert started.returncode == 0, started.stderr
    home = group("io" if UNIFIED else "blkio", f"{engine.name}/{started.stdout.strip()}")
    number = Path(disk).stat().st_rdev
    shown = f"{os.major(number)}:{os.minor(number)}"
    if UNIFIED:
        assert f"{shown} rbps=1048576 wbps=max riops=max wiops=77" in (home / "io.max").read_text()
    else:
        assert (home / "blkio.throttle.read_bps_device").read_text() == f"{shown} 1048576\n"
        assert (home / "blkio.throttle.write_iops_device").read_text() == f"{shown} 77\n"
    assert engine.docker("rm", "-f", "slow").returncode == 0
