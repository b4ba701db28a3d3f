"""One supervised process, container or exec: what was asked, where it stands, and its record on disk.

The record ``ROOT/processes/KEY.json`` is written before an exited process is reaped, so that its exit code outlives a
killed supervisor.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.shim.streams import Streams


@dataclass(slots=True)
class Process:
    """``status`` goes created, starting, running, exited; a failed start ends in failed."""

    container_id: str
    exec_id: str | None
    bundle: str
    oci_process: dict[str, Any]
    cgroup_join: list[str]
    streams: Streams | None
    stdio: dict[str, Any] = field(default_factory=dict)
    log: dict[str, Any] = field(default_factory=dict)
    status: str = "created"
    pid: int = 0
    pidfd: int = -1
    started_at_ns: int = 0
    start_ticks: int = 0
    exit: dict[str, Any] | None = field(default=None)

    @property
    def key(self) -> str:
        return self.container_id if self.exec_id is None else f"{self.container_id}.{self.exec_id}"

    def held_fds(self) -> dict[str, int]:
        """What holders of spares get of it: everything that only its supervisor has."""
        if self.pidfd < 0:
            return {}
        return ({} if self.streams is None else self.streams.held_fds()) | {"pidfd": self.pidfd}

    def entry(self) -> dict[str, Any]:
        """What ``state`` tells of it."""
        return {
            "container_id": self.container_id,
            "exec_id": self.exec_id,
            "status": self.status,
            "pid": self.pid,
            "started_at_ns": self.started_at_ns,
            "exit": self.exit,
        }

    def event(self) -> dict[str, Any]:
        """The ``exited`` event; only for a process with an exit."""
        return {"event": "exited", "container_id": self.container_id, "exec_id": self.exec_id, **(self.exit or {})}


def save(directory: Path, process: Process) -> None:
    """Write the record atomically."""
    record = process.entry() | {
        "bundle": process.bundle,
        "cgroup_join": process.cgroup_join,
        "start_ticks": process.start_ticks,
        "stdio": process.stdio,
        "log": process.log,
        "process": process.oci_process,
    }
    temporary = directory / f".{process.key}"
    temporary.write_text(json.dumps(record))
    temporary.replace(directory / f"{process.key}.json")


def load_all(directory: Path) -> list[Process]:
    """The records an earlier supervisor left; the processes have no streams and no ``pidfd`` yet."""
    found = []
    for path in sorted(directory.glob("*.json")):
        record = json.loads(path.read_text())
        process = Process(
            container_id=record["container_id"],
            exec_id=record["exec_id"],
            bundle=record["bundle"],
            oci_process=record["process"],
            cgroup_join=record["cgroup_join"],
            streams=None,
            stdio=record["stdio"],
            log=record["log"],
            status=record["status"],
            pid=record["pid"],
            started_at_ns=record["started_at_ns"],
            start_ticks=record["start_ticks"],
            exit=record["exit"],
        )
        found.append(process)
    return found
