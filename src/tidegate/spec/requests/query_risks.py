"""What each query parameter risks, by operation."""

from collections.abc import Mapping

from tidegate.spec.requests.risks import Classes, classes

_LABEL = "LABEL may say who owns what is made of the image"
_NODES = "who manages the cluster"
_PATH = "a path that an engine may follow out of the container"
_PLUGIN = "a plugin is root on the host"
_REGISTRY = "which registry the engine speaks to, from the host's network"
_URL = "the engine fetches it, from the host's network"

QUERY_RISKS: Mapping[str, Classes] = {
    "BuildPrune": classes("reserved-space max-used-space min-free-space all filters keep-storage"),
    "ConfigList": classes("filters"),
    "ConfigUpdate": classes("version"),
    "ContainerArchive": classes(confined={"path": _PATH}),
    "ContainerArchiveInfo": classes(confined={"path": _PATH}),
    "ContainerAttach": classes("detachKeys logs stream stdin stdout stderr"),
    "ContainerAttachWebsocket": classes("detachKeys logs stream stdin stdout stderr"),
    "ContainerCreate": classes("name platform"),
    "ContainerDelete": classes("v force link"),
    "ContainerInspect": classes("size"),
    "ContainerKill": classes("signal"),
    "ContainerList": classes("all limit size filters since before trunc_cmd"),
    "ContainerLogs": classes("follow stdout stderr since until timestamps tail details format"),
    "ContainerPrune": classes("filters"),
    "ContainerRename": classes("name"),
    "ContainerResize": classes("h w"),
    "ContainerRestart": classes("signal t"),
    "ContainerStart": classes(
        "detachKeys",
        confined={"checkpoint": "restores processes from a memory image"},
        dangerous={"checkpoint-dir": "a path of the host to restore processes from"},
    ),
    "ContainerStats": classes("stream one-shot"),
    "ContainerStop": classes("signal t"),
    "ContainerTop": classes(confined={"ps_args": "arguments of the host's ps: e shows environments"}),
    "ContainerWait": classes("condition"),
    "ExecResize": classes("h w"),
    "GetPluginPrivileges": classes(confined={"remote name": _REGISTRY}),
    "ImageAttestations": classes("platform type statement"),
    "ImageBuild": classes(
        "dockerfile t extrahosts q nocache pull rm forcerm memory memswap cpushares cpusetcpus cpusetmems cpuperiod "
        "cpuquota buildargs shmsize squash platform target version isolation session buildid",
        confined={
            "remote": _URL,
            "cachefrom": _REGISTRY,
            "labels": "labels that begin with tidegate. say who owns the object",
            "networkmode": "host: every socket of the host; container:X: another's",
            "outputs": "pushes the result to a registry",
            "ulimits": "rtprio and memlock can starve the host",
        },
        dangerous={
            "cgroupparent": "any cgroup of the host: out of every limit, or into another's",
            "securityopt": "loosens what confines the build",
        },
    ),
    "ImageCommit": classes(
        "repo tag comment author pause", confined={"container": "whose files become an image", "changes": _LABEL}
    ),
    "ImageCreate": classes(
        "repo tag message platform", confined={"fromImage": _REGISTRY, "fromSrc": _URL, "changes": _LABEL}
    ),
    "ImageDelete": classes("force noprune platforms"),
    "ImageGet": classes("platform"),
    "ImageGetAll": classes("names platform"),
    "ImageHistory": classes("platform"),
    "ImageInspect": classes("manifests platform"),
    "ImageList": classes("all filters shared-size digests manifests identity filter only_ids"),
    "ImageLoad": classes("quiet platform"),
    "ImagePrune": classes("filters"),
    "ImagePush": classes("tag platform"),
    "ImageSearch": classes("limit filters", confined={"term": _REGISTRY}),
    "ImageTag": classes("repo tag force"),
    "NetworkInspect": classes("verbose scope"),
    "NetworkList": classes("filters"),
    "NetworkPrune": classes("filters"),
    "NodeDelete": classes(dangerous={"force": _NODES}),
    "NodeList": classes("filters"),
    "NodeUpdate": classes("version"),
    "PluginCreate": classes(dangerous={"name": _PLUGIN}),
    "PluginDelete": classes(dangerous={"force": "what the plugin serves breaks"}),
    "PluginDisable": classes(dangerous={"force": "what the plugin serves, or forbids, ends"}),
    "PluginEnable": classes("timeout"),
    "PluginList": classes("filters"),
    "PluginPull": classes(dangerous={"remote name": _PLUGIN}),
    "PluginUpgrade": classes(dangerous={"remote": _PLUGIN}),
    "PutContainerArchive": classes("noOverwriteDirNonDir copyUIDGID", confined={"path": _PATH}),
    "SecretList": classes("filters"),
    "SecretUpdate": classes("version"),
    "ServiceInspect": classes("insertDefaults"),
    "ServiceList": classes("filters status"),
    "ServiceLogs": classes("details follow stdout stderr since timestamps tail"),
    "ServiceUpdate": classes(
        "version rollback", confined={"registryAuthFrom": "pulls with the credentials of whoever was there before"}
    ),
    "SwarmLeave": classes(dangerous={"force": "ends the cluster on this node"}),
    "SwarmUpdate": classes(
        "version", dangerous={"rotateWorkerToken rotateManagerToken rotateManagerUnlockKey": "who may join the cluster"}
    ),
    "SystemDataUsage": classes("type verbose"),
    "SystemEvents": classes("since until filters"),
    "TaskList": classes("filters"),
    "TaskLogs": classes("details follow stdout stderr since timestamps tail"),
    "VolumeDelete": classes("force"),
    "VolumeList": classes("filters"),
    "VolumePrune": classes("filters"),
    "VolumeUpdate": classes("version"),
}
