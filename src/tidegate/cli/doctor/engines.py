"""Engines that run on this host, and how each was started: its command line and its daemon.json, read as one.

A flag and a key of daemon.json stand under the key's name. What neither says has Docker's default.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.cli.doctor.host import Host, Process

DEFAULT_CONFIG = "/etc/docker/daemon.json"
_KEYS = {
    "host": "hosts",
    "H": "hosts",
    "insecure-registry": "insecure-registries",
    "authorization-plugin": "authorization-plugins",
    "default-ulimit": "default-ulimits",
    "log-opt": "log-opts",
    "storage-opt": "storage-opts",
    "s": "storage-driver",
    "D": "debug",
    "l": "log-level",
    "p": "pidfile",
    "g": "data-root",
    "G": "group",
    "graph": "data-root",
    "b": "bridge",
}
_LISTS = frozenset({"hosts", "insecure-registries", "authorization-plugins", "default-ulimits", "storage-opts"})
_SWITCHES = """
    debug experimental icc init ip-forward ip-masq iptables ip6tables ipv6 live-restore no-live-restore
    no-new-privileges raw-logs rootless selinux-enabled tls tlsverify userland-proxy validate
"""
_BOOLEANS = frozenset(_SWITCHES.split())
Value = str | bool | list[str] | dict[str, object]


class Engine(msgspec.Struct, frozen=True):
    """``kind`` is dockerd, tidegate or podman; ``settings`` by the keys of daemon.json."""

    kind: str
    process: Process
    settings: Mapping[str, Value] = msgspec.field(default_factory=dict)
    config_error: str = ""

    @property
    def where(self) -> str:
        return f"{self.kind}, pid {self.process.pid}"

    def flag(self, key: str, default: bool) -> bool:
        value = self.settings.get(key, default)
        return value if isinstance(value, bool) else str(value).lower() in ("true", "1")

    def text(self, key: str, default: str = "") -> str:
        value = self.settings.get(key, default)
        return value if isinstance(value, str) else default

    def texts(self, key: str) -> list[str]:
        value = self.settings.get(key, [])
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def find_engines(host: Host) -> list[Engine]:
    """One for each start: what a start has forked has its command line."""
    found: dict[tuple[str, ...], Engine] = {}
    for process in host.processes():
        kind, words = _recognise(process.argv)
        if kind and process.argv not in found:
            found[process.argv] = _engine(host, kind, process, words)
    return list(found.values())


def look_at_engines(engines: list[Engine], report: Report) -> None:
    """Doors without a lock, as the start asked for them."""
    for engine in engines:
        report.add(*judge_doors(engine))
        if engine.config_error:
            report.not_looked_at.append(f"settings of {engine.where}: {engine.config_error}")
    report.looked_at.append("engines: " + (", ".join(engine.where for engine in engines) or "none runs"))


def judge_doors(engine: Engine) -> list[Finding]:
    """A TCP door without TLS, or with TLS that asks nobody who he is."""
    findings = []
    doors = [host for host in engine.texts("hosts") if host.startswith("tcp:")]
    verified = engine.flag("tlsverify", False)
    if engine.kind == "tidegate":
        doors = doors if "allow-plaintext" in engine.settings else []
        verified = False
    for door in doors:
        if verified:
            continue
        where = f"{engine.where}, {door}"
        severity = Severity.HIGH if _is_local(door) else Severity.CRITICAL
        if engine.kind == "dockerd" and engine.flag("tls", "tlsverify" in engine.settings):
            what = "The engine was started with TLS that asks no client for a certificate"
            findings.append(Finding("engine-without-client-auth", severity, what, where, "start it with --tlsverify"))
        elif engine.kind != "tidegate" or not door.endswith(":2376"):
            what = "The engine was started with a door without TLS: whoever reaches it is root"
            mend = (
                f"take {door} out of its flags and daemon.json; serve 2376 with TLS (`tidegate gate`, or --tlsverify)"
            )
            findings.append(Finding("engine-plaintext", severity, what, where, mend))
    return findings


def _is_local(door: str) -> bool:
    return door.startswith(("tcp://127.", "tcp://localhost", "tcp://[::1]", "tcp:127.", "tcp:localhost"))


def _recognise(argv: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The kind of engine that a command line starts, and its own words; "" for none."""
    names = [Path(word).name for word in argv[:3]]
    is_python = names[:1] != [] and names[0].startswith("python")
    rest = argv[1 + names.index("-m") if "-m" in names else 1 :] if is_python else argv
    program = Path(rest[0]).name if rest else ""
    if program == "dockerd":
        return "tidegate" if is_python else "dockerd", rest[1:]  # in Python it is a link to ours
    if program == "podman" and "service" in rest:
        return "podman", tuple(f"--host={word}" for word in rest if word.startswith("tcp:"))
    if program == "tidegate" and rest[1:2] in (("up",), ("gate",)):
        return "tidegate", rest[2:]
    return "", ()


def _engine(host: Host, kind: str, process: Process, words: tuple[str, ...]) -> Engine:
    settings = parse_flags(words)
    named = settings.get("config-file", DEFAULT_CONFIG if kind == "dockerd" else "")
    error = ""
    if named:
        try:
            settings = {**parse_config(host.text(str(named))), **settings}
        except ValueError as problem:
            error = f"{named}: {problem}"
    return Engine(kind, process, settings, error)


def parse_flags(words: tuple[str, ...]) -> dict[str, Value]:
    """Flags by the names of daemon.json's keys, as pflag reads them: a boolean's value needs an equals sign."""
    settings: dict[str, Value] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--") and len(name) > 1 and not equals:  # -Htcp://...
            name, value = name[0], name[1:]
        elif not equals and name not in _BOOLEANS and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        key = _KEYS.get(name, name)
        if key in _LISTS:
            known = settings.setdefault(key, [])
            if isinstance(known, list):
                known.append(value)
        else:
            settings[key] = value if value else True
    return settings


def parse_config(text: str) -> dict[str, Value]:
    """A daemon.json; "" is an empty one. Raises ValueError."""
    if not text.strip():
        return {}
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found
