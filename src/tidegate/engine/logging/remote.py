"""What a remote log is told of its container, and the port through which containers hand it over."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

import msgspec


class RemoteLog(msgspec.Struct, frozen=True):
    """``options`` are the driver's own, checked; ``attributes`` those of ``plan_attributes``; ``created`` RFC 3339.

    More than ``limit_bytes`` may not wait for the remote; None is as much as the local log holds.
    """

    driver: str
    options: Mapping[str, str]
    tag: str
    container_id: str
    container_name: str
    image_id: str
    image_name: str
    command: str
    created: str
    attributes: Mapping[str, str] = msgspec.field(default_factory=dict)
    limit_bytes: int | None = None


class Undelivered(msgspec.Struct, frozen=True):
    """What of a container's log its remote did not get: ``dropped`` lines, and ``gaps`` of nobody knows how many."""

    dropped: int
    gaps: int


class RemoteLogs(Protocol):
    """Sends what stands in local logs to remotes, at least once, and never makes a container wait.

    It goes on without the engine, and after its own death where it was. Each call is quick and idempotent; a container
    without a remote log is none of its business.
    """

    async def begin(self, remote: RemoteLog, path: Path) -> None:
        """A container is about to run, whose local log is at ``path``. Raises InternalError."""
        ...

    async def end(self, container_id: str) -> None:
        """It ended: once everything is sent, nothing more is to be done for it."""
        ...

    async def remove(self, container_id: str) -> None:
        """It is gone: its local log goes too, when it is sent or has waited long enough."""
        ...

    def undelivered(self) -> Mapping[str, Undelivered]:
        """By container, of those that have a remote log. Reads a few small files."""
        ...

    async def recover(self, known: Collection[str]) -> None:
        """At boot: go on, and remove what is left of containers that are not ``known``. Raises InternalError."""
        ...
