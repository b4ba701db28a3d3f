"""What each operation risks, whatever its document and query say.

CONFINED: it changes an object or takes more out of it than its description, so that the object's owner decides; or its
document does. DANGEROUS: it reaches the host, the cluster, or secrets of others.
"""

from tidegate.spec.requests.risks import Classes, classes

OPERATION_RISKS: Classes = classes(
    "SystemPing SystemPingHead SystemVersion SystemInfo SystemDataUsage ContainerList ImageList ImageInspect "
    "ImageHistory ImageAttestations VolumeList VolumeInspect NetworkList NetworkInspect PluginList PluginInspect "
    "ContainerTop ContainerChanges ContainerStats ContainerWait ContainerArchiveInfo ExecInspect NodeList NodeInspect "
    "ServiceList TaskList SecretList SecretInspect ConfigList",
    confined={
        "SystemEvents": "tells of everybody's objects",
        "ContainerInspect ServiceInspect TaskInspect "
        "ConfigInspect": "shows environments and settings, in which secrets are",
        "ContainerLogs ServiceLogs TaskLogs": "shows what the program wrote",
        "ContainerArchive ContainerExport ImageGet ImageGetAll": "takes files out",
        "PutContainerArchive": "puts files into the container",
        "ContainerCreate ContainerUpdate VolumeCreate NetworkCreate ImageCommit": "its document decides",
        "ContainerStart ContainerStop ContainerRestart ContainerKill ContainerPause ContainerUnpause ContainerResize "
        "ContainerRename ContainerDelete VolumeDelete NetworkDelete NetworkConnect "
        "NetworkDisconnect": "acts on an object",
        "ContainerAttach ContainerAttachWebsocket ContainerExec ExecStart "
        "ExecResize": "runs in, or speaks to, a container",
        "ContainerPrune ImagePrune VolumePrune NetworkPrune BuildPrune": "removes everybody's unused objects",
        "ImageBuild Session": "runs what the build file says, and pulls its images",
        "ImageCreate ImagePush ImageSearch DistributionInspect SystemAuth": "the engine speaks to a registry",
        "ImageLoad": "brings images that no registry vouches for",
        "ImageTag ImageDelete": "changes what a name means for everybody",
    },
    dangerous={
        "GetPluginPrivileges PluginPull PluginCreate PluginUpgrade PluginEnable PluginSet PluginPush": "a plugin is "
        "root on the host",
        "PluginDisable PluginDelete": "ends what the plugin serves, or forbids",
        "SwarmInspect SwarmUnlockkey": "shows the tokens and keys of the cluster",
        "SwarmInit SwarmJoin SwarmLeave SwarmUpdate SwarmUnlock": "gives the host to a cluster, or takes it away",
        "NodeUpdate NodeDelete": "who manages the cluster, and where its tasks run",
        "ServiceCreate ServiceUpdate ServiceDelete": "runs on every node",
        "SecretCreate SecretUpdate SecretDelete ConfigCreate ConfigUpdate "
        "ConfigDelete": "changes what every service trusts",
        "VolumeUpdate": "changes a volume of the cluster",
        "Grpc": "BuildKit's own protocol, in which nothing is read here",
    },
)
