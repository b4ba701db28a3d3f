"""From a decided configuration to what the engine process is told; raises InvalidParameterError naming the setting."""

import grp
import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError, NotSupportedError
from tidegate.base.logs import FORMATS, TEXT
from tidegate.base.tracing.settings import read_tracing
from tidegate.daemon.config import PLAINTEXT_PORT, TLS_PORT, DaemonConfig, parse_hosts
from tidegate.daemon.engine_options import (
    parse_bridge_rules,
    parse_container_defaults,
    parse_labels,
    parse_transfers,
)
from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.daemon.subordinate_ids import resolve_id_mapping
from tidegate.engine.logging.options import DEFAULT_DRIVER, check_log_options
from tidegate.gate.audit.start import FILE, AuditSettings, parse_audit_kind, parse_keep_files
from tidegate.gate.decoy.process import WRITER, DecoyProcessSettings
from tidegate.gate.doors import parse_scoped_socket
from tidegate.gate.process import GateProcessSettings, Listener
from tidegate.http.tls_context import TLSProfile
from tidegate.registrar.ocsp_checks import FROM_CERTIFICATE, OCSPSettings
from tidegate.registrar.process import RegistrarProcessSettings
from tidegate.registrar.sources import TLSFiles
from tidegate.spec.host_config import LogConfig

DEFAULT_BRIDGE = "tidegate0"
GATE_SOCKET = "gate.sock"
FIGURES_SOCKET = "figures.sock"
"""In the exec root: where the engine serves the gate."""
MOST_GATE_WORKERS = 64
_DEFAULT_MOST_GATE_WORKERS = 4


def engine_settings(config: DaemonConfig, gate_socket: Path, parent_pid: int | None) -> EngineProcessSettings:
    """Every setting that is the engine's, which ends with ``parent_pid`` if there is one."""
    values = config.settings
    rules = parse_bridge_rules(values)
    return EngineProcessSettings(
        parent_pid=parent_pid,
        data_root=config.data_root,
        exec_root=config.exec_root,
        sockets=config.unix_sockets,
        socket_group_id=parse_group(values["group"]) if "group" in values else None,
        gate_socket=gate_socket,
        bridge=values.get("bridge", DEFAULT_BRIDGE),
        bridge_subnet=parse_bip(values["bip"]) if values.get("bip") else rules.fixed_cidr,
        registry_mirrors=tuple(values.get("registry-mirrors", ())),
        insecure_registries=tuple(values.get("insecure-registries", ())),
        log=parse_log_defaults(values),
        log_level=log_level(values),
        log_format=log_format(values),
        live_restore=bool(values.get("live-restore", not values.get("no-live-restore", False))),
        shutdown_timeout_s=int(values.get("shutdown-timeout", 15)),
        cgroup_namespace=parse_cgroup_namespace(values.get("default-cgroupns-mode")),
        restart_unhealthy=bool(values.get("restart-unhealthy", False)),
        labels=parse_labels(values),
        tracing=read_tracing(os.environ),
        figures_socket=None if parse_metrics_address(config) is None else gate_socket.with_name(FIGURES_SOCKET),
        bridge_rules=rules,
        transfers=parse_transfers(values, os.environ),
        containers=replace(
            parse_container_defaults(values), id_mapping=resolve_id_mapping(values.get("userns-remap", ""))
        ),
    )


