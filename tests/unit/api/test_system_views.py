"""The documents of info and of the disk usage, held against the specification's field names."""

from pathlib import Path

from msgspec.structs import replace

from tidegate.api.views.system import UsageRows, component_view, info_view, legacy_usage_view, usage_view
from tidegate.engine.system import ContainerSize, DiskUsage, EngineFacts, EngineInfo, VolumeSize
from tidegate.engine.volumes import Volume
from tidegate.kernel.host import CgroupAbilities, HostFacts, Installation, Program
from tidegate.model.container import Container
from tidegate.model.phases import Phase, State

ABLE = CgroupAbilities("1", True, True, True, True, True, True, True, block_throttle=True)
HOST = HostFacts("box", "Debian", "13", "6.12", "x86_64", 2, 4096, True, ABLE)
FACTS = EngineFacts(Path("/data"), "json-file", False, True, ("https://mirror",), ("10.0.0.0/8", "registry:5000"))
INFO = EngineInfo("id", FACTS, HOST, running=3, paused=1, stopped=2, images=4, listeners=0, at_ns=0)
SPECIFIED = """
ID Containers ContainersRunning ContainersPaused ContainersStopped Images Driver DriverStatus DockerRootDir
Plugins MemoryLimit SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit OomKillDisable
IPv4Forwarding Debug NFd NGoroutines SystemTime LoggingDriver CgroupDriver CgroupVersion NEventsListener
KernelVersion OperatingSystem OSVersion OSType Architecture NCPU MemTotal IndexServerAddress RegistryConfig
GenericResources HttpProxy HttpsProxy NoProxy Name Labels ExperimentalBuild ServerVersion Runtimes
DefaultRuntime Swarm LiveRestoreEnabled Isolation InitBinary ContainerdCommit RuncCommit InitCommit
SecurityOptions ProductLicense DefaultAddressPools FirewallBackend DiscoveredDevices NRI Warnings CDISpecDirs
Containerd
"""


def test_info_has_the_specification_s_fields_and_no_warning_on_an_able_host() -> None:
    shown = info_view(INFO)
    assert shown.keys() <= set(SPECIFIED.split())
    assert (shown["Containers"], shown["Warnings"], shown["Swarm"]["LocalNodeState"]) == (6, [], "inactive")
    assert shown["RegistryConfig"]["InsecureRegistryCIDRs"][-1] == "10.0.0.0/8"
    assert shown["RegistryConfig"]["IndexConfigs"]["registry:5000"]["Secure"] is False
    assert shown["RegistryConfig"]["IndexConfigs"]["docker.io"]["Mirrors"] == ["https://mirror"]


def test_labels_pools_and_proxies_are_shown_and_secrets_of_proxies_not() -> None:
    set_ = replace(
        FACTS,
        labels=("rack=4",),
        proxies={"http": "http://me:secret@proxy:3128", "no": "example"},
        address_pools=(("10.0.0.0/16", 24),),
    )
    shown = info_view(replace(INFO, facts=set_))
    assert shown["Labels"] == ["rack=4"]
    assert (shown["HttpProxy"], shown["HttpsProxy"], shown["NoProxy"]) == (
        "http://xxxxx:xxxxx@proxy:3128", "", "example",
    )  # fmt: skip
    assert shown["DefaultAddressPools"] == [{"Base": "10.0.0.0/16", "Size": 24}]


def test_cgroup_namespaces_by_default_are_a_security_option() -> None:
    private = replace(INFO, facts=replace(FACTS, private_cgroups=True))
    assert info_view(private)["SecurityOptions"] == ["name=seccomp,profile=builtin", "name=cgroupns"]
    assert info_view(INFO)["SecurityOptions"] == ["name=seccomp,profile=builtin"]


def test_the_programs_and_the_filesystem_below_are_told() -> None:
    unknown = info_view(INFO)
    assert (unknown["RuncCommit"], unknown["InitBinary"], unknown["InitCommit"]) == ({"ID": "N/A"}, "", {"ID": "N/A"})
    installed = Installation(
        Program("crun", "/usr/bin/crun", "1.8.1", "f8a0"), Program("docker-init", "/usr/bin/tini-static"), "extfs"
    )
    shown = info_view(replace(INFO, host=replace(HOST, installation=installed), open_files=9, tasks=4))
    assert (shown["RuncCommit"], shown["InitCommit"]) == ({"ID": "f8a0"}, {"ID": "N/A"})
    assert shown["InitBinary"] == "/usr/bin/tini-static"
    assert shown["DriverStatus"][0] == ["Backing Filesystem", "extfs"]
    assert (shown["NFd"], shown["NGoroutines"]) == (9, 4)
    assert component_view(installed.programs[0]) == {
        "Name": "crun", "Version": "1.8.1", "Details": {"GitCommit": "f8a0"},
    }  # fmt: skip


def test_limits_of_block_devices_are_warned_of_in_the_words_of_the_hierarchy() -> None:
    def warned(cgroups: CgroupAbilities) -> list[str]:
        return [
            text.removeprefix("WARNING: No ")
            for text in info_view(replace(INFO, host=replace(HOST, cgroups=cgroups)))["Warnings"]
        ]

    assert warned(replace(ABLE, block_throttle=False, oom_kill_disable=False)) == [
        "oom kill disable support", "blkio throttle.read_bps_device support", "blkio throttle.write_bps_device support",
        "blkio throttle.read_iops_device support", "blkio throttle.write_iops_device support",
    ]  # fmt: skip
    assert warned(replace(ABLE, version="2", oom_kill_disable=False, block_throttle=False)) == [
        "io.weight support", "io.weight (per device) support", "io.max (rbps) support", "io.max (wbps) support",
        "io.max (riops) support", "io.max (wiops) support",
    ]  # fmt: skip


def test_what_a_host_cannot_do_is_a_warning() -> None:
    poor = replace(
        INFO,
        host=replace(
            HOST, ipv4_forwarding=False, obstacles=("the chain in the way",), cgroups=replace(ABLE, swap=False)
        ),
    )
    assert info_view(poor)["Warnings"] == [
        "WARNING: No swap limit support",
        "WARNING: IPv4 forwarding is disabled",
        "WARNING: the chain in the way",
    ]


def test_disk_usage_in_both_shapes() -> None:
    running = Container("1", "one", 0, "a", "i", state=State(phase=Phase.RUNNING))
    stopped = Container("2", "two", 0, "a", "i", state=State(phase=Phase.EXITED))
    usage = DiskUsage(
        containers=[ContainerSize(running, 5, 15), ContainerSize(stopped, 7, 17)],
        volumes=[VolumeSize(Volume("used", 0), 100, 1), VolumeSize(Volume("free", 0), 11, 0)],
    )
    rows = UsageRows(None, [{"Id": "1"}], [], [])
    shown = usage_view(usage, rows, verbose=True)
    totals = {"TotalCount": 2, "ActiveCount": 1, "TotalSize": 12, "Reclaimable": 7}
    assert shown["ContainerUsage"] == {**totals, "Items": [{"Id": "1"}]}
    assert shown["VolumeUsage"]["Reclaimable"] == 11 and shown["BuildCacheUsage"]["TotalSize"] == 0
    assert "ImageUsage" not in shown and "Items" not in usage_view(usage, rows, verbose=False)["VolumeUsage"]
    assert legacy_usage_view(usage, rows) == {
        "LayersSize": 0, "Containers": [{"Id": "1"}], "Volumes": [], "BuildCache": [],
    }  # fmt: skip
