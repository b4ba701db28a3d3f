"""The doctor's round through a host: each look in turn, into one report."""

import os
from pathlib import Path

from tidegate.cli.certificate_arguments import DEFAULT_DATA_ROOT
from tidegate.cli.doctor.audits import look_at_audits
from tidegate.cli.doctor.benchmark import look_at_benchmark
from tidegate.cli.doctor.certificates import certificate_files, look_at_certificates
from tidegate.cli.doctor.clients import look_at_clients
from tidegate.cli.doctor.containers import look_at_containers
from tidegate.cli.doctor.engines import Engine, find_engines, look_at_engines
from tidegate.cli.doctor.findings import Report
from tidegate.cli.doctor.host import Host
from tidegate.cli.doctor.listeners import look_at_listeners
from tidegate.cli.doctor.sockets import find_sockets, look_at_sockets


def look_at_host(host: Host, data_roots: list[Path]) -> Report:
    """Everything. ``data_roots`` are Tidegate's, beyond the usual one and those of engines that run."""
    report = Report()
    if os.geteuid() != 0:
        report.not_looked_at.append("other people's files and processes: run it as root")
    engines = find_engines(host)
    look_at_listeners(host, report)
    look_at_sockets(host, report)
    look_at_engines(engines, report)
    look_at_benchmark(host, engines, report)
    look_at_containers(_sockets(host, engines), report)
    roots = _data_roots(host, engines, data_roots)
    look_at_certificates(certificate_files(host, engines, roots), report)
    for root in roots:
        look_at_clients(root, report)
        look_at_audits(root, report)
    return report


def _sockets(host: Host, engines: list[Engine]) -> list[Path]:
    """Those found, and those that engines were told to serve."""
    told = [
        host.path(door.removeprefix("unix://")) for engine in engines for door in engine.texts("hosts") if "/" in door
    ]
    served = [path for path in told if path.is_socket()]
    return list({path.resolve(): path for path in [*find_sockets(host), *served]}.values())


def _data_roots(host: Host, engines: list[Engine], given: list[Path]) -> list[Path]:
    running = [host.path(engine.text("data-root")) for engine in engines if engine.text("data-root")]
    roots = [host.path(DEFAULT_DATA_ROOT), *running, *given]
    return [root for root in dict.fromkeys(roots) if (root / "pki").is_dir()]
