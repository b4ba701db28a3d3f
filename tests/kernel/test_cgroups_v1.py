"""Control groups on the real kernel, in a parent of the test's own."""

import os
import secrets
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError, NotFoundError
from tidegate.kernel.cgroups.files import Write
from tidegate.kernel.cgroups.v1 import ROOT, CgroupsV1, plan_writes

needs_v1 = pytest.mark.skipif(
    os.geteuid() != 0 or not (ROOT / "pids/cgroup.procs").exists(), reason="needs root and cgroup v1 controllers"
)


@pytest.fixture
def parent() -> Iterator[str]:
    name = f"tidegate-test-{secrets.token_hex(4)}"
    yield name
    for directory in ROOT.glob(f"*/{name}"):
        directory.rmdir()


def join(directories: list[Path]) -> "subprocess.Popen[bytes]":
    """A process that joins the groups by itself, as the shim's child does."""
    script = "".join(f"echo 0 > {directory}/tasks; " for directory in directories)
    process = subprocess.Popen(["sh", "-c", f"{script} echo in; exec sleep 60"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    return process


@needs_v1
def test_limits_are_what_the_kernel_shows_and_the_groups_go_with_their_processes(parent: str) -> None:
    groups = CgroupsV1(parent)
    resources = {
        "memory": {"limit": 64 << 20},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
        "pids": {"limit": 50},
        "devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 3}],
    }
    directories = list(groups.create("c1", resources))
    process = join(directories)
    try:
        assert groups.path("memory", "c1").joinpath("memory.limit_in_bytes").read_text() == f"{64 << 20}\n"
        assert groups.path("cpu", "c1").joinpath("cpu.cfs_quota_us").read_text() == "50000\n"
        assert groups.path("pids", "c1").joinpath("pids.max").read_text() == "50\n"
        assert groups.path("devices", "c1").joinpath("devices.list").read_text() == "c 1:3 rwm\n"
        assert list(groups.pids("c1")) == [process.pid]
        assert groups.oom_kills("c1") == 0
        groups.update("c1", {"pids": {"limit": -1}})
        assert groups.path("pids", "c1").joinpath("pids.max").read_text() == "max\n"
        groups.freeze("c1")
        assert groups.path("freezer", "c1").joinpath("freezer.state").read_text() == "FROZEN\n"
        assert groups.is_frozen("c1") and not groups.is_frozen("c2")
    finally:
        groups.remove("c1")
        process.wait(10)
    assert process.returncode == -9
    assert not any(directory.exists() for directory in directories)
    groups.remove("c1")
    assert list(groups.pids("c1")) == []


@needs_v1
@pytest.mark.parametrize("limit", [256 << 20, 100 << 20, 32 << 20, -1])
def test_memory_and_swap_can_rise_and_fall_together(parent: str, limit: int) -> None:
    groups = CgroupsV1(parent)
    groups.create("c1", {"memory": {"limit": 64 << 20, "swap": 128 << 20}})
    try:
        swap = 2 * limit if limit > 0 else -1
        groups.update("c1", {"memory": {"limit": limit, "swap": swap}})
        shown = [
            int(groups.path("memory", "c1").joinpath(file).read_text())
            for file in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        ]
        assert shown == [limit, swap] if limit > 0 else min(shown) > 1 << 60
    finally:
        groups.remove("c1")


@needs_v1
def test_a_parent_that_was_removed_is_made_again(parent: str) -> None:
    groups = CgroupsV1(parent)
    groups.create("c1", {})
    groups.remove("c1")
    for directory in ROOT.glob(f"*/{parent}"):
        directory.rmdir()
    process = join(list(groups.create("c1", {})))
    try:
        for name in ("cpuset.cpus", "cpuset.mems"):
            assert (ROOT / f"cpuset/{parent}/c1/{name}").read_text() == (ROOT / f"cpuset/{name}").read_text()
        (ROOT / f"pids/{parent}/c1/below").mkdir()
    finally:
        groups.remove("c1")
        process.wait(10)


@needs_v1
def test_a_refused_limit_is_named_and_leaves_nothing(parent: str) -> None:
    groups = CgroupsV1(parent)
    with pytest.raises(InvalidParameterError, match=r"cpuset\.cpus=4096"):
        groups.create("c1", {"cpu": {"cpus": "4096"}})
    assert not groups.path("pids", "c1").exists()
    with pytest.raises(NotFoundError):
        groups.freeze("c1")


def test_resources_become_writes_in_an_order_the_kernel_accepts() -> None:
    writes = plan_writes(
        {"memory": {"swap": 200, "limit": 100}, "devices": [{"allow": True, "type": "b", "minor": -1}]}
    )
    assert writes == [
        Write("devices", "devices.allow", "b *:* rwm"),
        Write("memory", "memory.limit_in_bytes", "100"),
        Write("memory", "memory.memsw.limit_in_bytes", "200"),
    ]
    assert plan_writes({}) == []


@needs_v1
def test_a_group_that_runs_out_of_memory_is_told_of_and_its_removal_is_not_taken_for_it(parent: str) -> None:
    groups = CgroupsV1(parent)
    directories = groups.create("c1", {"memory": {"limit": 8 << 20, "swap": 8 << 20}})
    notice = groups.watch_oom("c1")
    assert notice is not None
    script = "".join(f"echo 0 > {directory}/tasks; " for directory in directories)
    hungry = subprocess.Popen(["sh", "-c", f"{script} exec tail /dev/zero"])
    assert hungry.wait(20) == -9
    assert select.select([notice.fd], [], [], 10)[0] and notice.happened()
    assert not select.select([notice.fd], [], [], 0)[0]
    groups.remove("c1")
    assert select.select([notice.fd], [], [], 10)[0] and not notice.happened()
    notice.close()
