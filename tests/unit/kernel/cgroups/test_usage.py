"""The kernel's counters, as it writes them, and what is understood of them."""

from pathlib import Path

from tidegate.kernel.cgroups.usage import TICK_NS, CgroupUsage, CPUUsage, IOCount, read_v1, read_v2
from tidegate.kernel.host_usage import InterfaceUsage, host_cpu_ns, interfaces_of, parse_interfaces

V1 = {
    "cpuacct.usage": "1234567890\n",
    "cpuacct.usage_percpu": "1000 2000 \n",
    "cpuacct.stat": "user 7\nsystem 3\n",
    "cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 999\nwait_sum 1\n",
    "memory.usage_in_bytes": "4096\n",
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.max_usage_in_bytes": "8192\n",
    "memory.failcnt": "2\n",
    "memory.stat": "cache 1\ntotal_inactive_file 512\n",
    "pids.current": "3\n",
    "pids.max": "max\n",
    "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\nTotal 4096\n",
}
V2 = {
    "cpu.stat": "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\nnr_periods 10\nnr_throttled 4\nthrottled_usec 9\n",
    "memory.current": "4096\n",
    "memory.max": "8192\n",
    "memory.stat": "anon 1\ninactive_file 512\n",
    "pids.current": "3\n",
    "pids.max": "100\n",
    "io.stat": "8:0 rbytes=4096 wbytes=0 rios=1 wios=2 dbytes=0 dios=0\n253:1\n",
}


def test_version_1() -> None:
    usage = read_v1(lambda _, file: V1.get(file, ""))
    assert usage.cpu == CPUUsage(1234567890, 7 * TICK_NS, 3 * TICK_NS, [1000, 2000], 10, 4, 999)
    memory = usage.memory
    assert (memory.used_bytes, memory.limit_bytes, memory.most_bytes, memory.failures) == (4096, None, 8192, 2)
    assert memory.counters["total_inactive_file"] == 512
    assert (usage.pids, usage.pids_limit) == (3, None)
    moved = usage.io["io_service_bytes_recursive"]
    assert list(moved)[:2] == [IOCount(8, 0, "read", 4096), IOCount(8, 0, "write", 0)]


def test_version_2() -> None:
    usage = read_v2(lambda _, file: V2.get(file, ""))
    assert usage.cpu == CPUUsage(1234000, 1000000, 234000, (), 10, 4, 9000)
    assert (usage.memory.used_bytes, usage.memory.limit_bytes, usage.memory.most_bytes) == (4096, 8192, None)
    assert (usage.pids, usage.pids_limit) == (3, 100)
    assert usage.io["io_serviced_recursive"][:2] == [IOCount(8, 0, "read", 1), IOCount(8, 0, "write", 2)]


def test_a_group_that_is_gone_has_used_nothing() -> None:
    for read in (read_v1, read_v2):
        usage = read(lambda _controller, _file: "")
        assert (usage.cpu.total_ns, usage.memory.used_bytes, usage.pids) == (0, 0, 0)
    assert CgroupUsage().io == {}


def test_processors_and_interfaces(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n")
    assert host_cpu_ns(tmp_path) == 28 * TICK_NS
    counters = "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0:10 11 12 13 0 0 0 0 20 21 22 23 0 0 0 0\n"
    text = f"Inter-|   Receive\n face |bytes\n{counters}"
    assert parse_interfaces(text) == {"eth0": InterfaceUsage(10, 11, 12, 13, 20, 21, 22, 23)}
    assert interfaces_of(1, tmp_path) == {}