def gate_settings(config: DaemonConfig, *, own_engine: bool = True) -> GateProcessSettings | None:
    """What the gate is told; None without a door. ``own_engine``: the one behind is ours, and tells figures."""
    sockets = tuple(parse_scoped_socket(text) for text in config.settings.get("gate-sockets", ()))
    metrics = parse_metrics_address(config)
    if not config.tcp_hosts and not sockets and metrics is None:
        if "decoy" in config.settings:
            raise InvalidParameterError("decoy: needs a gate beside it: listen on 2376 too (-H tcp://ADDRESS:2376)")
        return None
    if len({each.path for each in sockets} | set(config.unix_sockets)) < len(sockets) + len(config.unix_sockets):
        raise InvalidParameterError("gate-socket: the same path is given twice")
    secured = any(host.tls for host in config.tcp_hosts)
    if secured and not config.verify_clients:
        raise NotSupportedError("tls without client certificates is not offered: use tlsverify")
    return GateProcessSettings(
        parent_pid=os.getpid(),
        listeners=tuple(Listener(host.address, host.port, host.tls) for host in config.tcp_hosts),
        scoped_sockets=sockets,
        audit=audit_settings(config),
        log_level=log_level(config.settings),
        log_format=log_format(config.settings),
        default_role=config.settings.get("default-role", ""),
        tls_profile=parse_tls_profile(config.settings.get("tls-profile", TLSProfile.MODERN)),
        plugins=plugin_names(config.settings),
        metrics=metrics,
        own_engine=own_engine,
        tracing=read_tracing(os.environ),
        workers=parse_gate_workers(config.settings.get("gate-workers"), len(os.sched_getaffinity(0))),
    )


def decoy_settings(config: DaemonConfig, owner: tuple[int, int]) -> DecoyProcessSettings | None:
    """What the decoy is told; None unless it was asked for. Its audit is signed by the gate's registrar."""
    asked = config.settings.get("decoy")
    if asked is None:
        return None
    address, port = parse_decoy(asked)
    audit = replace(audit_settings(config), writer=WRITER)
    root = config.exec_root / "decoy"
    return DecoyProcessSettings(
        os.getpid(), address, port, root, owner, audit, log_level(config.settings), log_format(config.settings)
    )


def audit_settings(config: DaemonConfig) -> AuditSettings:
    """Where decisions are recorded, and how much of it is kept. Raises InvalidParameterError."""
    values = config.settings
    kind, keep = parse_audit_kind(values.get("audit", FILE)), parse_keep_files(values.get("audit-files", 0))
    if keep and kind != FILE:
        raise InvalidParameterError(f"audit-files: there are none with audit {kind}")
    return AuditSettings(config.data_root, kind, keep_files=keep)


def parse_decoy(text: str) -> tuple[str, int]:
    """``[tcp://]ADDRESS[:PORT]``; the port is 2375 unless named. Raises InvalidParameterError."""
    try:
        parts = urlsplit(f"//{text.removeprefix('tcp://')}")
        port = PLAINTEXT_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise InvalidParameterError(f"decoy: {text!r} is no address and port: {error}") from error
    if parts.path or parts.query or parts.username or not parts.hostname:
        raise InvalidParameterError(f"decoy: {text!r} must be ADDRESS or ADDRESS:PORT")
    if port == TLS_PORT:
        raise InvalidParameterError(f"decoy: {port} is the port of the gate; the decoy's is {PLAINTEXT_PORT}")
    return parts.hostname, port


def registrar_settings(
    config: DaemonConfig, gate: GateProcessSettings, tls_files: Callable[[DaemonConfig], tuple[Path, Path, Path]]
) -> RegistrarProcessSettings:
    """What the registrar of that gate is told; ``tls_files`` is asked only when a listener has TLS."""
    for name in ("tls-crls", "tls-ocsp"):
        if name in config.settings and "tlscacert" not in config.settings:
            raise InvalidParameterError(f"{name}: is for certificates of another CA: name that by tlscacert")
    return RegistrarProcessSettings(
        data_root=config.data_root,
        socket=config.exec_root / "registrar.sock",
        decoy_socket=config.exec_root / "signer.sock" if "decoy" in config.settings else None,
        tls=TLSFiles(*tls_files(config)) if any(listener.tls for listener in gate.listeners) else None,
        log_level=log_level(config.settings),
        log_format=log_format(config.settings),
        crls=tuple(Path(path).absolute() for path in config.settings.get("tls-crls", ())),
        ocsp=parse_ocsp(config.settings),
    )


