"""Unix sockets that lead to an engine: who may open one is root."""

import stat
from collections.abc import Callable
from pathlib import Path

from tidegate.cli.doctor.findings import Finding, Report, Severity
from tidegate.cli.doctor.host import Host, group_members, group_name

KNOWN = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/tidegate.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/docker/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
)
_NAMES = frozenset(Path(path).name for path in KNOWN)


def find_sockets(host: Host) -> list[Path]:
    """Sockets of engines, as paths of the host: the usual ones, and all that listen under an engine's name."""
    listed = (row.split()[-1] for row in host.text("/proc/net/unix").splitlines()[1:] if row.count("/"))
    rootless = host.path("/run/user").glob("*/docker.sock"), host.path("/run/user").glob("*/podman/podman.sock")
    named = [*KNOWN, *(path for path in listed if Path(path).name in _NAMES)]
    paths = [host.path(path) for path in named] + [path for found in rootless for path in found]
    present = [path for path in paths if _is_socket(path)]
    return list({path.resolve(): path for path in present}.values())


def look_at_sockets(host: Host, report: Report, members: Callable[[int], list[str]] = group_members) -> None:
    """Judge the mode of each."""
    found = find_sockets(host)
    for path in found:
        report.add(*judge(path, path.stat().st_mode, path.stat().st_gid, members(path.stat().st_gid)))
    report.looked_at.append(f"{len(found)} sockets of engines")


def judge(path: Path, mode: int, gid: int, members: list[str]) -> list[Finding]:
    """``members`` are those of the group ``gid``; root's own does not count."""
    shown = f"{path} (mode {stat.S_IMODE(mode):04o})"
    if mode & stat.S_IWOTH:
        what = "Everybody on this host may open the engine's socket, and whoever opens it is root"
        return [Finding("socket-open-to-all", Severity.CRITICAL, what, shown, f"chmod 0660 {path}")]
    people = [name for name in members if name != "root"]
    if mode & stat.S_IWGRP and gid != 0 and people:
        what = f"Whoever is in the group {group_name(gid)} is root on this host: {', '.join(people)}"
        mend = "give each a role of their own (`tidegate gate`, or `--gate-socket PATH,role=...`) and empty the group"
        return [Finding("socket-group-is-root", Severity.MEDIUM, what, shown, mend)]
    return []


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:
        return False
