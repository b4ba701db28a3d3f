"""What a client writes about a container: the bodies of create, update and exec, and their parts.

Attributes are the snake_case of the JSON names, which are stated field by field. Every field of the specification's
``ContainerConfig``, ``HostConfig`` and ``NetworkingConfig`` is here, with Go's zero value as its default.

- ``| None`` marks what Go keeps as a pointer, or a list whose absence means something else than an empty one;
  for every other field null and absent are the zero value.
- ``omitempty`` names the JSON fields that Docker leaves out of an inspected document when they are zero
  (``codec.document``); all the others are always shown.
- Nothing is validated here beyond types: that is the engine's, after the defaults are known.

Specification: definitions ContainerConfig, NetworkingConfig, EndpointSettings; operations ContainerCreate,
ContainerUpdate, ContainerExec, ExecStart.
"""

from msgspec import field

from tidegate.spec.host_config import (
    BindOptions,
    ConsoleSize,
    DeviceMapping,
    DeviceRequest,
    Document,
    Empty,
    HealthConfig,
    HostConfig,
    ImageOptions,
    LogConfig,
    Mount,
    MountDriver,
    PortBinding,
    Resources,
    RestartPolicy,
    ThrottleDevice,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
    WeightDevice,
    Words,
)

__all__ = [
    "BindOptions",
    "ConsoleSize",
    "ContainerConfig",
    "CreateRequest",
    "DeviceMapping",
    "DeviceRequest",
    "Document",
    "Empty",
    "EndpointIPAMConfig",
    "EndpointSettings",
    "ExecCreateRequest",
    "ExecStartRequest",
    "HealthConfig",
    "HostConfig",
    "ImageOptions",
    "LogConfig",
    "Mount",
    "MountDriver",
    "NetworkingConfig",
    "PortBinding",
    "Resources",
    "RestartPolicy",
    "ThrottleDevice",
    "TmpfsOptions",
    "Ulimit",
    "UpdateRequest",
    "VolumeOptions",
    "WeightDevice",
]

OWN_LABELS = "tidegate."
"""Labels that begin so are written by the gate and by nobody else."""


class ContainerConfig(Document, frozen=True):
    """What is the same on every host. ``mac_address``: sent below API 1.44."""

    omitempty = frozenset(
        {
            "ExposedPorts",
            "Healthcheck",
            "ArgsEscaped",
            "NetworkDisabled",
            "MacAddress",
            "OnBuild",
            "StopSignal",
            "StopTimeout",
            "Shell",
        }
    )
    hostname: str = field(default="", name="Hostname")
    domainname: str = field(default="", name="Domainname")
    user: str = field(default="", name="User")
    attach_stdin: bool = field(default=False, name="AttachStdin")
    attach_stdout: bool = field(default=False, name="AttachStdout")
    attach_stderr: bool = field(default=False, name="AttachStderr")
    exposed_ports: dict[str, Empty] = field(default_factory=dict, name="ExposedPorts")
    tty: bool = field(default=False, name="Tty")
    open_stdin: bool = field(default=False, name="OpenStdin")
    stdin_once: bool = field(default=False, name="StdinOnce")
    env: tuple[str, ...] = field(default=(), name="Env")
    cmd: Words | None = field(default=None, name="Cmd")
    healthcheck: HealthConfig | None = field(default=None, name="Healthcheck")
    args_escaped: bool = field(default=False, name="ArgsEscaped")
    image: str = field(default="", name="Image")
    volumes: dict[str, Empty] = field(default_factory=dict, name="Volumes")
    working_dir: str = field(default="", name="WorkingDir")
    entrypoint: Words | None = field(default=None, name="Entrypoint")
    network_disabled: bool = field(default=False, name="NetworkDisabled")
    mac_address: str = field(default="", name="MacAddress")
    on_build: tuple[str, ...] | None = field(default=None, name="OnBuild")
    labels: dict[str, str] = field(default_factory=dict, name="Labels")
    stop_signal: str = field(default="", name="StopSignal")
    stop_timeout: int | None = field(default=None, name="StopTimeout")
    shell: Words | None = field(default=None, name="Shell")


class EndpointIPAMConfig(Document, frozen=True):
    """Addresses asked of a network."""

    omitempty = frozenset({"IPv4Address", "IPv6Address", "LinkLocalIPs"})
    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")
    link_local_ips: tuple[str, ...] = field(default=(), name="LinkLocalIPs")


class EndpointSettings(Document, frozen=True):
    """A container on a network: first what the user asks, from ``network_id`` on what the engine answers."""

    ipam_config: EndpointIPAMConfig | None = field(default=None, name="IPAMConfig")
    links: tuple[str, ...] = field(default=(), name="Links")
    aliases: tuple[str, ...] = field(default=(), name="Aliases")
    mac_address: str = field(default="", name="MacAddress")
    driver_opts: dict[str, str] = field(default_factory=dict, name="DriverOpts")
    gw_priority: int = field(default=0, name="GwPriority")
    network_id: str = field(default="", name="NetworkID")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = field(default="", name="Gateway")
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = field(default=0, name="GlobalIPv6PrefixLen")
    dns_names: tuple[str, ...] = field(default=(), name="DNSNames")


class NetworkingConfig(Document, frozen=True):
    """Settings by network name or id; null stands for no settings."""

    endpoints_config: dict[str, EndpointSettings | None] = field(default_factory=dict, name="EndpointsConfig")


class CreateRequest(ContainerConfig, frozen=True):
    """Body of POST /containers/create."""

    omitempty = frozenset(
        {
            "ExposedPorts",
            "Healthcheck",
            "ArgsEscaped",
            "NetworkDisabled",
            "MacAddress",
            "OnBuild",
            "StopSignal",
            "StopTimeout",
            "Shell",
        }
    )
    host_config: HostConfig = field(default_factory=HostConfig, name="HostConfig")
    networking_config: NetworkingConfig = field(default_factory=NetworkingConfig, name="NetworkingConfig")


class UpdateRequest(Resources, frozen=True):
    """Body of POST /containers/{id}/update."""

    omitempty = frozenset({"KernelMemory", "KernelMemoryTCP", "Init"})
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy, name="RestartPolicy")


class ExecCreateRequest(Document, frozen=True):
    """Body of POST /containers/{id}/exec."""

    user: str = field(default="", name="User")
    privileged: bool = field(default=False, name="Privileged")
    tty: bool = field(default=False, name="Tty")
    console_size: ConsoleSize | None = field(default=None, name="ConsoleSize")
    attach_stdin: bool = field(default=False, name="AttachStdin")
    attach_stderr: bool = field(default=False, name="AttachStderr")
    attach_stdout: bool = field(default=False, name="AttachStdout")
    detach_keys: str = field(default="", name="DetachKeys")
    env: tuple[str, ...] = field(default=(), name="Env")
    working_dir: str = field(default="", name="WorkingDir")
    cmd: tuple[str, ...] = field(default=(), name="Cmd")


class ExecStartRequest(Document, frozen=True):
    """Body of POST /exec/{id}/start."""

    detach: bool = field(default=False, name="Detach")
    tty: bool = field(default=False, name="Tty")
    console_size: ConsoleSize | None = field(default=None, name="ConsoleSize")
