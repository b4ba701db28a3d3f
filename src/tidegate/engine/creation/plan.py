"""From what a client wrote and what the image says to a container that can be made: pure.

``plan_new_container`` merges the image's defaults into the document (as inspect shows it afterwards), works out the
settings the engine acts on, and refuses by name what this engine does not do: nothing is accepted and ignored.
"""

import secrets
import signal
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.containers.service import NewContainer
from tidegate.engine.creation.health_checks import merge_health_config, parse_health_check
from tidegate.engine.creation.port_bindings import parse_ports
from tidegate.engine.creation.refusals import refuse_what_is_not_done
from tidegate.engine.isolation.security_options import with_defaults as with_options
from tidegate.engine.isolation.storage_options import parse_storage_size
from tidegate.engine.isolation.ulimits import with_defaults
from tidegate.engine.isolation.user_namespaces import IdMapping, check_user_namespace
from tidegate.engine.logging.options import DEFAULT_DRIVER, check_log_options, merge_log_config
from tidegate.engine.mounts.binds import split_bind
from tidegate.engine.mounts.volumes_from import Inherited, mounted_targets
from tidegate.model.container import JOINS, Link, MountedImage, Settings, VolumeUse
from tidegate.model.phases import Rules
from tidegate.model.restart import RestartPolicy
from tidegate.spec.codec import encode
from tidegate.spec.container import OWN_LABELS, CreateRequest, Empty, HostConfig, Ulimit, VolumeOptions
from tidegate.spec.host_config import LogConfig

DEFAULT_STOP_TIMEOUT_S = 10
NOTHING_INHERITED = Inherited()
_SIGNALS = {name.removeprefix("SIG"): number for name, number in signal.Signals.__members__.items()}


class SourceImage(msgspec.Struct, frozen=True):
    """The image a container is made of: ``reference`` as the client wrote it, ``config`` the OCI config object.

    ``mounted`` are those that the container mounts.
    """

    reference: str
    image_id: str
    chain_ids: Sequence[str]
    config: Mapping[str, Any]
    mounted: tuple[MountedImage, ...] = ()


class Defaults(msgspec.Struct, frozen=True):
    """What a container gets that the client does not say; written into its document, so that inspect shows it.

    ``icc``: containers of the default bridge reach each other. ``host_name`` is for containers in the host's network.
    """

    log: LogConfig = LogConfig(DEFAULT_DRIVER)
    cgroup_namespace: str = "host"
    restart_unhealthy: bool = False
    ipc_mode: str = "private"
    shm_size_bytes: int = 64 << 20
    host_name: str = ""
    host_ip: str = ""
    icc: bool = True
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    init: bool = False
    security_options: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    runtime: str = "crun"
    id_mapping: IdMapping | None = None


class Related(msgspec.Struct, frozen=True):
    """What a request takes of other containers: what ``VolumesFrom`` gives, and who is linked to."""

    inherited: Inherited = NOTHING_INHERITED
    links: Sequence[Link] = ()


NOTHING_RELATED = Related()


def plan_new_container(
    name: str, image: SourceImage, request: CreateRequest, defaults: Defaults, related: Related = NOTHING_RELATED
) -> NewContainer:
    """``related`` was resolved before. Raises InvalidParameterError, NotSupportedError naming the field."""
    merged = fill_in(merge_image(request, image.config), defaults)
    refuse_what_is_not_done(merged)
    host = merged.host_config
    check_user_namespace(host, host.network_mode, defaults.id_mapping)
    check_log_options(host.log_config.type, host.log_config.config)
    stop_timeout_s = DEFAULT_STOP_TIMEOUT_S if merged.stop_timeout is None else merged.stop_timeout
    return NewContainer(
        name=name,
        image=image.reference,
        image_id=image.image_id,
        labels=merged.labels,
        document=encode(merged),
        settings=Settings(
            chain_ids=tuple(image.chain_ids),
            network="none" if merged.network_disabled else parse_network(host.network_mode),
            ports=tuple(parse_ports(merged, defaults.host_ip)),
            mac_address=parse_mac_address(merged) or None,
            volumes=(*parse_volumes(merged, related.inherited.targets), *related.inherited.volumes),
            inherited_binds=related.inherited.binds,
            images=image.mounted,
            stop_timeout_s=stop_timeout_s,
            links=tuple(related.links),
            rootfs_bytes=parse_storage_size(host.storage_opt),
        ),
        rules=Rules(
            restart=parse_restart_policy(host),
            auto_remove=host.auto_remove,
            stop_signal=parse_signal(merged.stop_signal) if merged.stop_signal else signal.SIGTERM,
            health=parse_health_check(
                merged, restart_unhealthy=defaults.restart_unhealthy, stop_timeout_s=stop_timeout_s
            ),
        ),
    )


def merge_image(request: CreateRequest, image: Mapping[str, Any]) -> CreateRequest:
    """The document with what the image's ``config`` says where the client said nothing."""
    cmd, entrypoint = request.cmd, request.entrypoint
    if not entrypoint:
        if not cmd:
            cmd = tuple(image.get("Cmd") or ()) or None
        if entrypoint is None:
            entrypoint = tuple(image.get("Entrypoint") or ()) or None
    if not (tuple(entrypoint or ()) + tuple(cmd or ())):
        raise InvalidParameterError("no command specified")
    anonymous = {**dict.fromkeys(image.get("Volumes") or {}, Empty()), **request.volumes}
    return msgspec.structs.replace(
        request,
        cmd=cmd,
        entrypoint=entrypoint,
        env=tuple(merge_environment(image.get("Env") or (), request.env)),
        labels={**_labels_of_image(image), **request.labels},
        exposed_ports={**dict.fromkeys(image.get("ExposedPorts") or {}, Empty()), **request.exposed_ports},
        volumes=anonymous,
        healthcheck=merge_health_config(request.healthcheck, image.get("Healthcheck")),
        shell=request.shell or tuple(image.get("Shell") or ()) or None,
        user=request.user or image.get("User") or "",
        working_dir=request.working_dir or image.get("WorkingDir") or "",
        stop_signal=request.stop_signal or image.get("StopSignal") or "",
    )


