"""What older clients are shown of the engine itself, its disk usage and its events."""

from collections.abc import Mapping, Sequence

from tidegate.api.versions.change import AnswerChange, View, including, within, without


def _with_expected_commits(view: View) -> View:
    commits = {name: view[name] for name in ("ContainerdCommit", "RuncCommit", "InitCommit")}
    return {**view, **{name: {**commit, "Expected": commit["ID"]} for name, commit in commits.items()}}


def _with_legacy_fields(view: View) -> View:
    """Of events of containers and images, as Docker's first versions had them."""
    if view["Type"] not in ("container", "image"):
        return view
    actor = view["Actor"]
    image = {"from": actor["Attributes"].get("image", "")} if view["Type"] == "container" else {}
    return {"status": view["Action"], "id": actor["ID"], **image, **view}


def _without_status(runtimes: View) -> View:
    return {name: without("status")(runtime) if isinstance(runtime, Mapping) else runtime
            for name, runtime in runtimes.items()}  # fmt: skip


ANSWERS: Sequence[AnswerChange] = (
    AnswerChange((1, 53), "SystemInfo", "plug-ins of NRI are told", without("NRI")),
    AnswerChange((1, 52), "EventMessage", "status, id and from are dropped", _with_legacy_fields),
    AnswerChange((1, 50), "SystemInfo", "devices that drivers found are told", without("DiscoveredDevices")),
    AnswerChange(
        (1, 50), "SystemInfo", "the bridge's netfilter is not told",
        including({"BridgeNfIptables": False, "BridgeNfIp6tables": False}),
    ),
    AnswerChange((1, 49), "SystemInfo", "the firewall's backend is told", without("FirewallBackend")),
    AnswerChange((1, 49), "SystemInfo", "no commits are expected", _with_expected_commits),
    AnswerChange(
        (1, 49), "SystemInfo", "artifacts that are not to be distributed are",
        including(
            {"AllowNondistributableArtifactsCIDRs": [], "AllowNondistributableArtifactsHostnames": []},
            "RegistryConfig",
        ),
    ),
    AnswerChange((1, 46), "SystemInfo", "containerd is told", without("Containerd")),
    AnswerChange((1, 44), "SystemInfo", "directories of CDI are told", without("CDISpecDirs")),
    AnswerChange((1, 44), "SystemInfo", "runtimes have a status", within("Runtimes", _without_status)),
    AnswerChange((1, 42), "DiskUsage", "the builder's size is told by its cache", including({"BuilderSize": 0})),
    AnswerChange(
        (1, 41), "SystemInfo", "the version of control groups and the address pools are told",
        without("CgroupVersion", "DefaultAddressPools"),
    ),
    AnswerChange((1, 40), "SystemInfo", "a limit of processes is told", without("PidsLimit")),
    AnswerChange((1, 39), "SystemInfo", "warnings are told", without("Warnings", "ProductLicense")),
    AnswerChange((1, 35), "SystemVersion", "components are told", without("Platform", "Components")),
    AnswerChange((1, 25), "SystemInfo", "the isolation is told", without("Isolation")),
)  # fmt: skip
