"""Which operations each built-in role reaches, and what each operation touches: literal tables.

An operation that stands in no role's table is an administrator's. Among those are everything of swarm that writes, all
of plugins that writes, and the two that hand out swarm secrets: ``SwarmInspect`` (join tokens) and ``SwarmUnlockkey``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.access.references import ObjectKind

_OF_PLUGINS_AND_CLUSTER = frozenset(
    {
        "PluginList",
        "PluginInspect",
        "NodeList",
        "NodeInspect",
        "ServiceList",
        "ServiceInspect",
        "ServiceLogs",
        "TaskList",
        "TaskInspect",
        "TaskLogs",
        "SecretList",
        "SecretInspect",
        "ConfigList",
        "ConfigInspect",
    }
)
"""What tells of an engine's plugins, or of the cluster it is in."""

VIEW = (
    frozenset(
        {
            "SystemPing",
            "SystemPingHead",
            "SystemVersion",
            "SystemInfo",
            "SystemEvents",
            "SystemDataUsage",
            "ContainerList",
            "ContainerInspect",
            "ContainerTop",
            "ContainerLogs",
            "ContainerChanges",
            "ContainerStats",
            "ContainerWait",
            "ExecInspect",
            "ImageList",
            "ImageInspect",
            "ImageAttestations",
            "ImageHistory",
            "VolumeList",
            "VolumeInspect",
            "NetworkList",
            "NetworkInspect",
        }
    )
    | _OF_PLUGINS_AND_CLUSTER
)

OPERATE = VIEW | {
    "ContainerStart",
    "ContainerStop",
    "ContainerRestart",
    "ContainerKill",
    "ContainerPause",
    "ContainerUnpause",
}

DEVELOP = OPERATE | {
    "ContainerCreate",
    "ContainerUpdate",
    "ContainerRename",
    "ContainerResize",
    "ContainerAttach",
    "ContainerAttachWebsocket",
    "ContainerDelete",
    "ContainerExport",
    "ContainerArchiveInfo",
    "ContainerArchive",
    "PutContainerArchive",
    "ContainerPrune",
    "ContainerExec",
    "ExecStart",
    "ExecResize",
    "ImageBuild",
    "BuildPrune",
    "ImageCreate",
    "ImagePush",
    "ImageTag",
    "ImageDelete",
    "ImageSearch",
    "ImagePrune",
    "ImageCommit",
    "ImageGet",
    "ImageGetAll",
    "ImageLoad",
    "DistributionInspect",
    "SystemAuth",
    "VolumeCreate",
    "VolumeDelete",
    "VolumePrune",
    "NetworkCreate",
    "NetworkConnect",
    "NetworkDisconnect",
    "NetworkDelete",
    "NetworkPrune",
    "Session",
}

# What tells of, or takes from, the whole engine is not a job's business.
CI = DEVELOP - _OF_PLUGINS_AND_CLUSTER - {"SystemDataUsage", "BuildPrune", "ImagePrune", "ImageDelete"}

LISTS = frozenset({"ContainerList", "VolumeList", "NetworkList", "SystemEvents"})
"""What shows many objects at once and takes a label filter. Images are shared by all, and so are their list."""

PRUNES = frozenset({"ContainerPrune", "ImagePrune", "VolumePrune", "NetworkPrune"})

CREATES = frozenset({"ContainerCreate", "VolumeCreate", "NetworkCreate", "ImageBuild"})
"""What makes an object and can be told its labels. A commit hands on those of its container."""

QUOTAED = frozenset({"ContainerCreate", "ContainerUpdate"})

# Touching is anything but looking: it changes the object, or takes more out of it than an inspection shows. The network
# of a connect or disconnect may also be granted by name, and is a claim.
_TOUCHES: Mapping[str, ObjectKind] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "ContainerExport",
                "ContainerResize",
                "ContainerStart",
                "ContainerStop",
                "ContainerRestart",
                "ContainerKill",
                "ContainerUpdate",
                "ContainerRename",
                "ContainerPause",
                "ContainerUnpause",
                "ContainerAttach",
                "ContainerAttachWebsocket",
                "ContainerDelete",
                "ContainerArchiveInfo",
                "ContainerArchive",
                "PutContainerArchive",
                "ContainerExec",
            ),
            ObjectKind.CONTAINER,
        ),
        "ExecStart": ObjectKind.EXEC,
        "ExecResize": ObjectKind.EXEC,
        "VolumeUpdate": ObjectKind.VOLUME,
        "VolumeDelete": ObjectKind.VOLUME,
        "NetworkDelete": ObjectKind.NETWORK,
    }
)

_LOOKS: Mapping[str, ObjectKind] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "ContainerInspect",
                "ContainerTop",
                "ContainerLogs",
                "ContainerChanges",
                "ContainerStats",
                "ContainerWait",
            ),
            ObjectKind.CONTAINER,
        ),
        "ExecInspect": ObjectKind.EXEC,
        "VolumeInspect": ObjectKind.VOLUME,
        "NetworkInspect": ObjectKind.NETWORK,
    }
)


def touched_kind(operation_id: str) -> ObjectKind | None:
    """The kind of the object in the path, when the operation does more than look at it."""
    return _TOUCHES.get(operation_id)


def looked_at_kind(operation_id: str) -> ObjectKind | None:
    """The kind of the object in the path, when the operation only looks at it and the object has an owner."""
    return _LOOKS.get(operation_id)


def path_kind(operation_id: str) -> ObjectKind | None:
    """The kind of the object in the path, where it has an owner."""
    if operation_id in ("NetworkConnect", "NetworkDisconnect"):
        return ObjectKind.NETWORK
    return touched_kind(operation_id) or looked_at_kind(operation_id)
