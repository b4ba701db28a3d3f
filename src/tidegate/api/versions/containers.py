"""What older clients are shown of containers and execs."""

from collections.abc import Sequence

from tidegate.api.versions.change import AnswerChange, View, each, including, within, without

# At the top of NetworkSettings, of the endpoint on the default bridge.
_ADDRESSES = (
    "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress", "IPv6Gateway", "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
)  # fmt: skip
_OFF_THE_BRIDGE: View = {name: 0 if name.endswith("PrefixLen") else "" for name in _ADDRESSES}
_DROPPED_SETTINGS: View = {
    "Bridge": "", "HairpinMode": False, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None, "SecondaryIPv6Addresses": None,
}  # fmt: skip


def _with_addresses(settings: View) -> View:
    endpoint = settings["Networks"].get("bridge", _OFF_THE_BRIDGE)
    return {**_DROPPED_SETTINGS, **settings, **{name: endpoint[name] for name in _ADDRESSES}}


_NO_PRIORITY = within("NetworkSettings", each("Networks", without("GwPriority")))
_NO_NAMES = within("NetworkSettings", each("Networks", without("DNSNames")))

ANSWERS: Sequence[AnswerChange] = (
    AnswerChange(
        (1, 52), "ContainerInspectResponse", "the addresses on the default bridge are told of their network only",
        within("NetworkSettings", _with_addresses),
    ),
    AnswerChange(
        (1, 52), "ContainerInspectResponse", "Config.OnBuild is left out when empty",
        including({"OnBuild": None}, "Config"),
    ),
    AnswerChange((1, 52), "ContainerSummary", "a row tells of the health", without("Health")),
    AnswerChange((1, 52), "ContainerStatsResponse", "statistics tell their operating system", without("os_type")),
    AnswerChange((1, 48), "ContainerInspectResponse", "endpoints have a priority as gateway", _NO_PRIORITY),
    AnswerChange((1, 48), "ContainerSummary", "endpoints have a priority as gateway", _NO_PRIORITY),
    AnswerChange((1, 46), "ContainerSummary", "a row tells the annotations", without("Annotations", at="HostConfig")),
    AnswerChange((1, 44), "ContainerInspectResponse", "endpoints have names", _NO_NAMES),
    AnswerChange((1, 44), "ContainerSummary", "endpoints have names", _NO_NAMES),
    AnswerChange(
        (1, 43), "ContainerInspectResponse", "containers have annotations", without("Annotations", at="HostConfig")
    ),
    AnswerChange(
        (1, 42), "ContainerInspectResponse", "limits of kernel memory are left out when not set",
        including({"KernelMemory": 0, "KernelMemoryTCP": 0}, "HostConfig"),
    ),
    AnswerChange(
        (1, 41), "ContainerInspectResponse", "containers have a mode of the cgroup namespace",
        without("CgroupnsMode", at="HostConfig"),
    ),
    AnswerChange(
        (1, 40), "ContainerInspectResponse", "containers ask device drivers for devices",
        without("DeviceRequests", at="HostConfig"),
    ),
    AnswerChange(
        (1, 28), "ContainerInspectResponse", "containers have rules of the device cgroup",
        without("DeviceCgroupRules", at="HostConfig"),
    ),
    AnswerChange(
        (1, 27), "ContainerStatsResponse", "statistics tell how many processors there are",
        lambda view: {**view, **{name: without("online_cpus")(view[name]) for name in ("cpu_stats", "precpu_stats")}},
    ),
    AnswerChange((1, 25), "ExecInspectResponse", "an exec tells its process", without("Pid")),
)  # fmt: skip
