"""The CIS Docker Benchmark (1.6) about the engine: section 2 from how it was started, 3.1 to 3.18 from files.

Rows that need a person's judgement, or that only mean something for dockerd, are asked of dockerd alone. A row that
does not apply is left out, so that what is reported can be mended.
"""

import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.cli.doctor.engines import DEFAULT_CONFIG, Engine
from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.cli.doctor.host import Host, group_name

LOW, MEDIUM, HIGH, INFO = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.INFO


class Row(msgspec.Struct, frozen=True):
    """``fails`` says whether an engine breaks it; ``kinds`` whom it is asked of."""

    number: str
    severity: Severity
    what: str
    mend: str
    fails: Callable[[Engine], bool]
    kinds: tuple[str, ...] = ("dockerd",)


def _has_tcp(engine: Engine) -> bool:
    return any(host.startswith("tcp:") for host in engine.texts("hosts"))


def _storage(engine: Engine) -> str:
    return engine.text("storage-driver")


ROWS = (
    Row(
        "2.1", INFO, "The engine runs as root", "consider rootless mode",
        lambda engine: engine.process.uid == 0 and not engine.flag("rootless", False),
    ),
    Row(
        "2.2", MEDIUM, "Containers on the default bridge may reach each other", 'set "icc": false',
        lambda engine: engine.flag("icc", True),
    ),
    Row(
        "2.3", LOW, "The log level is not info", 'set "log-level": "info"',
        lambda engine: engine.flag("debug", False) or engine.text("log-level", "info") != "info",
        ("dockerd", "tidegate"),
    ),
    Row(
        "2.4", MEDIUM, "The engine does not keep its own firewall rules", 'take "iptables": false away',
        lambda engine: not engine.flag("iptables", True),
    ),
    Row(
        "2.5", MEDIUM, "Registries are trusted without TLS", "give them certificates, and empty insecure-registries",
        lambda engine: bool(engine.texts("insecure-registries")), ("dockerd", "tidegate"),
    ),
    Row(
        "2.6", MEDIUM, "The storage driver is one that is no longer maintained", 'set "storage-driver": "overlay2"',
        lambda engine: _storage(engine) in ("aufs", "devicemapper", "overlay"),
    ),
    Row(
        "2.7", HIGH, "A TCP door does not verify its clients",
        "set tlsverify, tlscacert, tlscert and tlskey, or put `tidegate gate` before the engine",
        lambda engine: _has_tcp(engine) and not engine.flag("tlsverify", False),
    ),
    Row(
        "2.8", LOW, "Containers have no default ulimits", 'set "default-ulimits"',
        lambda engine: "default-ulimits" not in engine.settings,
    ),
    Row(
        "2.9", MEDIUM, "Root in a container is root on the host: no user namespaces", 'set "userns-remap": "default"',
        lambda engine: "userns-remap" not in engine.settings and not engine.flag("rootless", False),
    ),
    Row(
        "2.10", MEDIUM, "Containers are put under another cgroup than the engine's own", "take cgroup-parent away",
        lambda engine: "cgroup-parent" in engine.settings,
    ),
    Row(
        "2.12", MEDIUM, "Every client may do everything: nobody authorizes",
        "put `tidegate gate` before the engine, or set authorization-plugins",
        lambda engine: _has_tcp(engine) and not engine.texts("authorization-plugins"),
    ),
    Row(
        "2.13", INFO, "Logs of containers stay on this host", "set a log-driver that sends them elsewhere",
        lambda engine: engine.text("log-driver", "json-file") in ("json-file", "local", "none"),
    ),
    Row(
        "2.14", MEDIUM, "Containers may gain privileges by setuid programs", 'set "no-new-privileges": true',
        lambda engine: not engine.flag("no-new-privileges", False),
    ),
    Row(
        "2.15", LOW, "A restart of the engine stops every container", 'set "live-restore": true',
        lambda engine: not engine.flag("live-restore", False),
    ),
    Row(
        "2.16", LOW, "Published ports go through the userland proxy", 'set "userland-proxy": false',
        lambda engine: engine.flag("userland-proxy", True),
    ),
    Row(
        "2.17", HIGH, "The default seccomp profile is switched off", "take seccomp-profile unconfined away",
        lambda engine: engine.text("seccomp-profile") == "unconfined",
    ),
    Row(
        "2.18", LOW, "Experimental features are on", 'take "experimental": true away',
        lambda engine: engine.flag("experimental", False),
    ),
)  # fmt: skip


