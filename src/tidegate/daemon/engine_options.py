"""Settings of the engine that are more than one value: what is asked for, checked, and told to its process.

Pure, but for a profile that a setting names, which is read.

Every function raises InvalidParameterError naming the setting.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tidegate.base.errors import InvalidParameterError, TidegateError
from tidegate.base.sizes import parse_memory_size
from tidegate.daemon.process_settings import BridgeRules, ContainerDefaults, Transfers
from tidegate.engine.isolation.cgroup_parent import plan_cgroup_parent
from tidegate.engine.isolation.namespace_modes import IPC_DEFAULTS
from tidegate.engine.isolation.runtimes import OWN, SECOND, RuntimeCommand
from tidegate.engine.isolation.security_options import UNCONFINED, check_profile
from tidegate.engine.isolation.ulimits import check_ulimit, parse_ulimit
from tidegate.kernel.seccomp.compiler import BUILTIN
from tidegate.spec.container import Ulimit

LOWEST_MTU, HIGHEST_MTU = 68, 65535
_MOST_SUBNETS = 1 << 16
_Command = tuple[str, tuple[str, ...]]
_PROXIES = ("http-proxy", "https-proxy", "no-proxy")


def parse_labels(values: Mapping[str, Any]) -> tuple[str, ...]:
    """``labels``, each once."""
    found: dict[str, str] = {}
    for label in values.get("labels", ()):
        key, equals, value = label.partition("=")
        if not equals or not key:
            raise InvalidParameterError(f"labels: {label!r} is not KEY=VALUE")
        if found.setdefault(key, value) != value:
            raise InvalidParameterError(f"labels: conflict labels for {key}={found[key]} and {label}")
    return tuple(f"{key}={value}" for key, value in found.items())


def parse_transfers(values: Mapping[str, Any], environment: Mapping[str, str]) -> Transfers:
    """Proxies that no setting names are those of the environment, as in dockerd."""
    counts = {}
    for name, default in (("max-concurrent-downloads", 3), ("max-download-attempts", 5)):
        counts[name] = values.get(name, 0) or default
        if counts[name] < 1:
            raise InvalidParameterError(f"{name}: {counts[name]} is no number from 1")
    return Transfers(
        counts["max-concurrent-downloads"], counts["max-download-attempts"], parse_proxies(values, environment)
    )


def parse_proxies(values: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """By scheme, and ``no``; without those that are not set."""
    file = values.get("proxies", {})
    unknown = sorted(set(file) - set(_PROXIES))
    if unknown:
        raise InvalidParameterError(f"proxies: unknown key {unknown[0]!r}: {', '.join(_PROXIES)} are known")
    found = {}
    for name in _PROXIES:
        if name in file and name in values:
            raise InvalidParameterError(f"{name}: given both as a flag and in the configuration file; keep one of them")
        variable = name.replace("-", "_")
        value = values.get(name, file.get(name))
        if value is None:
            value = environment.get(variable.upper()) or environment.get(variable, "")
        if not isinstance(value, str):
            raise InvalidParameterError(f"proxies: {name}: must be a string")
        if value:
            found[name.removesuffix("-proxy")] = value
    return found


def parse_bridge_rules(values: Mapping[str, Any]) -> BridgeRules:
    """``mtu``, ``icc``, ``ip-masq``, ``ip-forward``, ``fixed-cidr``, ``default-address-pools``."""
    mtu = values.get("mtu", 0) or BridgeRules().mtu
    if not LOWEST_MTU <= mtu <= HIGHEST_MTU:
        raise InvalidParameterError(f"mtu: {mtu} is not from {LOWEST_MTU} to {HIGHEST_MTU}")
    fixed = values.get("fixed-cidr") or None
    return BridgeRules(
        mtu=mtu,
        icc=values.get("icc", True),
        masquerade=values.get("ip-masq", True),
        forward=values.get("ip-forward", True),
        fixed_cidr=None if fixed is None else str(_network("fixed-cidr", fixed)),
        pools=tuple(_pool(entry) for entry in values.get("default-address-pools", ())),
    )


def parse_container_defaults(values: Mapping[str, Any]) -> ContainerDefaults:
    """What containers get that do not say."""
    return ContainerDefaults(
        dns=tuple(_address("dns", text) for text in values.get("dns", ())),
        dns_options=tuple(values.get("dns-opts", ())),
        dns_search=tuple(values.get("dns-search", ())),
        host_gateway=parse_host_gateway(values),
        host_ip=_address("ip", values["ip"]) if values.get("ip") else "",
        init=values.get("init", False),
        security_options=_security_options(values),
        seccomp_profile=_seccomp_profile(values.get("seccomp-profile", "")),
        init_path=_path("init-path", values["init-path"]) if values.get("init-path") else None,
        cgroup_parent=_cgroup_parent(values.get("cgroup-parent", "")),
        ipc_mode=_ipc_mode(values.get("default-ipc-mode") or "private"),
        shm_size_bytes=_shm_size(values["default-shm-size"]) if "default-shm-size" in values else 64 << 20,
        ulimits=tuple(parse_default_ulimits(values.get("default-ulimits", {}))),
        runtimes=(named := parse_runtimes(values.get("runtimes", {}))),
        cdi_directories=tuple(_path("cdi-spec-dirs", text) for text in values.get("cdi-spec-dirs", ())),
        default_runtime=_default_runtime(values.get("default-runtime") or OWN, named),
    )


def parse_runtimes(given: Mapping[str, Any] | Sequence[str]) -> dict[str, RuntimeCommand]:
    """``{"name": {"path": "/usr/bin/x", "runtimeArgs": ["--y"]}}`` of the file, or ``name=/usr/bin/x`` of flags."""
    found = {}
    pairs = given.items() if isinstance(given, Mapping) else [text.partition("=")[::2] for text in given]
    for name, fields in pairs:
        if isinstance(fields, str):
            fields = {"path": fields}
        if not isinstance(fields, Mapping) or set(fields) - {"path", "runtimeArgs"}:
            raise InvalidParameterError(
                f"runtimes: {name}: path and runtimeArgs are known: programs with runc's command line are run, "
                "containerd's shims are not"
            )
        try:
            command = RuntimeCommand(*msgspec.convert([fields.get("path"), fields.get("runtimeArgs") or []], _Command))
        except msgspec.ValidationError as error:
            raise InvalidParameterError(f"runtimes: {name}: {error}") from error
        if not name or not command.path:
            raise InvalidParameterError(f"runtimes: {name!r} has no name or no path")
        found[str(name)] = command
    return found


def _security_options(values: Mapping[str, Any]) -> tuple[str, ...]:
    hardened = ("no-new-privileges",) if values.get("no-new-privileges", False) else ()
    return (*hardened, "seccomp=unconfined") if values.get("seccomp-profile") == UNCONFINED else hardened


def _seccomp_profile(text: str) -> str:
    """What the named file says; "" for the one built in."""
    if text in ("", BUILTIN, UNCONFINED):
        return ""
    try:
        profile = _path("seccomp-profile", text).read_text()
        check_profile(profile)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameterError(f"seccomp-profile: {error}") from error
    except TidegateError as error:
        raise InvalidParameterError(f"seccomp-profile: {text}: {error.message}") from error
    return profile


def _path(setting: str, text: str) -> Path:
    if not text.startswith("/"):
        raise InvalidParameterError(f"{setting}: {text!r} is no absolute path")
    return Path(text)


def _default_runtime(name: str, named: Mapping[str, RuntimeCommand]) -> str:
    if name not in {OWN, SECOND, *named}:
        raise InvalidParameterError(f"default-runtime: {name!r} is none of runtimes, nor {OWN} or {SECOND}")
    return name


def _cgroup_parent(text: str) -> str:
    try:
        return plan_cgroup_parent(text and f"/{text}", "")
    except InvalidParameterError as error:
        raise InvalidParameterError(f"cgroup-parent: {error.message}") from error


def _ipc_mode(text: str) -> str:
    if text not in IPC_DEFAULTS:
        raise InvalidParameterError(f"default-ipc-mode: {text!r} is neither private nor shareable")
    return text


def _shm_size(text: str) -> int:
    try:
        return parse_memory_size(text)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"default-shm-size: {error.message}") from error


def parse_default_ulimits(given: Mapping[str, Any] | Sequence[str]) -> Sequence[Ulimit]:
    """``{"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}}`` of the file, or ``nofile=1:2`` of flags."""
    where = "default-ulimits"
    try:
        if not isinstance(given, Mapping):
            return [parse_ulimit(text) for text in given]
        found = []
        for name, fields in given.items():
            limit = msgspec.convert({"Name": name, **fields}, Ulimit)
            check_ulimit(limit)
            if limit.name != name:
                raise InvalidParameterError(f"{name!r} is named {limit.name!r} inside")
            found.append(limit)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"{where}: {error.message}") from error
    except (msgspec.ValidationError, TypeError) as error:
        raise InvalidParameterError(f"{where}: {name!r} is no object with Soft and Hard: {error}") from error
    return found