def parse_ocsp(values: Mapping[str, Any]) -> OCSPSettings | None:
    """``tls-ocsp`` and ``tls-ocsp-unreachable``. Raises InvalidParameterError naming the one that is wrong."""
    responder, unreachable = values.get("tls-ocsp"), values.get("tls-ocsp-unreachable")
    if responder is None:
        if unreachable is not None:
            raise InvalidParameterError("tls-ocsp-unreachable: says nothing without tls-ocsp")
        return None
    if unreachable not in (None, "refuse", "admit"):
        raise InvalidParameterError(f"tls-ocsp-unreachable: {unreachable!r} is neither refuse nor admit")
    if responder != FROM_CERTIFICATE and not responder.startswith(("http://", "https://")):
        raise InvalidParameterError(f"tls-ocsp: {responder!r} is neither an http URL nor {FROM_CERTIFICATE}")
    return OCSPSettings(responder, unreachable == "admit")


def parse_tls_profile(text: str) -> TLSProfile:
    """Raises InvalidParameterError."""
    try:
        return TLSProfile(text)
    except ValueError as error:
        raise InvalidParameterError(f"tls-profile: {text!r} is none of {', '.join(TLSProfile)}") from error


def parse_gate_workers(given: int | None, processors: int) -> int:
    """As many as were asked for; else one for each two processors, since engine and clients need theirs."""
    if given is None:
        return min(max(1, processors // 2), _DEFAULT_MOST_GATE_WORKERS)
    if not 1 <= given <= MOST_GATE_WORKERS:
        raise InvalidParameterError(f"gate-workers: {given} is not from 1 to {MOST_GATE_WORKERS}")
    return given


def log_level(values: Mapping[str, Any]) -> str:
    """``debug`` stands for the level of that name."""
    return "debug" if values.get("debug") else str(values.get("log-level", "info"))


def plugin_names(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Of Docker's authorization plugins, each once."""
    return tuple(dict.fromkeys(values.get("authorization-plugins", ())))


def parse_metrics_address(config: DaemonConfig) -> Listener | None:
    """``metrics-addr``; None without. Raises InvalidParameterError."""
    given = config.settings.get("metrics-addr")
    if not given:
        return None
    _, hosts = parse_hosts([f"tcp://{given}"], secured=False)
    host = hosts[0]
    if not host.is_loopback and config.settings.get("allow-plaintext") != "public":
        raise InvalidParameterError(
            f"metrics-addr: {given} is open beyond this machine, and tells of clients and containers to whoever asks; "
            "use a loopback address, or insist with --allow-plaintext=public"
        )
    return Listener(host.address, host.port, tls=False)


def log_format(values: Mapping[str, Any]) -> str:
    """Raises InvalidParameterError."""
    given = values.get("log-format") or TEXT
    if given not in FORMATS:
        raise InvalidParameterError(f"log-format: {given!r} is none of {', '.join(FORMATS)}")
    return str(given)


def parse_group(name: str) -> int:
    """A group's id, by name or number."""
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise InvalidParameterError(f"group: no group {name!r} on this host") from error


def parse_bip(text: str) -> str:
    """The bridge's network; its own address is the first of it."""
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise InvalidParameterError(f"bip: {text!r} is no IPv4 address with a prefix length") from error
    if interface.ip != interface.network.network_address + 1:
        raise InvalidParameterError(f"bip: {text!r} must be the first address of {interface.network}")
    return str(interface.network)


def parse_log_defaults(values: Mapping[str, Any]) -> LogConfig:
    """``log-driver`` and ``log-opts``: a mapping from the file, ``KEY=VALUE`` texts from flags."""
    driver = values.get("log-driver", DEFAULT_DRIVER)
    given = values.get("log-opts", {})
    pairs = given.items() if isinstance(given, Mapping) else [text.partition("=")[::2] for text in given]
    options = dict(pairs)
    for name, value in options.items():
        if not isinstance(value, str):
            raise InvalidParameterError(f'log-opts: {name}: must be a string, as "{value}"')
    try:
        check_log_options(driver, options)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"log-opts: {error.message}") from error
    return LogConfig(driver, options)


def parse_cgroup_namespace(value: object) -> str | None:
    """Raises InvalidParameterError."""
    if value not in (None, "private", "host"):
        raise InvalidParameterError(f"default-cgroupns-mode: {value!r} is neither private nor host")
    return value if value is None else str(value)
