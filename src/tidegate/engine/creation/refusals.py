"""What a create request asks that this engine does not do: refused by name, so that nothing is accepted and ignored."""

import msgspec

from tidegate.base.errors import InvalidParameterError, NotSupportedError
from tidegate.engine.creation.device_rules import check_access, parse_device_rule
from tidegate.engine.creation.sysctls import check_sysctls
from tidegate.engine.isolation.cgroup_parent import plan_cgroup_parent
from tidegate.engine.isolation.device_requests import check_device_requests
from tidegate.engine.isolation.namespace_modes import check_modes
from tidegate.engine.isolation.ulimits import check_ulimit
from tidegate.engine.links.names import check_names
from tidegate.engine.mounts.validation import check_mounts
from tidegate.engine.mounts.volume_options import check_volume_options
from tidegate.spec.container import CreateRequest, EndpointSettings, HostConfig

LOWEST_MEMORY_BYTES = 6 * 1024 * 1024
LOWEST_BLOCK_WEIGHT, HIGHEST_BLOCK_WEIGHT = 10, 1000

_OF_WINDOWS = ("cpu_count", "cpu_percent", "io_maximum_iops", "io_maximum_bandwidth")


def refuse_what_is_not_done(request: CreateRequest) -> None:
    """Raises NotSupportedError for what is not built yet, InvalidParameterError for what cannot be."""
    _refuse_fields(request.host_config)
    check_modes(request)
    plan_cgroup_parent(request.host_config.cgroup_parent, "")
    _refuse_resources(request.host_config)
    _refuse_devices(request.host_config)
    check_sysctls(request.host_config)
    check_device_requests(request.host_config.device_requests)
    check_names(request.host_config)
    for limit in request.host_config.ulimits:
        check_ulimit(limit)
    check_mounts(request.host_config)
    _refuse_volume_drivers(request.host_config)
    for network, endpoint in request.networking_config.endpoints_config.items():
        _refuse_network(network, request.host_config.network_mode)
        if endpoint is not None:
            _refuse_endpoint(network, endpoint)


def _wire_name(field: str) -> str:
    return next(each.encode_name for each in msgspec.structs.fields(HostConfig) if each.name == field)


def _refuse_fields(host: HostConfig) -> None:
    if host.cgroup:
        raise NotSupportedError("HostConfig.Cgroup: the control groups of another container cannot be joined")
    for name in _OF_WINDOWS:
        if getattr(host, name):
            raise InvalidParameterError(f"HostConfig.{_wire_name(name)} has a meaning on Windows only")
    if host.isolation not in ("", "default"):
        raise InvalidParameterError(f'invalid isolation "{host.isolation}" on linux')
    for field in ("masked_paths", "readonly_paths"):
        for path in getattr(host, field) or ():
            if not path.startswith("/"):
                raise InvalidParameterError(f"HostConfig.{_wire_name(field)}: {path!r} is not an absolute path")


def _refuse_resources(host: HostConfig) -> None:
    """In moby's words (``verifyPlatformContainerResources``)."""
    swap, period, quota = host.memory_swap, host.cpu_period, host.cpu_quota
    swappiness = -1 if host.memory_swappiness is None else host.memory_swappiness
    wrong = {
        "Minimum memory limit allowed is 6MB": 0 < host.memory < LOWEST_MEMORY_BYTES,
        "You should always set the Memory limit when using Memoryswap limit, see usage": swap > 0 and not host.memory,
        "Minimum memoryswap limit should be larger than memory limit, see usage": 0 < swap < host.memory,
        "Minimum memory limit can not be less than memory reservation limit, see usage": (
            0 < host.memory < host.memory_reservation
        ),
        f"Invalid value: {swappiness}, valid memory swappiness range is 0-100": not -1 <= swappiness <= 100,
        "Conflicting options: Nano CPUs and CPU Period cannot both be set": bool(host.nano_cpus and period),
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set": bool(host.nano_cpus and quota),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)": (
            bool(period) and not 1000 <= period <= 1_000_000
        ),
        "CPU cfs quota can not be less than 1ms (i.e. 1000)": 0 < quota < 1000,
        f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]": (
            not -1000 <= host.oom_score_adj <= 1000
        ),
        "SHM size can not be less than 0": host.shm_size < 0,
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise InvalidParameterError(message)


def _refuse_devices(host: HostConfig) -> None:
    for rule in host.device_cgroup_rules:
        parse_device_rule(rule)
    for device in host.devices:
        if not device.path_on_host.startswith("/"):
            raise InvalidParameterError(f"Devices.PathOnHost: {device.path_on_host!r} is not an absolute path")
        if device.path_in_container and not device.path_in_container.startswith("/"):
            raise InvalidParameterError(
                f"Devices.PathInContainer: {device.path_in_container!r} is not an absolute path"
            )
        check_access(device.cgroup_permissions)
    weights = [host.blkio_weight, *(device.weight for device in host.blkio_weight_device)]
    if any(weight and not LOWEST_BLOCK_WEIGHT <= weight <= HIGHEST_BLOCK_WEIGHT for weight in weights):
        raise InvalidParameterError("Range of blkio weight is from 10 to 1000")
    throttled = (
        *host.blkio_device_read_bps, *host.blkio_device_write_bps, *host.blkio_device_read_iops,
        *host.blkio_device_write_iops,
    )  # fmt: skip
    if any(device.rate < 0 for device in throttled):
        raise InvalidParameterError("a rate of a blkio device cannot be negative")
    if 0 < host.cpu_realtime_period < host.cpu_realtime_runtime:
        raise InvalidParameterError("cpu real-time runtime cannot be higher than cpu real-time period")


def _refuse_volume_drivers(host: HostConfig) -> None:
    """Not a NotFoundError: at create, the docker CLI takes a 404 for a missing image and pulls."""
    asked = [("", host.volume_driver)]
    for mount in host.mounts:
        driver = mount.volume_options.driver_config if mount.volume_options else None
        asked += [(mount.source, driver.name)] if driver else []
        check_volume_options(driver.options if driver else {})
    for volume, name in asked:
        if name not in ("", "local"):
            raise InvalidParameterError(
                f'create {volume}: error looking up volume plugin {name}: plugin "{name}" not found'
            )


def _refuse_network(network: str, mode: str) -> None:
    """A container is on one network yet, the one of its mode."""
    same = ("", "default", "bridge") if mode in ("", "default", "bridge") else (mode,)
    if network in same:
        return
    if network in ("bridge", "none", "host"):
        raise InvalidParameterError(
            f"EndpointsConfig.{network}: the container is on the network {mode}, and on no other"
        )
    raise InvalidParameterError(f"network {network} not found")


def _refuse_endpoint(network: str, endpoint: EndpointSettings) -> None:
    """On the predefined networks, the only ones yet, addresses and names are not the client's to choose (moby)."""
    ipam = endpoint.ipam_config
    if ipam is not None and (ipam.ipv4_address or ipam.ipv6_address or ipam.link_local_ips):
        raise InvalidParameterError(
            f"invalid config for network {network}: invalid endpoint settings: user specified IP address is supported "
            "on user defined networks only"
        )
    if endpoint.aliases:
        raise InvalidParameterError(
            f"invalid config for network {network}: invalid endpoint settings: network-scoped aliases are only "
            "supported for user-defined networks"
        )
    for wire, value in (("Links", endpoint.links), ("DriverOpts", endpoint.driver_opts)):
        if value:
            raise NotSupportedError(f"EndpointsConfig.{network}.{wire} is not supported by this engine yet")
