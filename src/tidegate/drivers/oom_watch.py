"""Containers that run out of memory, told as it happens: one notice of the kernel for each that runs."""

import asyncio
import logging
from collections.abc import Callable

from tidegate.base.errors import TidegateError
from tidegate.kernel.oom_notices import OOMNotice

_log = logging.getLogger(__name__)


class OOMWatch:
    """``open_notice`` opens a container's, None where the host has no means; ``tell`` is called with the id."""

    def __init__(self, open_notice: Callable[[str], OOMNotice | None], tell: Callable[[str], None]) -> None:
        self._open = open_notice
        self._tell = tell
        self._notices: dict[str, OOMNotice] = {}

    def begin(self, container_id: str) -> None:
        """Watch a container that runs; its end is told with its exit in any case, so that a failure is only logged."""
        self.end(container_id)
        try:
            notice = self._open(container_id)
        except TidegateError as error:
            _log.warning("no oom events of container %s: %s", container_id[:12], error.message)
            return
        if notice is not None:
            self._notices[container_id] = notice
            asyncio.get_running_loop().add_reader(notice.fd, self._readable, container_id)

    def end(self, container_id: str) -> None:
        """Idempotent."""
        notice = self._notices.pop(container_id, None)
        if notice is not None:
            asyncio.get_running_loop().remove_reader(notice.fd)
            notice.close()

    def close(self) -> None:
        """End all."""
        for container_id in list(self._notices):
            self.end(container_id)

    def _readable(self, container_id: str) -> None:
        if self._notices[container_id].happened():
            self._tell(container_id)
