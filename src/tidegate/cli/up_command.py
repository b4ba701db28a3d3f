"""``tidegate up``: certificates, engine, gate and registrar, in the foreground.

Engine and gate run as processes of their own, the registrar is this one; when one ends, or on SIGTERM or SIGINT, the
others are ended too.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial

from tidegate.base.reload_link import ReloadedChild, ReloadingChild
from tidegate.base.service_notices import ServiceNotices
from tidegate.cli.family import Family, wait_for_socket
from tidegate.cli.reloading import ReloadedProcess, Reloading, engine_document, prepare_level
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
    if config.settings.get("validate"):
        engine_settings(config, config.exec_root / GATE_SOCKET, None)
        gate_settings(config)
        return say_valid(config)
    begin_as_root(config, "tidegate up must run as root: it mounts, and makes namespaces and control groups")
    return _supervise(config, read)


def _supervise(config: DaemonConfig, read: Callable[[], DaemonConfig]) -> int:
    from tidegate.cli.gate_family import prepare_gate, start_gate
    from tidegate.daemon.process import run_engine  # imported once, here: the forked processes share the pages

    gate_socket = config.exec_root / GATE_SOCKET
    settings = engine_settings(config, gate_socket, os.getpid())
    gate = gate_settings(config)
    config.exec_root.mkdir(parents=True, exist_ok=True, mode=0o711)
    gate_socket.unlink(missing_ok=True)
    notices = ServiceNotices.taken_from(os.environ)
    family = Family()
    with family.until_its_end(config.settings.get("pidfile")):
        prepared = prepare_gate(family, config, gate) if gate is not None else None  # a taken port shall start nothing
        link = family.reload_link()
        reloads = partial(ReloadingChild, link.theirs)
        family.start("tidegate-engine", lambda: run_engine(settings, reloads=reloads), keep=[link.theirs])
        wait_for_socket(gate_socket, family, "engine")
        engine = ReloadedProcess(ReloadedChild("tidegate-engine", link.ours), engine_document)
        if prepared is None:
            family.release()
            return family.wait(notices.tell_until, Reloading(config, read, [engine], prepare_level).reload)
        started = start_gate(family, prepared, gate_socket, notices)
        reloading = Reloading(config, read, [engine, *started.processes], started.prepare)
        return family.wait(started.serve, reloading.reload)
