"""The engine's configuration, from command line and daemon.json, decided in one pure step.

- A setting is given once: twice on the command line, or as a flag and in the file, is an error (dockerd does the same).
- An unknown flag or key is an error; a known one without effect here is a warning.
- A TCP host without TLS is refused unless ``--allow-plaintext`` asks for it; off loopback it must say ``public``.
"""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tidegate.base.errors import InvalidParameterError
from tidegate.base.log_levels import LOG_LEVELS
from tidegate.daemon.settings import SETTINGS, Kind, Setting

DEFAULT_DATA_ROOT = Path("/var/lib/tidegate")
DEFAULT_EXEC_ROOT = Path("/run/tidegate")
DEFAULT_HOSTS = ("unix:///run/tidegate.sock", "tcp://127.0.0.1:2376")
PLAINTEXT_PORT = 2375
TLS_PORT = 2376
_BY_KEY = {setting.key: setting for setting in SETTINGS if setting.key}


class TCPHost(msgspec.Struct, frozen=True):
    """A TCP listener; ``address`` is a literal address or a name, empty for every interface."""

    address: str
    port: int
    tls: bool

    @property
    def is_loopback(self) -> bool:
        if self.address == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False


class DaemonConfig(msgspec.Struct, frozen=True):
    """What ``tidegate up`` was asked for; every path is absolute."""

    data_root: Path
    exec_root: Path
    unix_sockets: tuple[Path, ...]
    tcp_hosts: tuple[TCPHost, ...]
    verify_clients: bool
    settings: Mapping[str, Any]
    warnings: tuple[str, ...]


def parse_file(text: str, path: str) -> dict[str, Any]:
    """daemon.json as checked values by key. Raises InvalidParameterError naming file and key."""

    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise InvalidParameterError(f"{path}: the key {key!r} is given twice")
            seen[key] = value
        return seen

    try:
        document = json.loads(text or "{}", object_pairs_hook=refuse_duplicates)
    except ValueError as error:
        raise InvalidParameterError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidParameterError(f"{path}: must be a JSON object")
    for key, value in document.items():
        setting = _BY_KEY.get(key)
        if setting is None:
            raise InvalidParameterError(f"{path}: unknown key {key!r}")
        _check_kind(setting, value, f"{path}: {key}")
    return document


def decide_config(
    flags: Mapping[str, Any], file: Mapping[str, Any], default_hosts: Sequence[str] = DEFAULT_HOSTS
) -> DaemonConfig:
    """Merge checked flags (by setting name) and file; raises InvalidParameterError with the mend."""
    both = sorted(set(flags) & set(file))
    if both:
        raise InvalidParameterError(f"{both[0]}: given both as a flag and in the configuration file; keep one of them")
    values = {**file, **flags}
    by_name = {setting.name: setting for setting in SETTINGS}
    warnings = tuple(filter(None, (by_name[name].warning(values[name]) for name in sorted(values))))
    level = values.get("log-level", "info")
    if level not in LOG_LEVELS:
        raise InvalidParameterError(f"log-level: {level!r} is none of {', '.join(LOG_LEVELS)}")
    if values.get("no-live-restore") and values.get("live-restore"):
        raise InvalidParameterError("no-live-restore: contradicts live-restore; keep one of them")
    # Naming tlsverify, even false, turns TLS on (dockerd).
    secured = "tlsverify" in values or bool(values.get("tls"))
    unix_sockets, tcp_hosts = parse_hosts(values.get("hosts") or _default_hosts(values, default_hosts), secured)
    check_plaintext(tcp_hosts, values.get("allow-plaintext"))
    return DaemonConfig(
        data_root=Path(values.get("data-root", DEFAULT_DATA_ROOT)).absolute(),
        exec_root=Path(values.get("exec-root", DEFAULT_EXEC_ROOT)).absolute(),
        unix_sockets=unix_sockets,
        tcp_hosts=tcp_hosts,
        verify_clients=bool(values.get("tlsverify", not values.get("tls"))),
        settings=values,
        warnings=warnings,
    )


def parse_hosts(hosts: Sequence[str], secured: bool) -> tuple[tuple[Path, ...], tuple[TCPHost, ...]]:
    """Sort ``-H`` values into unix sockets and TCP listeners; port 2376 always has TLS."""
    unix_sockets: list[Path] = []
    tcp_hosts: list[TCPHost] = []
    for host in hosts:
        scheme, separator, rest = host.partition("://")
        if scheme == "unix" and separator and rest.startswith("/"):
            unix_sockets.append(Path(rest))
        elif scheme == "tcp" and separator:
            tcp_hosts.append(_parse_tcp(host, rest, secured))
        else:
            raise InvalidParameterError(f"host: {host!r} is neither unix:///PATH nor tcp://ADDRESS:PORT")
    if len(set(hosts)) != len(hosts):
        raise InvalidParameterError("host: the same address is given twice")
    return tuple(unix_sockets), tuple(tcp_hosts)


def check_plaintext(hosts: Sequence[TCPHost], allowed: str | None) -> None:
    """Refuse what would hand this host to whoever can reach the port."""
    if allowed not in (None, "loopback", "public"):
        raise InvalidParameterError(f"allow-plaintext: {allowed!r} is neither loopback nor public")
    for host in hosts:
        where = f"tcp://{host.address}:{host.port}"
        if host.tls:
            continue
        if allowed is None:
            raise InvalidParameterError(
                f"host: {where} has no TLS, and whoever reaches it is root on this machine; "
                f"use port {TLS_PORT} with mutual TLS, or insist with --allow-plaintext"
            )
        if not host.is_loopback and allowed != "public":
            raise InvalidParameterError(
                f"host: {where} has no TLS and is open beyond this machine: the net is swept for port "
                f"{PLAINTEXT_PORT} all day; insist with --allow-plaintext=public"
            )


def _default_hosts(values: Mapping[str, Any], default_hosts: Sequence[str]) -> Sequence[str]:
    if values.get("tls") and "tlsverify" not in values:
        return ("tcp://localhost:2376",)
    return default_hosts


def _parse_tcp(host: str, rest: str, secured: bool) -> TCPHost:
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port if parts.port is not None else (TLS_PORT if secured else PLAINTEXT_PORT)
    except ValueError as error:
        raise InvalidParameterError(f"host: {host!r} has no valid address and port: {error}") from error
    if parts.path or parts.query or parts.username:
        raise InvalidParameterError(f"host: {host!r} must be tcp://ADDRESS:PORT and nothing more")
    if not 0 < port < 65536:
        raise InvalidParameterError(f"host: {host!r}: the port must be from 1 to 65535")
    return TCPHost(parts.hostname or "", port, tls=secured or port == TLS_PORT)


def _check_kind(setting: Setting, value: object, where: str) -> None:
    expected = {
        Kind.TEXT: (isinstance(value, str), "a string"),
        Kind.FLAG: (isinstance(value, bool), "true or false"),
        Kind.LIST: (isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of strings"),
        Kind.NUMBER: (isinstance(value, int) and not isinstance(value, bool), "a number"),
        Kind.MAP: (isinstance(value, dict), "an object"),
        Kind.OBJECTS: (isinstance(value, list) and all(isinstance(v, dict) for v in value), "a list of objects"),
    }
    fits, wanted = expected[setting.kind]
    if not fits:
        raise InvalidParameterError(f"{where}: must be {wanted}")
