"""The runtime driver with the real shim, crun and control groups.

Runs in a private mount namespace of its own process, where a hybrid host's cgroup2 mount is hidden from crun.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.control_groups import HAS_CONTROLLERS, groups_in, parents
from tests.kernel.shim_client import supervisors

from tidegate.kernel.cgroups.host import open_cgroups

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("crun") is None or not Path("/bin/busybox").exists() or not HAS_CONTROLLERS,
    reason="needs root, crun, busybox-static and cgroup controllers",
)
HIDE = "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi"


def tell(root: Path, story: str, *words: str) -> None:
    rootfs = root / "rootfs"
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", rootfs / "bin/busybox")
    for name in ("sh", "sleep"):
        (rootfs / "bin" / name).symlink_to("busybox")
    parent = f"tidegate-test-{secrets.token_hex(4)}"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{HIDE}; exec "$0" "$@"']
    command += [sys.executable, "-m", "tests.kernel.shim_stories", story, str(root), parent, *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = root / "output"
    try:
        with output.open("w") as file:  # no pipe: a shim that is left over would hold it open
            done = subprocess.run(command, stdout=file, stderr=file, timeout=90, check=False, env=environment)
        assert (done.returncode, output.read_text()) == (0, "told\n")
    finally:
        for pid in supervisors(root / "exec/shim"):
            os.kill(pid, signal.SIGKILL)
        for container in groups_in(parent):
            open_cgroups(parent).remove(container.name)
        for directory in parents(parent):
            directory.rmdir()


def test_a_container_from_create_to_release(tmp_path: Path) -> None:
    tell(tmp_path, "life")


def test_a_container_that_outlives_the_want_of_memory_is_told_of(tmp_path: Path) -> None:
    tell(tmp_path, "memory")


@pytest.mark.parametrize("victims", ["w", "k", "wk wk", "w k wk k w wk"])
def test_killed_supervisors_lose_nothing_while_the_engine_lives(tmp_path: Path, victims: str) -> None:
    tell(tmp_path, "kills", *victims.split())
