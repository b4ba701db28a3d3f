"""What a client writes about a container that depends on the host: ``HostConfig`` and its parts.

Other modules import these names from ``spec.container``, which has the rest of the document and its rules.

Specification: definitions HostConfig, Resources, Mount, RestartPolicy, PortMap, DeviceMapping, HealthConfig.
"""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

UInt16 = Annotated[int, Meta(ge=0, le=65535)]
UInt32 = Annotated[int, Meta(ge=0, le=4294967295)]
ConsoleSize = tuple[UInt32, UInt32]
"""Height and width of a terminal."""
Words = Annotated[tuple[str, ...], Meta(extra={"or_string": True})]
"""A list of words; a bare JSON string is a list of one (moby's ``strslice``)."""


class Document(Struct, frozen=True, kw_only=True):
    """Base of every document."""

    omitempty: ClassVar[frozenset[str]] = frozenset()


class Empty(Document, frozen=True):
    """Go's ``struct{}``: the value of a set."""


class WeightDevice(Document, frozen=True):
    """A block device and its relative weight."""

    path: str = field(default="", name="Path")
    weight: UInt16 = field(default=0, name="Weight")


class ThrottleDevice(Document, frozen=True):
    """A block device and its limit, bytes or operations a second."""

    path: str = field(default="", name="Path")
    rate: int = field(default=0, name="Rate")


class DeviceMapping(Document, frozen=True):
    """A device of the host given to the container."""

    path_on_host: str = field(default="", name="PathOnHost")
    path_in_container: str = field(default="", name="PathInContainer")
    cgroup_permissions: str = field(default="", name="CgroupPermissions")


class DeviceRequest(Document, frozen=True):
    """A request to a device driver; ``capabilities`` is an OR list of AND lists."""

    driver: str = field(default="", name="Driver")
    count: int = field(default=0, name="Count")
    device_ids: tuple[str, ...] = field(default=(), name="DeviceIDs")
    capabilities: tuple[tuple[str, ...], ...] = field(default=(), name="Capabilities")
    options: dict[str, str] = field(default_factory=dict, name="Options")


class Ulimit(Document, frozen=True):
    """A resource limit of processes; -1 is unlimited."""

    name: str = field(default="", name="Name")
    hard: int = field(default=0, name="Hard")
    soft: int = field(default=0, name="Soft")


class RestartPolicy(Document, frozen=True):
    """``name``: "", no, always, unless-stopped, on-failure."""

    name: str = field(default="", name="Name")
    maximum_retry_count: int = field(default=0, name="MaximumRetryCount")


class LogConfig(Document, frozen=True):
    """The log driver; an empty ``type`` is the default driver."""

    type: str = field(default="", name="Type")
    config: dict[str, str] = field(default_factory=dict, name="Config")


class PortBinding(Document, frozen=True):
    """Where on the host a port is published; an empty ``host_port`` is an ephemeral one."""

    host_ip: str = field(default="", name="HostIp")
    host_port: str = field(default="", name="HostPort")


