"""What engines run that owns the host: asked of every engine whose socket may be opened. Only questions are asked."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.cli.doctor.sockets import KNOWN

TIMEOUT_S = 10.0
_MOST_BYTES = 64 * 1024 * 1024
_HOST_TREES = ("/etc", "/root", "/boot", "/proc", "/sys", "/dev", "/usr", "/lib", "/bin", "/sbin", "/var/lib", "/home")
_DATA_ROOTS = ("/var/lib/docker", "/var/lib/tidegate", "/var/lib/containerd", "/var/lib/containers")
_STRONG = {"ALL", "BPF", "DAC_READ_SEARCH", "NET_ADMIN", "PERFMON", "SYSLOG"} | {
    f"SYS_{name}" for name in ("ADMIN", "BOOT", "MODULE", "PTRACE", "RAWIO")
}


class _UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def look_at_containers(sockets: list[Path], report: Report) -> None:
    """Ask each engine for its containers. A socket that is another protocol's is passed over."""
    count, asked = 0, 0
    for path in sockets:
        if path.name not in ("docker.sock", "tidegate.sock", "podman.sock"):
            continue
        try:
            for container in read_containers(path):
                count += 1
                report.add(*judge(container, path))
            asked += 1
        except (OSError, http.client.HTTPException, ValueError) as error:
            report.not_looked_at.append(f"containers behind {path}: {error}")
    report.looked_at.append(f"{count} containers of {asked} engines")


def read_containers(path: Path) -> list[Mapping[str, Any]]:
    """Every container's inspection. Raises OSError, HTTPException, ValueError."""
    connection = _UnixHTTP(path)
    try:
        listed = _get(connection, "/containers/json?all=1")
        return [found for row in listed if (found := _get(connection, f"/containers/{row['Id']}/json"))]
    finally:
        connection.close()


def _get(connection: http.client.HTTPConnection, target: str) -> Any:
    connection.request("GET", target)
    response = connection.getresponse()
    body = response.read(_MOST_BYTES)
    if response.status == http.client.NOT_FOUND:
        return None  # removed meanwhile
    if response.status != http.client.OK:
        raise ValueError(f"GET {target}: {response.status} {body[:200].decode(errors='replace').strip()}")
    return json.loads(body)


def judge(container: Mapping[str, Any], engine: Path) -> list[Finding]:
    """What of the host a container holds. The fields are those of ContainerInspect."""
    name = str(container.get("Name", "")).lstrip("/") or str(container.get("Id", ""))[:12]
    where = f"container {name} ({engine})"
    config = container.get("HostConfig") or {}
    findings = []
    if config.get("Privileged"):
        what = "The container is privileged: root in it is root on this host"
        mend = "run it with the capabilities and devices that it needs"
        findings.append(Finding("privileged-container", Severity.HIGH, what, where, mend))
    for mount in container.get("Mounts") or ():
        if mount.get("Type") != "volume":
            findings += _judge_mount(str(mount.get("Source", "")), bool(mount.get("RW", True)), where)
    for field, what in (("PidMode", "processes"), ("IpcMode", "shared memory"), ("NetworkMode", "network")):
        if config.get(field) == "host":
            severity = Severity.MEDIUM if field == "NetworkMode" else Severity.HIGH
            text = f"The container shares the host's {what} ({field} host)"
            mend = f"run it without --{field.removesuffix('Mode').lower()}=host"
            findings.append(Finding("host-namespace", severity, text, where, mend))
    added = {str(each).upper().removeprefix("CAP_") for each in config.get("CapAdd") or ()}
    if strong := sorted(added & _STRONG):
        what = f"The container has capabilities that lead to the host: {', '.join(strong)}"
        findings.append(Finding("strong-capabilities", Severity.HIGH, what, where, "drop them"))
    if unconfined := [each for each in config.get("SecurityOpt") or () if str(each).endswith("unconfined")]:
        what = f"The container's confinement is switched off: {', '.join(unconfined)}"
        findings.append(Finding("unconfined-container", Severity.HIGH, what, where, "leave the default profile on"))
    return findings


def _judge_mount(source: str, writable: bool, where: str) -> list[Finding]:
    access = "may write to" if writable else "may read"
    if source == "/":
        what = f"The container {access} the host's whole file system"
        severity = Severity.CRITICAL if writable else Severity.HIGH
        return [Finding("host-root-mounted", severity, what, where, "mount the one directory that it needs")]
    if source in KNOWN or Path(source).name in ("docker.sock", "tidegate.sock", "podman.sock", "containerd.sock"):
        what = f"The container holds an engine's socket, {source}: it is root on this host, read-only or not"
        mend = "give it a scoped socket instead (`--gate-socket PATH,role=viewer`)"
        return [Finding("engine-socket-mounted", Severity.CRITICAL, what, where, mend)]
    if source.startswith(_DATA_ROOTS):
        what = f"The container {access} an engine's own data, {source}"
        return [Finding("engine-data-mounted", Severity.HIGH, what, where, "use a volume")]
    if source in _HOST_TREES and (writable or source in ("/root", "/proc", "/dev", "/home", "/var/lib")):
        what = f"The container {access} the host's {source}"
        return [Finding("host-directory-mounted", Severity.HIGH, what, where, "mount the one file that it needs")]
    return []
