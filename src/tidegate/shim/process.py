"""One supervised process, container or exec: what was asked, where it stands, and its record on disk.

The record ``ROOT/processes/KEY.json`` is written before an exited process is reaped, so that its exit code outlives a
killed supervisor.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.shim.streams import Streams


class Asked(NamedTuple):
    """What the engine asked for: where, what, in which control groups, with which streams, log and OCI runtime.

    ``runtime`` is a program with its first arguments, nothing for crun.
    """

    bundle: str
    oci_process: dict[str, Any]
    cgroup_join: list[str]
    stdio: dict[str, Any]
    log: dict[str, Any]
    runtime: list[str]


class Process:
    """``status`` goes created, starting, running, exited; a failed start ends in failed.

    ``unwanted``: it was released while it was starting, and ends as soon as it has begun.
    """

    def __init__(self, container_id: str, exec_id: str | None, asked: Asked) -> None:
        self.container_id = container_id
        self.exec_id = exec_id
        self.bundle, self.oci_process, self.cgroup_join, self.stdio, self.log, self.runtime = asked
        self.streams: Streams | None = None
        self.status = "created"
        self.pid = 0
        self.pidfd = -1
        self.started_at_ns = 0
        self.start_ticks = 0
        self.exit: dict[str, Any] | None = None
        self.unwanted = False

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
        "runtime": process.runtime,
    }
    temporary = directory / f".{process.key}"
    temporary.write_text(json.dumps(record))
    temporary.replace(directory / f"{process.key}.json")


_ASKED = ("bundle", "process", "cgroup_join", "stdio", "log", "runtime")


def load_all(directory: Path) -> list[Process]:
    """The records an earlier supervisor left; the processes have no streams and no ``pidfd`` yet."""
    found = []
    for path in sorted(directory.glob("*.json")):
        record = json.loads(path.read_text())
        record.setdefault("runtime", [])  # an older supervisor knew of crun only
        asked = Asked(*(record[name] for name in _ASKED))
        process = Process(record["container_id"], record["exec_id"], asked)
        for name in ("status", "pid", "started_at_ns", "start_ticks", "exit"):
            setattr(process, name, record[name])
        found.append(process)
    return found
