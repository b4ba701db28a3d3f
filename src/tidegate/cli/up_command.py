"""``tidegate up``: certificates, engine, registrar and gate, in the foreground.

They run as processes of their own; when one ends, or on SIGTERM or SIGINT, the others are ended too.
"""

import argparse
import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tidegate.base.errors import InternalError, InvalidParameterError
from tidegate.cli.family import Family
from tidegate.cli.up_settings import decoy_settings, engine_settings, gate_settings, registrar_settings
from tidegate.daemon.config import DaemonConfig, decide_config, parse_file
from tidegate.daemon.settings import SETTINGS, Kind
from tidegate.gate.authz_plugins import find_plugin
from tidegate.gate.process import ENGINE, PLUGIN, REGISTRAR, open_entrances
from tidegate.http.listeners import bind_tcp

GATE_USER = "nobody"
START_DEADLINE_S = 60
_WITHOUT_VALUE = {"allow-plaintext": "loopback", "decoy": "0.0.0.0:2375"}


class _Once(argparse.Action):
    """A flag that may be given once."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _o: Any = None
    ) -> None:
        if getattr(namespace, self.dest, None) is not None:
            parser.error(f"--{self.dest.replace('_', '-')} is given twice")
        setattr(namespace, self.dest, values if values is not None else self.const)


def configure(parser: argparse.ArgumentParser) -> None:
    for setting in SETTINGS:
        if setting.flag is None:
            continue
        names = [f"--{setting.flag}", *([f"-{setting.short}"] if setting.short else [])]
        destination = setting.flag.replace("-", "_")
        if setting.kind is Kind.FLAG:
            parser.add_argument(*names, dest=destination, action=_Once, nargs="?", const="true", help=setting.help)
        elif setting.flag in _WITHOUT_VALUE:
            const = _WITHOUT_VALUE[setting.flag]
            parser.add_argument(*names, dest=destination, action=_Once, nargs="?", const=const, help=setting.help)
        elif setting.kind in (Kind.LIST, Kind.MAP):
            parser.add_argument(*names, dest=destination, action="append", help=setting.help)
        else:
            parser.add_argument(*names, dest=destination, action=_Once, help=setting.help)


def run(args: argparse.Namespace) -> int:
    config = decide_config(_flags(args), _file(args))
    if os.geteuid() != 0:
        raise InvalidParameterError("tidegate up must run as root: it mounts, and makes namespaces and control groups")
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return _supervise(config)


def _flags(args: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        value = getattr(args, setting.flag.replace("-", "_"), None) if setting.flag else None
        if value is None:
            continue
        if setting.kind is Kind.FLAG:
            if value not in ("true", "false"):
                raise InvalidParameterError(f"{setting.flag}: {value!r} is neither true nor false")
            value = value == "true"
        elif setting.kind is Kind.NUMBER:
            if not value.isdecimal():
                raise InvalidParameterError(f"{setting.flag}: {value!r} is no number")
            value = int(value)
        values[setting.name] = value
    return values


def _file(args: argparse.Namespace) -> dict[str, Any]:
    if args.config_file is None:
        return {}
    return parse_file(Path(args.config_file).read_text(), args.config_file)


def _supervise(config: DaemonConfig) -> int:
    from tidegate.cli.gate_family import fork_decoy, start_gate
    from tidegate.daemon.process import run_engine  # imported once, here: the forked processes share the pages
    from tidegate.registrar.process import run_registrar

    user = pwd.getpwnam(GATE_USER)
    gate_socket = config.exec_root / "gate.sock"
    settings = engine_settings(config, gate_socket)
    gate = gate_settings(config, (user.pw_uid, user.pw_gid))
    decoy = decoy_settings(config, (user.pw_uid, user.pw_gid), gate is not None)
    plugins = {f"{PLUGIN}{name}": find_plugin(name) for name in gate.plugins} if gate is not None else {}
    config.exec_root.mkdir(parents=True, exist_ok=True, mode=0o711)
    gate_socket.unlink(missing_ok=True)
    pidfile = config.settings.get("pidfile")
    family = Family()
    try:
        entrances = open_entrances(gate) if gate is not None else []  # first: a taken port shall start nothing
        decoy_port = bind_tcp(decoy.address, decoy.port) if decoy is not None else []
        family.hold([*decoy_port, *(each.sock for row in entrances for each in row)])
        family.start("tidegate-engine", lambda: run_engine(settings))
        _wait_for_socket(gate_socket, family, "engine")
        if gate is not None:
            registrar = registrar_settings(config, gate, _tls_files)
            family.start("tidegate-registrar", lambda: run_registrar(registrar))
            _wait_for_socket(registrar.socket, family, "registrar")
            addresses = {ENGINE: gate_socket, REGISTRAR: registrar.socket, **plugins}
            others = []
            if decoy is not None and registrar.decoy_socket is not None:
                others.append(fork_decoy(family, decoy, decoy_port[0], registrar.decoy_socket))
            start_gate(family, gate, entrances, addresses, others)
        if pidfile:
            Path(pidfile).write_text(f"{os.getpid()}\n")
        return family.wait()
    finally:
        family.end()
        if pidfile:
            Path(pidfile).unlink(missing_ok=True)


def _tls_files(config: DaemonConfig) -> tuple[Path, Path, Path]:
    """CA, certificate and key: those that were named, or our own, made now if need be."""
    given = [config.settings.get(name) for name in ("tlscacert", "tlscert", "tlskey")]
    if all(given):
        return Path(str(given[0])), Path(str(given[1])), Path(str(given[2]))
    if any(given):
        raise InvalidParameterError("tlscacert, tlscert and tlskey belong together: give all three, or none")
    # A process of its own: the library for certificates would stay in this one's memory for good.
    command = [sys.executable, "-m", "tidegate", "pki", "--data-root", str(config.data_root), "init"]
    for name in config.settings.get("tls-san", ()):
        command += ["--tls-san", name]
    made = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if made.returncode != 0:
        raise InvalidParameterError(made.stderr.strip() or "the certificates could not be made")
    pki = config.data_root / "pki"
    return pki / "ca.pem", pki / "server/cert.pem", pki / "server/key.pem"


def _wait_for_socket(path: Path, family: Family, what: str) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while not family.has_lost_one() and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.01)
    raise InternalError(f"the {what} did not start; its message is above")