def _labels_of_image(image: Mapping[str, Any]) -> dict[str, str]:
    """Without Tidegate's own: whoever built the image could write there that he owns each container made of it."""
    labels: Mapping[str, str] = image.get("Labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(OWN_LABELS)}


def fill_in(request: CreateRequest, defaults: Defaults) -> CreateRequest:
    """The document with the engine's defaults where neither client nor image said anything."""
    host = request.host_config
    host = msgspec.structs.replace(
        host,
        log_config=merge_log_config(host.log_config, defaults.log),
        cgroupns_mode=host.cgroupns_mode or defaults.cgroup_namespace,
        ipc_mode=host.ipc_mode or defaults.ipc_mode,
        shm_size=host.shm_size or defaults.shm_size_bytes,
        dns=host.dns or defaults.dns,
        dns_options=host.dns_options or defaults.dns_options,
        dns_search=host.dns_search or defaults.dns_search,
        init=defaults.init or None if host.init is None else host.init,
        runtime=host.runtime or defaults.runtime,
        ulimits=with_defaults(host.ulimits, defaults.ulimits),
        security_opt=with_options(host.security_opt, defaults.security_options),
    )
    shares_name = host.network_mode == "host" and host.uts_mode != "host"
    hostname = request.hostname or (defaults.host_name if shares_name else "")
    return msgspec.structs.replace(request, host_config=host, hostname=hostname)


def merge_environment(defaults: Sequence[str], wanted: Sequence[str]) -> Sequence[str]:
    """The image's variables, each replaced by the client's of the same name; the client's others follow."""
    replaced = {entry.partition("=")[0] for entry in wanted}
    return [*(entry for entry in defaults if entry.partition("=")[0] not in replaced), *wanted]


def parse_signal(text: str) -> int:
    """``TERM``, ``SIGTERM`` or ``15``. Raises InvalidParameterError."""
    if text.isdecimal():
        number = int(text)
        if 0 < number <= signal.SIGRTMAX:
            return number
    else:
        found = _SIGNALS.get(text.upper().removeprefix("SIG"))
        if found is not None:
            return int(found)
    raise InvalidParameterError(f"Invalid signal: {text}")


def parse_restart_policy(host: HostConfig) -> RestartPolicy:
    """Raises InvalidParameterError for an unknown policy or a count that does not fit it."""
    wanted = host.restart_policy
    if host.auto_remove and wanted.name not in ("", "no"):
        raise InvalidParameterError("can't create 'AutoRemove' container with restart policy")
    if wanted.maximum_retry_count < 0:
        raise InvalidParameterError("invalid restart policy: maximum retry count cannot be negative")
    match wanted.name:
        case "" | "no" | "always" | "unless-stopped":
            if wanted.maximum_retry_count:
                raise InvalidParameterError(
                    "invalid restart policy: maximum retry count can only be used with 'on-failure'"
                )
            name = wanted.name or "no"
            return RestartPolicy("no" if name == "no" else "always" if name == "always" else "unless-stopped")
        case "on-failure":
            return RestartPolicy("on-failure", wanted.maximum_retry_count)
    raise InvalidParameterError(f"invalid restart policy: unknown policy '{wanted.name}'")


def parse_network(mode: str) -> str:
    """``bridge``, ``none``, ``host`` or ``container:ID``."""
    if mode in ("", "default", "bridge"):
        return "bridge"
    if mode in ("none", "host") or mode.startswith(JOINS):
        return mode
    # Not a NotFoundError: at create, the docker CLI takes a 404 for a missing image and pulls.
    raise InvalidParameterError(f"network {mode} not found")


def parse_mac_address(request: CreateRequest) -> str:
    """Of the container, as clients below 1.44 say it, or of its endpoint. Raises InvalidParameterError for two."""
    endpoints = request.networking_config.endpoints_config.values()
    wanted = {text.lower() for text in (request.mac_address, *(each.mac_address for each in endpoints if each)) if text}
    if len(wanted) > 1:
        raise InvalidParameterError(f"conflicting MAC addresses: {', '.join(sorted(wanted))}")
    return next(iter(wanted), "")


def parse_volumes(request: CreateRequest, inherited: Collection[str] = ()) -> Iterable[VolumeUse]:
    """Named volumes of ``Binds`` and ``Mounts``, then an anonymous one for each volume path nothing is mounted on."""
    for bind in request.host_config.binds:
        source, target, options = split_bind(bind)
        if not source.startswith("/"):
            yield VolumeUse(source, target, copy_up="nocopy" not in options)
    for mount in request.host_config.mounts:
        if mount.type == "volume":
            wanted = mount.volume_options or VolumeOptions()
            name, path = mount.source or secrets.token_hex(32), mount.target.rstrip("/")
            yield VolumeUse(
                name,
                path,
                not wanted.no_copy,
                anonymous=not mount.source,
                labels=wanted.labels,
                subpath=wanted.subpath,
                driver_options=wanted.driver_config.options if wanted.driver_config else {},
            )
    taken = mounted_targets(request) | set(inherited)
    for path in request.volumes:
        if path.rstrip("/") not in taken:
            yield VolumeUse(secrets.token_hex(32), path.rstrip("/"), anonymous=True)
