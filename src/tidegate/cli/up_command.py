"""``tidegate up``: certificates, engine and gate, in the foreground.

The two run as processes of their own; when one ends, or on SIGTERM or SIGINT, the other is ended too.
"""

import argparse
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tidegate.base.errors import InternalError, InvalidParameterError, NotSupportedError
from tidegate.cli.up_settings import engine_settings, log_level
from tidegate.daemon.config import DaemonConfig, decide_config, parse_file
from tidegate.daemon.process_settings import encode_settings
from tidegate.daemon.settings import SETTINGS, Kind

GATE_USER = "nobody"
ENGINE_START_DEADLINE_S = 60


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
        elif setting.flag == "allow-plaintext":
            parser.add_argument(*names, dest=destination, action=_Once, nargs="?", const="loopback", help=setting.help)
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
    user = pwd.getpwnam(GATE_USER)
    gate_socket = config.exec_root / "gate.sock"
    settings = engine_settings(config, gate_socket, (user.pw_uid, user.pw_gid))
    engine = [sys.executable, "-m", "tidegate.daemon.process", "--settings", encode_settings(settings)]
    gate = _gate_command(config, gate_socket, user) if config.tcp_hosts else None
    config.exec_root.mkdir(parents=True, exist_ok=True, mode=0o711)
    gate_socket.unlink(missing_ok=True)
    children = [subprocess.Popen(engine)]  # noqa: S603 - our own module
    _wait_for_socket(gate_socket, children[0])
    if gate is not None:
        children.append(subprocess.Popen(gate))  # noqa: S603 - our own module
    pidfile = config.settings.get("pidfile")
    if pidfile:
        Path(pidfile).write_text(f"{os.getpid()}\n")
    try:
        return _wait_for_end(children)
    finally:
        if pidfile:
            Path(pidfile).unlink(missing_ok=True)


def _gate_command(config: DaemonConfig, gate_socket: Path, user: pwd.struct_passwd) -> list[str]:
    command = [sys.executable, "-m", "tidegate.gate.process", "--engine", str(gate_socket)]
    command += ["--log-level", log_level(config.settings)]
    command += ["--parent-pid", str(os.getpid()), "--uid", str(user.pw_uid), "--gid", str(user.pw_gid)]
    for host in config.tcp_hosts:
        place = f"{host.address}:{host.port}"
        command += [f"--listen={place}"] if host.tls else [f"--listen={place}", f"--plaintext={place}"]
    if any(host.tls for host in config.tcp_hosts):
        if not config.verify_clients:
            raise NotSupportedError("tls without client certificates is not offered: use tlsverify")
        for name, path in zip(("ca", "cert", "key"), _tls_files(config), strict=True):
            command += [f"--{name}", str(path)]
    return command


def _tls_files(config: DaemonConfig) -> tuple[Path, Path, Path]:
    given = [config.settings.get(name) for name in ("tlscacert", "tlscert", "tlskey")]
    if all(given):
        return Path(str(given[0])), Path(str(given[1])), Path(str(given[2]))
    if any(given):
        raise InvalidParameterError("tlscacert, tlscert and tlskey belong together: give all three, or none")
    from tidegate.pki.authority import Authority  # cryptography is slow to import

    authority = Authority(config.data_root)
    authority.ensure_all(config.settings.get("tls-san", ()))
    return authority.ca_path, authority.server_directory / "cert.pem", authority.server_directory / "key.pem"


def _wait_for_socket(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + ENGINE_START_DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.01)
    process.terminate()
    raise InternalError("the engine did not start; its message is above")


def _wait_for_end(children: list[subprocess.Popen[bytes]]) -> int:
    """Wait for a signal or the end of a child, then end all; 0 only after a signal."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: asked.append(got))
    while not asked and all(child.poll() is None for child in children):
        time.sleep(0.1)
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return 0 if asked else 1
