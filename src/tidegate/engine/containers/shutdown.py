"""Stopping every container at the engine's end: with ``--no-live-restore``, and when the host is shut down.

The records stay as they are: the supervisor keeps the exits, and the next boot feeds them through the one table, so
that restart policies treat the end as the engine's doing and not as a user's stop.
"""

import asyncio
from collections.abc import Sequence

from tidegate.base.errors import NotFoundError
from tidegate.engine.ports import Runtime
from tidegate.model.container import Container
from tidegate.model.lifecycle import SIGKILL
from tidegate.model.phases import ALIVE

_POLL_S = 0.02


async def stop_all(containers: Sequence[Container], runtime: Runtime, timeout_s: float) -> None:
    """Signal each container's init, and kill what is left after the timeout; returns when nothing runs."""
    alive = [container for container in containers if container.state.phase in ALIVE]
    await asyncio.gather(*(_stop(container, runtime, timeout_s) for container in alive))


async def _stop(container: Container, runtime: Runtime, timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        await runtime.signal(container.id, container.state.rules.stop_signal)
        deadline = loop.time() + timeout_s
        while await runtime.pids(container.id):
            if loop.time() > deadline:
                await runtime.unpause(container.id)
                await runtime.signal(container.id, SIGKILL)
                deadline = loop.time() + timeout_s
            await asyncio.sleep(_POLL_S)
    except NotFoundError:
        return  # it has just ended
