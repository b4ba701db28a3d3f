"""What containers changed, by a confined child for each question; fits ``engine.file_ports.ContainerLayers``."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from tidegate.drivers.files.children import end_child, first_answer, rest_of, start_child
from tidegate.engine.file_ports import Change, WritableLayer

CHILD = (sys.executable, "-I", "-m", "tidegate.drivers.files.layer_child")


class ComparedLayers(msgspec.Struct, frozen=True):
    """``layer_of`` answers where a container's layers are."""

    layer_of: Callable[[str], WritableLayer]
    child: Sequence[str] = CHILD

    async def changes(self, container_id: str) -> Sequence[Change]:
        """See ``ContainerLayers``."""
        told = b"".join([chunk async for chunk in self._ask(container_id, "changes")])
        return [Change(*json.loads(line)) for line in told.splitlines()]

    def diff(self, container_id: str) -> AsyncIterator[bytes]:
        """See ``ContainerLayers``."""
        return self._ask(container_id, "diff")

    async def _ask(self, container_id: str, operation: str) -> AsyncIterator[bytes]:
        layer = self.layer_of(container_id)
        lowers = [str(path) for path in layer.lowers]
        request = {"operation": operation, "upper": str(layer.upper), "lowers": lowers}
        child = await start_child(self.child, request)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(end_child, child)
            await first_answer(child)
            async for chunk in rest_of(child):
                yield chunk
