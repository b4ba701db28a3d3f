"""What each field of the documents of a swarm risks: services and their tasks, nodes, secrets, configs, the swarm."""

from collections.abc import Mapping

from tidegate.spec.requests.container_risks import LABELS
from tidegate.spec.requests.risks import Classes, classes

_SWARM = "settings of the whole cluster"
_NODE = "who manages the cluster, and where its tasks run"
_CREDENTIAL = "a credential of the host or of a registry"
_PLUGIN = "a plugin is root on every node"
_CONFINEMENT = "loosens what confines the tasks"
_LOG = "the engine sends to any address from the host's network"

SWARM_RISKS: Mapping[str, Classes] = {
    "SwarmInit": classes(
        dangerous={
            "ListenAddr AdvertiseAddr DataPathAddr DataPathPort DefaultAddrPool ForceNewCluster SubnetSize Spec "
            "AutoLockManagers Availability": _SWARM
        }
    ),
    "SwarmJoin": classes(
        dangerous={
            "ListenAddr AdvertiseAddr DataPathAddr RemoteAddrs JoinToken "
            "Availability": "gives the host to another cluster"
        }
    ),
    "SwarmUnlock": classes(dangerous={"UnlockKey": "opens the secrets of the cluster"}),
    "SwarmSpec": classes(
        dangerous={"Name Labels Orchestration Raft Dispatcher CAConfig EncryptionConfig TaskDefaults": _SWARM}
    ),
    "SwarmSpec.Orchestration": classes(dangerous={"TaskHistoryRetentionLimit": _SWARM}),
    "SwarmSpec.Raft": classes(
        dangerous={"SnapshotInterval KeepOldSnapshots LogEntriesForSlowFollowers ElectionTick HeartbeatTick": _SWARM}
    ),
    "SwarmSpec.Dispatcher": classes(dangerous={"HeartbeatPeriod": _SWARM}),
    "SwarmSpec.CAConfig": classes(
        dangerous={"NodeCertExpiry ExternalCAs SigningCACert SigningCAKey ForceRotate": "whom the nodes trust"}
    ),
    "SwarmSpec.CAConfig.ExternalCAs": classes(dangerous={"Protocol URL Options CACert": "whom the nodes trust"}),
    "SwarmSpec.EncryptionConfig": classes(dangerous={"AutoLockManagers": _SWARM}),
    "SwarmSpec.TaskDefaults": classes(dangerous={"LogDriver": _LOG}),
    "SwarmSpec.TaskDefaults.LogDriver": classes(dangerous={"Name Options": _LOG}),
    "NodeSpec": classes(dangerous={"Name Labels Role Availability": _NODE}),
    "SecretSpec": classes(
        "Name Data Templating", confined={"Labels": LABELS}, dangerous={"Driver": "a plugin that is given every secret"}
    ),
    "ConfigSpec": classes("Name Data Templating", confined={"Labels": LABELS}),
    "Driver": classes(confined={"Name Options": "golang is the engine's own template; anything else is a plugin"}),
    "ServiceSpec": classes(
        "Name TaskTemplate Mode UpdateConfig RollbackConfig EndpointSpec",
        confined={"Labels": LABELS, "Networks": "joins a network by its name"},
    ),
    "ServiceSpec.Mode": classes("Replicated Global ReplicatedJob GlobalJob"),
    "ServiceSpec.Mode.Replicated": classes("Replicas"),
    "ServiceSpec.Mode.ReplicatedJob": classes("MaxConcurrent TotalCompletions"),
    "ServiceSpec.UpdateConfig": classes("Parallelism Delay FailureAction Monitor MaxFailureRatio Order"),
    "ServiceSpec.RollbackConfig": classes("Parallelism Delay FailureAction Monitor MaxFailureRatio Order"),
    "EndpointSpec": classes("Mode", confined={"Ports": "takes a port of every node"}),
    "EndpointPortConfig": classes(
        "Name Protocol TargetPort PublishMode", confined={"PublishedPort": "takes a port of every node"}
    ),
    "NetworkAttachmentConfig": classes(
        "Aliases",
        confined={
            "Target": "joins a network by its name",
            "DriverOpts": "what a network plugin obeys",
        },
    ),
    "TaskSpec": classes(
        "ContainerSpec Resources RestartPolicy Placement ForceUpdate LogDriver",
        confined={"Networks": "joins a network by its name"},
        dangerous={
            "PluginSpec": _PLUGIN,
            "NetworkAttachmentSpec": "joins a container of another to a network",
            "Runtime": "plugin: " + _PLUGIN,
        },
    ),
    "TaskSpec.PluginSpec": classes(dangerous={"Name Remote Disabled PluginPrivilege Privileges Env": _PLUGIN}),
    "TaskSpec.NetworkAttachmentSpec": classes(dangerous={"ContainerID": "joins a container of another to a network"}),
    "TaskSpec.LogDriver": classes(confined={"Name Options": _LOG}),
    "TaskSpec.Resources": classes("Limits Reservations SwapBytes MemorySwappiness"),
    "Limit": classes("NanoCPUs MemoryBytes Pids GenericResources"),
    "ResourceObject": classes("NanoCPUs MemoryBytes GenericResources"),
    "GenericResource": classes("NamedResourceSpec DiscreteResourceSpec"),
    "GenericResource.NamedResourceSpec": classes("Kind Value"),
    "GenericResource.DiscreteResourceSpec": classes("Kind Value"),
    "TaskSpec.RestartPolicy": classes("Condition Delay MaxAttempts Window"),
    "TaskSpec.Placement": classes("Constraints Preferences MaxReplicas Platforms"),
    "TaskSpec.Placement.Preferences": classes("Spread"),
    "TaskSpec.Placement.Preferences.Spread": classes("SpreadDescriptor"),
    "Platform": classes("Architecture OS"),
    "TaskSpec.ContainerSpec": classes(
        "Command Args Hostname Env Dir User Groups Privileges TTY OpenStdin ReadOnly StopSignal StopGracePeriod "
        "HealthCheck Hosts DNSConfig Isolation Init CapabilityDrop",
        confined={
            "Image": "which registry it comes from, and whose image it is",
            "Labels": LABELS,
            "Mounts": "may mount paths of every node",
            "Secrets": "shows a secret of the cluster",
            "Configs": "shows a config of the cluster",
            "OomScoreAdj": "a negative score has the host's processes killed first",
            "Sysctls": "settings of the kernel, some of them the host's",
            "CapabilityAdd": "ALL, SYS_ADMIN, SYS_MODULE, SYS_PTRACE, DAC_READ_SEARCH, BPF are ways to the host",
            "Ulimits": "rtprio and memlock can starve the host",
        },
    ),
    "TaskSpec.ContainerSpec.Privileges": classes(
        "NoNewPrivileges Seccomp AppArmor",
        dangerous={"CredentialSpec": _CREDENTIAL, "SELinuxContext": _CONFINEMENT},
    ),
    "TaskSpec.ContainerSpec.Privileges.CredentialSpec": classes(dangerous={"Config File Registry": _CREDENTIAL}),
    "TaskSpec.ContainerSpec.Privileges.SELinuxContext": classes(
        dangerous={"Disable User Role Type Level": _CONFINEMENT}
    ),
    "TaskSpec.ContainerSpec.Privileges.Seccomp": classes(confined={"Mode Profile": _CONFINEMENT}),
    "TaskSpec.ContainerSpec.Privileges.AppArmor": classes(confined={"Mode": _CONFINEMENT}),
    "TaskSpec.ContainerSpec.DNSConfig": classes("Nameservers Search Options"),
    "TaskSpec.ContainerSpec.Secrets": classes(
        "File", confined={"SecretID SecretName": "shows a secret of the cluster"}
    ),
    "TaskSpec.ContainerSpec.Secrets.File": classes("Name UID GID Mode"),
    "TaskSpec.ContainerSpec.Configs": classes(
        "File Runtime", confined={"ConfigID ConfigName": "shows a config of the cluster"}
    ),
    "TaskSpec.ContainerSpec.Configs.File": classes("Name UID GID Mode"),
    "TaskSpec.ContainerSpec.Ulimits": classes("Soft Hard", confined={"Name": "rtprio and memlock can starve the host"}),
}
