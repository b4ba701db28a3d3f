"""``tidegate gate``: the gate alone, before an engine that is already there.

With ``--upstream`` that is another's, a dockerd or Podman: it stays as it is, and should listen on its unix socket
only. Without, it is ``tidegate engine`` with the same settings, each of which is for one of the two. Clients, roles,
audit and certificates are as with ``tidegate up``.
"""

import argparse
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tidegate.base.errors import InvalidParameterError
from tidegate.base.service_notices import ServiceNotices
from tidegate.cli.family import Family
from tidegate.cli.reloading import Reloading
from tidegate.cli.setting_flags import add_flags, read_file, read_flags, say_valid
from tidegate.cli.starting import begin_as_root
from tidegate.cli.up_settings import GATE_SOCKET, gate_settings
from tidegate.daemon.config import DaemonConfig, decide_config
from tidegate.daemon.settings import GATE_SETTINGS

DEFAULT_HOSTS = ("tcp://127.0.0.1:2376",)
DEFAULT_EXEC_ROOT = "/run/tidegate-gate"
_SCHEME = "unix://"
_log = logging.getLogger("tidegate")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--upstream",
        metavar="unix://PATH",
        help="another engine's socket, as unix:///var/run/docker.sock (default: that of `tidegate engine`)",
    )
    add_flags(parser, GATE_SETTINGS)


def run(args: argparse.Namespace) -> int:
    decide = decide_config if args.upstream is None else decide_gate_config

    def read() -> DaemonConfig:
        return decide(read_flags(args, GATE_SETTINGS), read_file(args))

    config = read()
    if args.upstream is None:
        upstream, pid_path = config.exec_root / GATE_SOCKET, None  # the file's pidfile is the engine's
    else:
        upstream, pid_path = parse_upstream(args.upstream), config.settings.get("pidfile")
    if config.settings.get("validate"):
        gate_settings(config)
        return say_valid(config)
    begin_as_root(config, "tidegate gate must start as root: it then gives the clients' side to nobody")
    return _supervise(config, upstream, pid_path, read)


def parse_upstream(text: str) -> Path:
    """Raises InvalidParameterError."""
    path = text.removeprefix(_SCHEME)
    if not text.startswith(_SCHEME) or not path.startswith("/"):
        raise InvalidParameterError(f"upstream: {text!r} is not unix:// with an absolute path")
    return Path(path)


def decide_gate_config(flags: Mapping[str, Any], file: Mapping[str, Any]) -> DaemonConfig:
    """As of ``tidegate up``, without what is the engine's. Raises InvalidParameterError naming the setting."""
    known = {setting.name for setting in GATE_SETTINGS}
    foreign = sorted(set(file) - known)
    if foreign:
        raise InvalidParameterError(f"{foreign[0]}: is a setting of an engine; take it out of the gate's file")
    exec_root = {} if "exec-root" in flags or "exec-root" in file else {"exec-root": DEFAULT_EXEC_ROOT}
    config = decide_config({**exec_root, **flags}, file, DEFAULT_HOSTS)
    if config.unix_sockets:
        path = config.unix_sockets[0]
        raise InvalidParameterError(f"host: unix://{path} needs a role here: say --gate-socket {path},role=ROLE")
    return config


def _supervise(config: DaemonConfig, upstream: Path, pid_path: str | None, read: Callable[[], DaemonConfig]) -> int:
    from tidegate.cli.gate_family import prepare_gate, start_gate

    gate = gate_settings(config, own_engine=upstream == config.exec_root / GATE_SOCKET)
    if gate is None:
        raise InvalidParameterError("host: there is no door: name a tcp host, or a --gate-socket")
    if not upstream.is_socket():
        _log.warning("upstream: there is no socket at %s yet; clients get a 503 meanwhile", upstream)
    config.exec_root.mkdir(parents=True, exist_ok=True, mode=0o711)
    notices = ServiceNotices.taken_from(os.environ)
    family = Family()
    with family.until_its_end(pid_path):
        started = start_gate(family, prepare_gate(family, config, gate), upstream, notices)
        return family.wait(started.serve, Reloading(config, read, started.processes, started.prepare).reload)
