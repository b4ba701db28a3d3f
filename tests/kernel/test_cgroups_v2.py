"""Control groups v2: the translation, and the real kernel's hierarchy in a mount namespace of the test's own."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.kernel.cgroups.files import Write
from tidegate.kernel.cgroups.host import is_unified
from tidegate.kernel.cgroups.v2 import plan_writes, weight_of

STORY = """
import subprocess, sys
from pathlib import Path
from tidegate.base.errors import NotFoundError
from tidegate.kernel.cgroups.host import CgroupsV2, open_cgroups

groups = open_cgroups(sys.argv[2], Path(sys.argv[1]))
assert isinstance(groups, CgroupsV2)
group = groups.path("c1")
group.mkdir(parents=True)
command = f"echo 0 > {group}/cgroup.procs; echo in; exec sleep 60"
process = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
assert process.stdout.readline() == b"in\\n"
assert list(groups.pids("c1")) == [process.pid]
groups.freeze("c1")
assert "frozen 1" in (group / "cgroup.events").read_text()
assert groups.is_frozen("c1") and not groups.is_frozen("c2")
groups.thaw("c1")
assert not groups.is_frozen("c1")
groups.freeze("c1")
groups.remove("c1")
assert process.wait(10) == -9
assert not group.exists()
groups.remove("c1")
assert list(groups.pids("c1")) == []
try:
    groups.freeze("c1")
except NotFoundError:
    print("told")
group.parent.rmdir()
"""


def test_resources_become_the_files_of_v2() -> None:
    resources = {
        "memory": {"limit": 100, "swap": 250, "reservation": 50},
        "cpu": {"shares": 1024, "quota": 50_000, "period": 100_000, "cpus": "0"},
        "pids": {"limit": -1},
        "blockIO": {"weight": 1000},
    }
    assert plan_writes(resources) == [
        Write("memory", "memory.max", "100"),
        Write("memory", "memory.swap.max", "150"),
        Write("memory", "memory.low", "50"),
        Write("cpu", "cpu.weight", "39"),
        Write("cpu", "cpu.max", "50000 100000"),
        Write("cpuset", "cpuset.cpus", "0"),
        Write("pids", "pids.max", "max"),
        Write("io", "io.weight", "10000"),
    ]
    assert plan_writes({"memory": {"limit": -1, "swap": -1}})[1].value == "max"


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (0, 1), (262144, 10000), (1 << 30, 10000)])
def test_shares_become_weights(shares: int, weight: int) -> None:
    assert weight_of(shares) == weight


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a cgroup2 hierarchy")
def test_a_group_is_listed_frozen_and_removed_with_its_processes(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    script = tmp_path / "story.py"
    script.write_text(STORY)
    name = f"tidegate-test-{secrets.token_hex(4)}"
    inside = f'mount -t cgroup2 none "{root}" && exec "{sys.executable}" "{script}" "{root}" "{name}"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "told\n"), result.stderr
    assert not is_unified(root)
