"""The engine's answer to ``/_ping``, remembered for a moment.

Every command of a client begins with a ping, and health checks send little else. The gate answers from what the engine
said at most MOST_AGE_S ago: a ping costs one process and not two, and an engine that has died is noticed as quickly.
"""

import time
from collections.abc import Awaitable, Callable

import msgspec

from tidegate.http.hijack import Hijack
from tidegate.http.messages import Response

MOST_AGE_S = 0.2
_MOST_TARGETS = 64
_BODY_LIMIT_BYTES = 4096
OPERATIONS = frozenset({"SystemPing", "SystemPingHead"})


class _Remembered(msgspec.Struct, frozen=True):
    response: Response
    until_s: float


class PingCache:
    """Answers by method and target."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._answers: dict[tuple[str, str], _Remembered] = {}

    def known(self, method: str, target: str) -> Response | None:
        """A fresh enough answer, if there is one."""
        known = self._answers.get((method, target))
        return known.response if known is not None and known.until_s > self._clock_s() else None

    async def answer(
        self, method: str, target: str, ask: Callable[[], Awaitable[Response | Hijack]]
    ) -> Response | Hijack:
        """A fresh enough answer; ``ask`` is the way to the engine and raises what it raises."""
        known = self.known(method, target)
        if known is not None:
            return known
        key, now_s = (method, target), self._clock_s()
        response = await ask()
        if isinstance(response, Hijack):
            return response
        whole = await _whole(response)
        self._answers.pop(key, None)
        if whole.status == 200 and len(self._answers) < _MOST_TARGETS:
            self._answers[key] = _Remembered(whole, now_s + MOST_AGE_S)
        return whole


async def _whole(response: Response) -> Response:
    """The response with its body in memory; it is a few bytes."""
    if isinstance(response.body, bytes):
        return response
    body = b""
    async for piece in response.body:
        body += piece
        if len(body) > _BODY_LIMIT_BYTES:
            break
    headers = tuple((name, value) for name, value in response.headers if name.lower() != "content-length")
    return Response(response.status, headers, body)
