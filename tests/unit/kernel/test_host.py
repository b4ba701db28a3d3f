"""Facts of a host that is a directory."""

from pathlib import Path

from tidegate.kernel.host import CgroupAbilities, read_cgroups, read_host


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_debian_host(tmp_path: Path) -> None:
    write(tmp_path / "etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\n# x=y\n')
    write(tmp_path / "proc/meminfo", "MemFree: 1 kB\nMemTotal:       2048 kB\n")
    write(tmp_path / "proc/sys/net/ipv4/ip_forward", "1\n")
    facts = read_host(tmp_path)
    assert (facts.operating_system, facts.os_version) == ("Debian GNU/Linux 13 (trixie)", "13")
    assert (facts.memory_bytes, facts.ipv4_forwarding) == (2048 * 1024, True)
    assert facts.cpus >= 1 and facts.cgroups.version == "1"


def test_a_host_that_tells_nothing(tmp_path: Path) -> None:
    facts = read_host(tmp_path)
    assert (facts.operating_system, facts.memory_bytes, facts.ipv4_forwarding) == ("Linux", 0, False)
    assert facts.cgroups == CgroupAbilities("1", False, False, False, False, False, False, False)


def test_control_groups_of_both_versions(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for name in ("memory/memory.limit_in_bytes", "memory/memory.oom_control", "cpu/cpu.shares", "pids/tasks"):
        write(one / name)
    assert read_cgroups(one) == CgroupAbilities("1", True, False, True, False, True, False, True)
    write(two / "cgroup.controllers", "cpuset cpu memory pids\n")
    found = read_cgroups(two)
    assert (found.version, found.memory, found.oom_kill_disable, found.cpu_set) == ("2", True, False, True)


def test_the_processors_a_container_may_be_pinned_to(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for place in (one / "cpuset/cpuset.cpus", two / "cpuset.cpus.effective"):
        write(place, "0-3\n")
    for place in (one / "cpuset/cpuset.mems", two / "cpuset.mems.effective"):
        write(place, "0\n")
    write(two / "cgroup.controllers", "cpuset io\n")
    assert [(each.cpus, each.memory_nodes) for each in map(read_cgroups, (one, two))] == [("0-3", "0")] * 2
    assert [read_cgroups(root).block_weight for root in (one, two)] == [False, True]
