"""What ``tidegate up`` tells the engine process, as one JSON document on its command line."""

from pathlib import Path

import msgspec

from tidegate.base.tracing.settings import TracingSettings
from tidegate.engine.isolation.runtimes import OWN, RuntimeCommand
from tidegate.engine.isolation.user_namespaces import IdMapping
from tidegate.engine.logging.options import DEFAULT_DRIVER
from tidegate.spec.container import Ulimit
from tidegate.spec.host_config import LogConfig


class BridgeRules(msgspec.Struct, frozen=True):
    """Of the default bridge: what ``drivers.bridge.BridgeSettings`` says. ``pools`` are (base, prefix length)."""

    mtu: int = 1500
    icc: bool = True
    masquerade: bool = True
    forward: bool = True
    fixed_cidr: str | None = None
    pools: tuple[tuple[str, int], ...] = ()


class Transfers(msgspec.Struct, frozen=True):
    """How images come: layers of a pull at once, attempts for each, and proxies by scheme (``no``: without one)."""

    downloads: int = 3
    attempts: int = 5
    proxies: dict[str, str] = {}


class ContainerDefaults(msgspec.Struct, frozen=True):
    """What containers get that do not say; ``host_ip`` is where their ports are published.

    ``seccomp_profile`` is a profile's text, "" for Docker's.
    """

    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway: str = ""
    host_ip: str = ""
    init: bool = False
    security_options: tuple[str, ...] = ()
    seccomp_profile: str = ""
    init_path: Path | None = None
    cgroup_parent: str = ""
    ipc_mode: str = "private"
    shm_size_bytes: int = 64 << 20
    ulimits: tuple[Ulimit, ...] = ()
    id_mapping: IdMapping | None = None
    runtimes: dict[str, RuntimeCommand] = {}
    default_runtime: str = OWN
    cdi_directories: tuple[Path, ...] = ()


class EngineProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Paths are absolute; ``bridge_subnet`` is a network in CIDR notation.

    ``log`` is for containers that do not say. Without ``cgroup_namespace`` the host decides: private on cgroup v2, host
    on v1. The engine ends with the process ``parent_pid``, if there is one.
    """

    parent_pid: int | None = None
    data_root: Path
    exec_root: Path
    sockets: tuple[Path, ...]
    socket_group_id: int | None = None
    gate_socket: Path
    bridge: str = "tidegate0"
    bridge_subnet: str | None = None
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    log: LogConfig = LogConfig(DEFAULT_DRIVER)
    log_level: str = "info"
    log_format: str = "text"
    live_restore: bool = True
    shutdown_timeout_s: int = 15
    cgroup_namespace: str | None = None
    restart_unhealthy: bool = False
    labels: tuple[str, ...] = ()
    figures_socket: Path | None = None
    tracing: TracingSettings | None = None
    bridge_rules: BridgeRules = BridgeRules()
    transfers: Transfers = Transfers()
    containers: ContainerDefaults = ContainerDefaults()


def encode_settings(settings: EngineProcessSettings) -> str:
    """As the engine process is given them."""
    return msgspec.json.encode(settings, enc_hook=str).decode()


def decode_settings(text: str) -> EngineProcessSettings:
    """What ``encode_settings`` wrote. Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(text, type=EngineProcessSettings, dec_hook=_decode_path)


def _decode_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{kind} cannot be read from {value!r}")