class BindOptions(Document, frozen=True):
    """Options of a mount of type bind."""

    omitempty = frozenset(
        {"Propagation", "NonRecursive", "CreateMountpoint", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"}
    )
    propagation: str = field(default="", name="Propagation")
    non_recursive: bool = field(default=False, name="NonRecursive")
    create_mountpoint: bool = field(default=False, name="CreateMountpoint")
    read_only_non_recursive: bool = field(default=False, name="ReadOnlyNonRecursive")
    read_only_force_recursive: bool = field(default=False, name="ReadOnlyForceRecursive")


class MountDriver(Document, frozen=True):
    """The driver of a volume made by a mount."""

    omitempty = frozenset({"Name", "Options"})
    name: str = field(default="", name="Name")
    options: dict[str, str] = field(default_factory=dict, name="Options")


class VolumeOptions(Document, frozen=True):
    """Options of a mount of type volume."""

    omitempty = frozenset({"NoCopy", "Labels", "Subpath", "DriverConfig"})
    no_copy: bool = field(default=False, name="NoCopy")
    labels: dict[str, str] = field(default_factory=dict, name="Labels")
    subpath: str = field(default="", name="Subpath")
    driver_config: MountDriver | None = field(default=None, name="DriverConfig")


class ImageOptions(Document, frozen=True):
    """Options of a mount of type image."""

    omitempty = frozenset({"Subpath"})
    subpath: str = field(default="", name="Subpath")


class TmpfsOptions(Document, frozen=True):
    """Options of a mount of type tmpfs; ``mode`` is permission bits."""

    omitempty = frozenset({"SizeBytes", "Mode", "Options"})
    size_bytes: int = field(default=0, name="SizeBytes")
    mode: UInt32 = field(default=0, name="Mode")
    options: tuple[tuple[str, ...], ...] = field(default=(), name="Options")


class Mount(Document, frozen=True):
    """``type``: bind, cluster, image, npipe, tmpfs, volume."""

    omitempty = frozenset(
        {
            "Type",
            "Source",
            "Target",
            "ReadOnly",
            "Consistency",
            "BindOptions",
            "VolumeOptions",
            "ImageOptions",
            "TmpfsOptions",
            "ClusterOptions",
        }
    )
    type: str = field(default="", name="Type")
    source: str = field(default="", name="Source")
    target: str = field(default="", name="Target")
    read_only: bool = field(default=False, name="ReadOnly")
    consistency: str = field(default="", name="Consistency")
    bind_options: BindOptions | None = field(default=None, name="BindOptions")
    volume_options: VolumeOptions | None = field(default=None, name="VolumeOptions")
    image_options: ImageOptions | None = field(default=None, name="ImageOptions")
    tmpfs_options: TmpfsOptions | None = field(default=None, name="TmpfsOptions")
    cluster_options: Empty | None = field(default=None, name="ClusterOptions")


class HealthConfig(Document, frozen=True):
    """Durations in nanoseconds, 0 inherits; ``test`` (): inherit, ("NONE",): disable."""

    omitempty = frozenset({"Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"})
    test: tuple[str, ...] = field(default=(), name="Test")
    interval: int = field(default=0, name="Interval")
    timeout: int = field(default=0, name="Timeout")
    start_period: int = field(default=0, name="StartPeriod")
    start_interval: int = field(default=0, name="StartInterval")
    retries: int = field(default=0, name="Retries")


class Resources(Document, frozen=True):
    """Limits. ``kernel_memory`` and ``kernel_memory_tcp``: sent below API 1.42."""

    omitempty = frozenset({"KernelMemory", "KernelMemoryTCP", "Init"})
    cpu_shares: int = field(default=0, name="CpuShares")
    memory: int = field(default=0, name="Memory")
    nano_cpus: int = field(default=0, name="NanoCpus")
    cgroup_parent: str = field(default="", name="CgroupParent")
    blkio_weight: UInt16 = field(default=0, name="BlkioWeight")
    blkio_weight_device: tuple[WeightDevice, ...] = field(default=(), name="BlkioWeightDevice")
    blkio_device_read_bps: tuple[ThrottleDevice, ...] = field(default=(), name="BlkioDeviceReadBps")
    blkio_device_write_bps: tuple[ThrottleDevice, ...] = field(default=(), name="BlkioDeviceWriteBps")
    blkio_device_read_iops: tuple[ThrottleDevice, ...] = field(default=(), name="BlkioDeviceReadIOps")
    blkio_device_write_iops: tuple[ThrottleDevice, ...] = field(default=(), name="BlkioDeviceWriteIOps")
    cpu_period: int = field(default=0, name="CpuPeriod")
    cpu_quota: int = field(default=0, name="CpuQuota")
    cpu_realtime_period: int = field(default=0, name="CpuRealtimePeriod")
    cpu_realtime_runtime: int = field(default=0, name="CpuRealtimeRuntime")
    cpuset_cpus: str = field(default="", name="CpusetCpus")
    cpuset_mems: str = field(default="", name="CpusetMems")
    devices: tuple[DeviceMapping, ...] = field(default=(), name="Devices")
    device_cgroup_rules: tuple[str, ...] = field(default=(), name="DeviceCgroupRules")
    device_requests: tuple[DeviceRequest, ...] = field(default=(), name="DeviceRequests")
    kernel_memory: int = field(default=0, name="KernelMemory")
    kernel_memory_tcp: int = field(default=0, name="KernelMemoryTCP")
    memory_reservation: int = field(default=0, name="MemoryReservation")
    memory_swap: int = field(default=0, name="MemorySwap")
    memory_swappiness: int | None = field(default=None, name="MemorySwappiness")
    oom_kill_disable: bool | None = field(default=None, name="OomKillDisable")
    pids_limit: int | None = field(default=None, name="PidsLimit")
    ulimits: tuple[Ulimit, ...] = field(default=(), name="Ulimits")
    cpu_count: int = field(default=0, name="CpuCount")
    cpu_percent: int = field(default=0, name="CpuPercent")
    io_maximum_iops: int = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: int = field(default=0, name="IOMaximumBandwidth")
    init: bool | None = field(default=None, name="Init")


class HostConfig(Resources, frozen=True):
    """What depends on the host. Masked and read-only paths: None the defaults, () none at all."""

    omitempty = frozenset(
        {
            "KernelMemory",
            "KernelMemoryTCP",
            "Init",
            "Annotations",
            "StorageOpt",
            "Tmpfs",
            "Sysctls",
            "Runtime",
            "Mounts",
        }
    )
    binds: tuple[str, ...] = field(default=(), name="Binds")
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig = field(default_factory=LogConfig, name="LogConfig")
    network_mode: str = field(default="", name="NetworkMode")
    port_bindings: dict[str, tuple[PortBinding, ...]] = field(default_factory=dict, name="PortBindings")
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy, name="RestartPolicy")
    auto_remove: bool = field(default=False, name="AutoRemove")
    volume_driver: str = field(default="", name="VolumeDriver")
    volumes_from: tuple[str, ...] = field(default=(), name="VolumesFrom")
    console_size: ConsoleSize | None = field(default=None, name="ConsoleSize")
    annotations: dict[str, str] = field(default_factory=dict, name="Annotations")
    cap_add: Words = field(default=(), name="CapAdd")
    cap_drop: Words = field(default=(), name="CapDrop")
    cgroupns_mode: str = field(default="", name="CgroupnsMode")
    dns: tuple[str, ...] = field(default=(), name="Dns")
    dns_options: tuple[str, ...] = field(default=(), name="DnsOptions")
    dns_search: tuple[str, ...] = field(default=(), name="DnsSearch")
    extra_hosts: tuple[str, ...] = field(default=(), name="ExtraHosts")
    group_add: tuple[str, ...] = field(default=(), name="GroupAdd")
    ipc_mode: str = field(default="", name="IpcMode")
    cgroup: str = field(default="", name="Cgroup")
    links: tuple[str, ...] = field(default=(), name="Links")
    oom_score_adj: int = field(default=0, name="OomScoreAdj")
    pid_mode: str = field(default="", name="PidMode")
    privileged: bool = field(default=False, name="Privileged")
    publish_all_ports: bool = field(default=False, name="PublishAllPorts")
    readonly_rootfs: bool = field(default=False, name="ReadonlyRootfs")
    security_opt: tuple[str, ...] = field(default=(), name="SecurityOpt")
    storage_opt: dict[str, str] = field(default_factory=dict, name="StorageOpt")
    tmpfs: dict[str, str] = field(default_factory=dict, name="Tmpfs")
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = field(default="", name="UsernsMode")
    shm_size: int = field(default=0, name="ShmSize")
    sysctls: dict[str, str] = field(default_factory=dict, name="Sysctls")
    runtime: str = field(default="", name="Runtime")
    isolation: str = field(default="", name="Isolation")
    mounts: tuple[Mount, ...] = field(default=(), name="Mounts")
    masked_paths: tuple[str, ...] | None = field(default=None, name="MaskedPaths")
    readonly_paths: tuple[str, ...] | None = field(default=None, name="ReadonlyPaths")
