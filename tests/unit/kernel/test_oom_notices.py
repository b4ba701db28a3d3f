"""Notices of cgroup v2, on a file as the kernel keeps it."""

import select
from pathlib import Path

from tidegate.kernel.cgroups.v2 import CgroupsV2


def test_only_a_kill_is_told_of_among_the_changes_of_memory_events(tmp_path: Path) -> None:
    group = tmp_path / "engine/c1"
    group.mkdir(parents=True)
    events = group / "memory.events"
    events.write_text("low 0\nmax 0\noom 0\noom_kill 0\n")
    notice = CgroupsV2("engine", tmp_path).watch_oom("c1")
    assert notice is not None
    assert not select.select([notice.fd], [], [], 0)[0]
    events.write_text("low 0\nmax 3\noom 0\noom_kill 0\n")
    assert select.select([notice.fd], [], [], 0)[0] and not notice.happened()
    events.write_text("low 0\nmax 4\noom 1\noom_kill 1\n")
    assert select.select([notice.fd], [], [], 0)[0] and notice.happened()
    assert not notice.happened()
    notice.close()


def test_a_host_without_the_memory_controller_tells_nothing(tmp_path: Path) -> None:
    assert CgroupsV2("engine", tmp_path).watch_oom("c1") is None
