"""What of the limits a client asks for is left on a host, and what it is told."""

import pytest
from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.creation.limits import parse_number_list, plan_limits
from tidegate.kernel.host import CgroupAbilities
from tidegate.spec.container import HostConfig, ThrottleDevice, WeightDevice

ON_V1 = CgroupAbilities("1", *[True] * 11, cpus="0-1", memory_nodes="0")
ON_V2 = replace(ON_V1, version="2", oom_kill_disable=False, swappiness=False)
UNABLE = CgroupAbilities("1", *[False] * 7)
RATE = ThrottleDevice(path="/dev/sda", rate=1000)
ALL = HostConfig(
    memory=64 << 20,
    memory_swap=128 << 20,
    memory_swappiness=10,
    memory_reservation=32 << 20,
    oom_kill_disable=True,
    pids_limit=10,
    cpu_shares=512,
    cpu_quota=50_000,
    cpu_period=100_000,
    cpuset_cpus="0,1",
    cpuset_mems="0",
    blkio_weight=500,
    blkio_weight_device=(WeightDevice(path="/dev/sda", weight=100),),
    blkio_device_read_bps=(RATE,),
    blkio_device_write_bps=(RATE,),
    blkio_device_read_iops=(RATE,),
    blkio_device_write_iops=(RATE,),
)


def test_what_the_host_can_do_is_left_as_it_is() -> None:
    assert plan_limits(ALL, ON_V1) == (ALL, [])


def test_what_only_v1_has_is_left_out_on_v2_with_a_warning() -> None:
    left, warnings = plan_limits(ALL, ON_V2)
    assert (left.memory_swappiness, left.oom_kill_disable, left.memory) == (None, None, ALL.memory)
    assert [text.split(". ")[-1] for text in warnings] == [
        "Memory swappiness discarded.",
        "OomKillDisable discarded.",
    ]


def test_what_asks_for_nothing_is_no_warning() -> None:
    nothing = HostConfig(memory_swappiness=-1, oom_kill_disable=False, pids_limit=-1)
    assert plan_limits(nothing, UNABLE) == (nothing, [])


def test_without_controllers_no_limit_is_left() -> None:
    left, warnings = plan_limits(ALL, UNABLE)
    assert left == HostConfig(memory_swap=-1)
    assert len(warnings) == 14
    with pytest.raises(InvalidParameterError, match="NanoCPUs can not be set"):
        plan_limits(HostConfig(nano_cpus=1), UNABLE)


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"cpuset_cpus": "99"}, "Requested CPUs are not available - requested 99, available: 0-1"),
        ({"cpuset_cpus": "0-2"}, "available: 0-1"),
        ({"cpuset_mems": "1"}, "Requested memory nodes are not available - requested 1, available: 0"),
        ({"cpuset_cpus": "one"}, "Invalid value one for cpuset cpus"),
        ({"cpuset_cpus": "1-0"}, "Invalid value 1-0"),
        ({"cpuset_cpus": "0-9999999999"}, "Invalid value"),
    ],
)
def test_processors_and_nodes_must_be_there(wanted: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        plan_limits(HostConfig(**wanted), ON_V1)


def test_sets_of_numbers_as_the_kernel_writes_them() -> None:
    assert parse_number_list("0-2,7\n") == {0, 1, 2, 7}
    assert parse_number_list("") == frozenset()


def test_realtime_is_refused_where_the_kernel_has_none_and_kernel_memory_is_left_out() -> None:
    host = HostConfig(cpu_realtime_runtime=1000)
    assert plan_limits(host, ON_V1).host_config == host
    with pytest.raises(InvalidParameterError, match="does not support CPU real-time scheduler"):
        plan_limits(host, replace(ON_V2, cpu_realtime=False))
    left, warnings = plan_limits(HostConfig(kernel_memory=1 << 30), ON_V1)
    assert left == HostConfig() and "Kernel memory limits are gone" in warnings[0]


def test_without_the_oom_killer_and_without_a_limit_the_host_is_at_risk() -> None:
    (warning,) = plan_limits(HostConfig(oom_kill_disable=True), ON_V1).warnings
    assert warning.startswith("OOM killer is disabled for the container, but no memory limit is set")
    assert plan_limits(HostConfig(oom_kill_disable=True, memory=64 << 20), ON_V1).warnings == []