def parse_host_gateway(values: Mapping[str, Any]) -> str:
    """The IPv4 address of ``host-gateway-ips``, or of its former name; "" leaves it to the bridge."""
    former, given = values.get("host-gateway-ip"), values.get("host-gateway-ips", ())
    if former and given:
        raise InvalidParameterError("host-gateway-ip: is the former name of host-gateway-ips; keep one of them")
    found = [_address("host-gateway-ips", text) for text in ([former] if former else given)]
    if len(found) > 1 or any(":" in address for address in found):
        raise InvalidParameterError("host-gateway-ips: name one IPv4 address: containers have no other")
    return found[0] if found else ""


def _pool(entry: Mapping[str, Any] | str) -> tuple[str, int]:
    """Of ``{"base": "172.30.0.0/16", "size": 24}``, or the same as ``base=...,size=...``."""
    where = "default-address-pools"
    given: Mapping[str, Any] = entry if isinstance(entry, Mapping) else _pairs(entry)
    if set(given) != {"base", "size"} or not str(given["size"]).isdecimal():
        raise InvalidParameterError(f"{where}: {entry!r} is not base=NETWORK,size=PREFIX")
    base, size = _network(where, str(given["base"])), int(given["size"])
    if not base.prefixlen <= size <= 30:
        raise InvalidParameterError(f"{where}: size {size} is not from {base.prefixlen} to 30 for {base}")
    if 1 << (size - base.prefixlen) > _MOST_SUBNETS:
        raise InvalidParameterError(f"{where}: {base} has more than {_MOST_SUBNETS} subnets of size {size}")
    return str(base), size


def _pairs(text: str) -> dict[str, str]:
    pairs: Sequence[tuple[str, str, str]] = [part.partition("=") for part in text.split(",")]
    return {key.strip(): value.strip() for key, _, value in pairs}


def _network(setting: str, text: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise InvalidParameterError(f"{setting}: {text!r} is no IPv4 network: {error}") from error


def _address(setting: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidParameterError(f"{setting}: {text!r} is no IP address") from error
