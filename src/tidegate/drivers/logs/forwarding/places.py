"""The forwarder's directory, which is all that engine and forwarder have in common: nothing is said but by files.

- ``ID/ID.log`` and its rotated files: the local log of a container that has a remote one.
- ``assigned/ID.json``: what is to be sent where, and whether the container is over. Written whole, by the engine; a
  forwarder deletes one when it is done with a container that was removed.
- ``positions/ID``: how far it was sent; the forwarder's.
- ``forwarder.lock``: locked by the forwarder that runs.
"""

import shutil
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.engine.logging.remote import RemoteLog


class Stage(Enum):
    """A container that ended may run again; one that was removed does not, and its log goes when it is sent."""

    RUNNING = "running"
    ENDED = "ended"
    REMOVED = "removed"


class Assignment(msgspec.Struct, frozen=True):
    """``since_s`` is unix time: since when it is at this stage."""

    remote: RemoteLog
    stage: Stage
    since_s: float


class Places(NamedTuple):
    """Below ``root``."""

    root: Path

    @property
    def assigned(self) -> Path:
        return self.root / "assigned"

    @property
    def positions(self) -> Path:
        return self.root / "positions"

    @property
    def lock(self) -> Path:
        return self.root / "forwarder.lock"

    def directory(self, container_id: str) -> Path:
        """Of the container's log alone: who waits for it to grow is not woken by others."""
        return self.root / container_id

    def log(self, container_id: str) -> Path:
        """The newest file of the local log."""
        return self.directory(container_id) / f"{container_id}.log"

    def position(self, container_id: str) -> Path:
        return self.positions / container_id

    def make(self) -> None:
        """The directories. Raises OSError."""
        for directory in (self.root, self.assigned, self.positions):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def ids(self) -> Iterable[str]:
        """Of every container that is assigned."""
        return [path.stem for path in self.assigned.glob("[!.]*.json")] if self.assigned.exists() else []

    def read(self, container_id: str) -> Assignment | None:
        """None when there is none. Raises OSError, and msgspec.DecodeError for a damaged one."""
        try:
            return msgspec.json.decode((self.assigned / f"{container_id}.json").read_bytes(), type=Assignment)
        except FileNotFoundError:
            return None

    def write(self, container_id: str, assignment: Assignment) -> None:
        """Raises OSError."""
        temporary = self.assigned / f".{container_id}"
        temporary.write_bytes(msgspec.json.encode(assignment))
        temporary.replace(self.assigned / f"{container_id}.json")

    def forget(self, container_id: str) -> None:
        """Delete everything of a container; the assignment last, so that what is left is found again."""
        shutil.rmtree(self.directory(container_id), ignore_errors=True)
        self.position(container_id).unlink(missing_ok=True)
        (self.assigned / f"{container_id}.json").unlink(missing_ok=True)
