"""What each field of a container's documents risks: create, update, exec, commit.

Sources: the kernel and runtime that obey the field, and the attacks that used it. ``tidegate.`` labels say who owns an
object, so that every field with labels is confined.
"""

from collections.abc import Mapping

from tidegate.spec.requests.risks import Classes, classes

LABELS = "labels that begin with tidegate. say who owns the object"
_HOST_PATH = "the path is the host's: / or the engine's socket is the host"
_TOP_LEVEL = "engines up to 24 take it for HostConfig's where that is absent"

CONTAINER_RISKS: Mapping[str, Classes] = {
    "ContainerConfig": classes(
        "Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin StdinOnce Env Cmd "
        "Healthcheck ArgsEscaped Volumes WorkingDir Entrypoint NetworkDisabled OnBuild StopSignal StopTimeout Shell "
        "MacAddress",
        confined={"Image": "which registry it comes from, and whose image it is", "Labels": LABELS},
    ),
    "ContainerCreate": classes("HostConfig NetworkingConfig"),
    "TopLevelHostConfig": classes(
        "Cpuset CpusetCpus CpusetMems CpuShares CpuPeriod CpuQuota CpuCount CpuPercent NanoCpus Memory MemorySwap "
        "MemoryReservation MemorySwappiness KernelMemory KernelMemoryTCP PidsLimit BlkioWeight ShmSize ConsoleSize "
        "Init AutoRemove CapDrop ReadonlyRootfs ContainerIDFile",
        dangerous={
            "BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps "
            "DiskQuota IOMaximumIOps IOMaximumBandwidth Isolation Dns DnsOptions DnsSearch ExtraHosts GroupAdd "
            "StorageOpt Tmpfs RestartPolicy CgroupParent CpuRealtimePeriod CpuRealtimeRuntime Devices "
            "DeviceCgroupRules DeviceRequests OomKillDisable Ulimits Binds LogConfig NetworkMode PortBindings "
            "VolumeDriver VolumesFrom Mounts Annotations CapAdd Capabilities CgroupnsMode IpcMode Cgroup Links "
            "OomScoreAdj PidMode Privileged PublishAllPorts SecurityOpt UTSMode UsernsMode Sysctls Runtime "
            "MaskedPaths ReadonlyPaths": _TOP_LEVEL
        },
    ),
    "ContainerUpdate": classes("RestartPolicy"),
    "Resources": classes(
        "CpuShares Memory BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps "
        "BlkioDeviceWriteIOps CpuPeriod CpuQuota CpusetCpus CpusetMems MemoryReservation MemorySwap MemorySwappiness "
        "NanoCpus Init PidsLimit CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth KernelMemory KernelMemoryTCP "
        "DiskQuota",
        confined={
            "CpuRealtimePeriod CpuRealtimeRuntime": "real-time scheduling can starve the host",
            "Devices": "a device of the host: a disk is the host",
            "DeviceCgroupRules": "admits device nodes that the container makes itself: a disk is the host",
            "DeviceRequests": "what a device driver or CDI brings in is the host's choice, not the container's",
            "OomKillDisable": "without a memory limit the host runs out of memory in its stead",
            "Ulimits": "rtprio and memlock can starve the host",
        },
        dangerous={"CgroupParent": "any cgroup of the host: out of every limit, or into another's"},
    ),
    "Resources.BlkioWeightDevice": classes("Path Weight"),
    "ThrottleDevice": classes("Path Rate"),
    "Resources.Ulimits": classes("Soft Hard", confined={"Name": "rtprio and memlock can starve the host"}),
    "DeviceMapping": classes(
        "PathInContainer CgroupPermissions", confined={"PathOnHost": "a device of the host: a disk is the host"}
    ),
    "DeviceRequest": classes(
        "Count",
        confined={"Driver DeviceIDs Capabilities Options": "which devices and mounts a driver or CDI brings in"},
    ),
    "HostConfig": classes(
        "ContainerIDFile LogConfig RestartPolicy AutoRemove ConsoleSize CapDrop Dns DnsOptions DnsSearch ExtraHosts "
        "GroupAdd ReadonlyRootfs StorageOpt Tmpfs ShmSize Isolation",
        confined={
            "Binds": _HOST_PATH,
            "Mounts": "may mount paths of the host, and volumes of others",
            "VolumeDriver": "a volume plugin mounts what it likes",
            "VolumesFrom": "takes the mounts of another container",
            "NetworkMode": "host: every socket of the host; container:X: another's",
            "PortBindings": "takes a port of the host",
            "PublishAllPorts": "takes ports of the host, on every address",
            "Annotations": "the runtime obeys some (run.oci.*, org.systemd.property.*): hooks, units, handlers",
            "CapAdd Capabilities": "ALL, SYS_ADMIN, SYS_MODULE, SYS_PTRACE, DAC_READ_SEARCH, BPF are ways to the host",
            "CgroupnsMode": "host: sees, and may write, the host's cgroups",
            "IpcMode": "host: the host's shared memory; container:X: another's",
            "PidMode": "host: every process of the host, and nsenter into them; container:X: another's",
            "UTSMode": "host: the host's name",
            "UsernsMode": "host: root in the container is root of the host",
            "Cgroup": "container:X joins another's cgroup",
            "Links": "shows the environment of another container",
            "OomScoreAdj": "a negative score has the host's processes killed first",
            "SecurityOpt": "unconfined seccomp, apparmor, labels or systempaths; no-new-privileges=false",
            "Sysctls": "settings of the kernel, some of them the host's",
            "Runtime": "a runtime other than the default may not confine at all",
        },
        dangerous={
            "Privileged": "all capabilities and devices, no seccomp, no masks: root of the host",
            "MaskedPaths ReadonlyPaths": "unmasks /proc and /sys: kernel settings and memory of the host",
        },
    ),
    "HostConfig.LogConfig": classes(
        confined={
            "Type": "some drivers send to any address from the host's network",
            "Config": "the address that the engine sends to, and files of the host",
        }
    ),
    "RestartPolicy": classes("Name MaximumRetryCount"),
    "PortBinding": classes(confined={"HostIp": "an address of the host", "HostPort": "a port of the host"}),
    "Mount": classes(
        "Target ReadOnly Consistency BindOptions VolumeOptions ImageOptions TmpfsOptions ClusterOptions",
        confined={
            "Type": "bind and npipe are the host's, cluster and image others'",
            "Source": _HOST_PATH + "; or another's volume, or an image of any registry",
        },
    ),
    "Mount.BindOptions": classes(
        "NonRecursive CreateMountpoint ReadOnlyForceRecursive",
        confined={
            "Propagation": "shared: mounts made in the container appear on the host",
            "ReadOnlyNonRecursive": "leaves what is mounted below the source writable",
        },
    ),
    "Mount.VolumeOptions": classes("NoCopy Subpath DriverConfig", confined={"Labels": LABELS}),
    "Mount.VolumeOptions.DriverConfig": classes(
        confined={
            "Name": "a volume plugin mounts what it likes",
            "Options": "o=bind and device= make a volume of any path or device of the host",
        }
    ),
    "Mount.ImageOptions": classes("Subpath"),
    "Mount.TmpfsOptions": classes("SizeBytes Mode Options"),
    "HealthConfig": classes("Test Interval Timeout Retries StartPeriod StartInterval"),
    "NetworkingConfig": classes(confined={"EndpointsConfig": "joins a network by its name"}),
    "EndpointSettings": classes(
        "IPAMConfig MacAddress Aliases GwPriority EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway "
        "GlobalIPv6Address GlobalIPv6PrefixLen DNSNames",
        confined={
            "Links": "shows the environment of another container",
            "DriverOpts": "sets sysctls of the interface, and what a network plugin obeys",
            "NetworkID": "names the network to join, in place of the key",
        },
    ),
    "EndpointIPAMConfig": classes("IPv4Address IPv6Address LinkLocalIPs"),
    "ContainerExec": classes(
        "AttachStdin AttachStdout AttachStderr ConsoleSize DetachKeys Tty Env Cmd User WorkingDir Container Detach",
        dangerous={"Privileged": "all capabilities: out of the container"},
    ),
    "ExecStart": classes("Detach Tty ConsoleSize"),
}
