"""``tidegate engine``: the engine alone, in the foreground; ``tidegate gate`` serves its clients from outside.

Both read the same settings: tcp hosts and what else is the gate's has no effect here. As services they are started and
restarted apart (``tidegate install``).
"""

import argparse
import os
from functools import partial
from pathlib import Path

from tidegate.cli.setting_flags import add_flags, read_file, read_flags, say_valid
from tidegate.cli.starting import begin_as_root
from tidegate.cli.up_settings import GATE_SOCKET, engine_settings, gate_settings
from tidegate.daemon.config import DaemonConfig, decide_config
from tidegate.daemon.settings import SETTINGS


def configure(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, SETTINGS)


def run(args: argparse.Namespace) -> int:
    def read() -> DaemonConfig:
        return decide_config(read_flags(args, SETTINGS), read_file(args))

    config = read()
    gate_socket = config.exec_root / GATE_SOCKET
    settings = engine_settings(config, gate_socket, parent_pid=None)
    if config.settings.get("validate"):
        gate_settings(config)
        return say_valid(config)
    begin_as_root(config, "tidegate engine must run as root: it mounts, and makes namespaces and groups")
    from tidegate.base.allocator import use_one_arena
    from tidegate.base.service_notices import ServiceNotices
    from tidegate.cli.family import pidfile
    from tidegate.cli.reloading import ReloadingItself
    from tidegate.daemon.process import run_engine

    use_one_arena()
    notices = ServiceNotices.taken_from(os.environ)
    Path("/proc/self/comm").write_text("tidegate-engine")
    config.exec_root.mkdir(parents=True, exist_ok=True, mode=0o711)
    with pidfile(config.settings.get("pidfile")):
        run_engine(settings, notices, partial(ReloadingItself, config, read))
    return 0
