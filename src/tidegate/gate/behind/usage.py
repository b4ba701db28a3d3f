"""What a client's containers take already, asked of the engine, and the lock under which it is asked.

Between the question and the answer to the create nobody else may create for the same client, in any worker of the gate:
else two requests would each find room for one.
"""

import asyncio
import fcntl
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import quote

import msgspec

from tidegate.access.asked import Usage
from tidegate.access.limits.quotas import container_usage
from tidegate.access.objects.ownership import own_filters
from tidegate.base.errors import InternalError, UnavailableError
from tidegate.http.client import UnixClient

T = TypeVar("T")
_ANSWER_BYTES = 16 << 20
_RETRY_S = 0.002
_LOCKS = 1 << 20


class _Listed(msgspec.Struct, rename={"object_id": "Id"}):
    object_id: str


class _Shown(msgspec.Struct, rename="pascal"):
    host_config: dict[str, object]


async def usage_of(engine: UnixClient, owner: str, without: str = "") -> Usage:
    """The sum over ``owner``'s containers but one, by id: that which is about to be updated.

    Raises UnavailableError, InternalError for an answer without sense.
    """
    filters = quote(json.dumps(own_filters({}, owner)))
    found = await _show(engine, f"/containers/json?all=1&filters={filters}", list[_Listed]) or []
    usage = Usage()
    for listed in found:
        shown = None
        if listed.object_id != without:
            shown = await _show(engine, f"/containers/{listed.object_id}/json", _Shown)
        if shown is not None:
            usage = _sum(usage, container_usage(shown.host_config))
    return usage


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.containers + other.containers,
        one.memory_bytes + other.memory_bytes,
        one.nano_cpus + other.nano_cpus,
        one.published_ports + other.published_ports,
    )


async def _show(engine: UnixClient, target: str, kind: type[T]) -> T | None:
    """None for an object that went meanwhile."""
    async with await engine.request("GET", target) as answer:
        content = await answer.read_all(_ANSWER_BYTES)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise UnavailableError(f"GET {target}: {answer.status}")
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise InternalError(f"the engine's answer to GET {target} makes no sense: {error}") from error


class QuotaLocks:
    """One lock for each client: among the tasks of this worker, and by ``fd`` (a shared memfd) among workers.

    fcntl(2) locks are a process's own, so that tasks of one worker need a lock besides.
    """

    def __init__(self, fd: int, timeout_s: float = 30.0) -> None:
        self._fd = fd
        self._timeout_s = timeout_s
        self._held: dict[int, asyncio.Lock] = {}
        self._waiting: dict[int, int] = {}

    @asynccontextmanager
    async def hold(self, owner: str) -> AsyncIterator[None]:
        """Raises UnavailableError when the lock was not to be had in time."""
        place = zlib.crc32(owner.encode()) % _LOCKS
        lock = self._held.setdefault(place, asyncio.Lock())
        self._waiting[place] = self._waiting.get(place, 0) + 1
        try:
            async with lock:
                await self._lock(place)
                try:
                    yield
                finally:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, place)
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place], self._held[place]

    async def _lock(self, place: int) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._timeout_s
        while loop.time() < deadline_s:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except BlockingIOError:
                await asyncio.sleep(_RETRY_S)
            else:
                return
        raise UnavailableError("another request of this client is still being carried out; try again")