class FileRow(msgspec.Struct, frozen=True):
    """A file or directory that must be root's, with a mode no wider than ``mode``."""

    numbers: str
    what: str
    mode: int
    severity: Severity = MEDIUM


UNIT_FILES = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")


def look_at_benchmark(host: Host, engines: list[Engine], report: Report) -> None:
    """All rows, for all engines and for the files that are there."""
    for engine in engines:
        report.add(*judge_engine(engine))
    count = 0
    for path, row in file_rows(host, engines):
        if path.exists():
            count += 1
            report.add(*judge_file(path, row))
    report.looked_at.append(f"CIS rows: {len(ROWS)} for each engine, {count} files")


def judge_engine(engine: Engine) -> list[Finding]:
    """Section 2."""
    return [
        Finding(f"cis-{row.number}", row.severity, row.what, engine.where, row.mend)
        for row in ROWS
        if engine.kind in row.kinds and row.fails(engine)
    ]


def file_rows(host: Host, engines: list[Engine]) -> list[tuple[Path, FileRow]]:
    """Section 3, with the paths that the engines were told."""
    rows = [(host.path(f"{place}/docker.service"), FileRow("3.1/3.2", "docker.service", 0o644)) for place in UNIT_FILES]
    rows += [(host.path(f"{place}/docker.socket"), FileRow("3.3/3.4", "docker.socket", 0o644)) for place in UNIT_FILES]
    rows.append((host.path("/etc/docker"), FileRow("3.5/3.6", "the directory /etc/docker", 0o755)))
    for path in sorted(host.path("/etc/docker/certs.d").glob("*/*")):
        rows.append((path, FileRow("3.7/3.8", "a registry's certificate", 0o444 if path.suffix == ".crt" else 0o400)))
    for engine in engines:
        for key, row in (
            ("tlscacert", FileRow("3.9/3.10", "the CA's certificate", 0o644)),
            ("tlscert", FileRow("3.11/3.12", "the server's certificate", 0o644)),
            ("tlskey", FileRow("3.13/3.14", "the server's key", 0o600, HIGH)),
        ):
            if engine.text(key):
                rows.append((host.path(engine.text(key)), row))
    for config in {engine.text("config-file", DEFAULT_CONFIG) for engine in engines} | {DEFAULT_CONFIG}:
        rows.append((host.path(config), FileRow("3.17/3.18", "daemon.json", 0o644)))
    return rows


def judge_file(path: Path, row: FileRow) -> list[Finding]:
    """Owner and mode. The benchmark asks 0444 and 0400 of certificates and keys; that root may write is no weakness."""
    try:
        status = path.stat()
    except OSError:
        return []
    mode = stat.S_IMODE(status.st_mode)
    owner, ownership = row.numbers.split("/")[0], row.numbers.split("/")[1]
    findings = []
    if status.st_uid != 0 or (status.st_gid != 0 and mode & stat.S_IWGRP):
        what = f"{row.what} belongs to uid {status.st_uid} and the group {group_name(status.st_gid)}, not to root"
        findings.append(Finding(f"cis-{owner}", row.severity, what, str(path), f"chown root:root {path}"))
    allowed = row.mode | stat.S_IWUSR
    if mode & ~allowed:
        what = f"{row.what} has the mode {mode:04o}, wider than {allowed:04o}"
        findings.append(Finding(f"cis-{ownership}", row.severity, what, str(path), f"chmod {allowed:04o} {path}"))
    return findings
