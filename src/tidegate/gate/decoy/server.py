"""The decoy: a lonely engine on 2375 that believes everything, runs nothing, and writes down what it was told to run.

- There is no engine behind it. Each request is one line of the audit (kind ``decoy``), with what was sent; a stream is
  a second one at its end, with what was typed.
- Memory, bodies, streams and lines are bounded; when a flood has used up the budget of lines, visits are only counted.
- When the audit cannot be written it hangs up: an observation that is lost is worth nothing, and a visitor learns less.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable

from tidegate.base.errors import InvalidParameterError, NotFoundError, UnavailableError
from tidegate.gate.audit.line_budget import LineBudget
from tidegate.gate.audit.log import AuditLog
from tidegate.gate.decoy.answers import Persona
from tidegate.gate.decoy.engine import Asked, TakeOver, answer
from tidegate.gate.decoy.visitors import Visitors
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.limits import Limits
from tidegate.http.messages import Request, Response, split_target
from tidegate.spec.audit.chain import bounded
from tidegate.spec.audit.records import DecoyVisit, Kind
from tidegate.spec.catalogue import match

LIMITS = Limits(head_bytes=16 * 1024, headers=64, header_timeout_s=10.0, idle_timeout_s=20.0, connections=64)
BODY_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 20.0
STREAM_S = 60.0
STREAM_BYTES = 256 * 1024
TEXT_BYTES = 16 * 1024
BUDGET_BYTES = 8 * 1024 * 1024
BUDGET_BYTES_PER_S = 1024.0

_log = logging.getLogger(__name__)
_LINE_BYTES = 600
_SWITCHING = 101
_ZEROS = re.compile(rb"\0{2,}")


class Sample:
    """The beginning of what was sent, and size and digest of all of it."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.size_bytes = 0
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.kept += data[: BODY_BYTES - len(self.kept)]
        self.size_bytes += len(data)
        self._hash.update(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}" if self.size_bytes else ""

    @property
    def text(self) -> str:
        """Readable: runs of zeros, of which archives are full, are one."""
        return _ZEROS.sub(b"\0", bytes(self.kept))[:TEXT_BYTES].decode("utf-8", "backslashreplace")


class Decoy:
    """The handler of its HTTP server."""

    def __init__(self, audit: AuditLog, persona: Persona, now_s: Callable[[], float] = time.time) -> None:
        self._audit = audit
        self._persona = persona
        self._now_s = now_s
        self._visitors = Visitors()
        self._budget = LineBudget(now_s, BUDGET_BYTES, BUDGET_BYTES_PER_S)

    async def handle(self, request: Request) -> Response | Hijack:
        """Answer as a lonely engine would; hang up when it cannot be written down, or the body takes too long."""
        sample = Sample()
        try:
            try:
                return await self._answer(request, sample)
            except TimeoutError:
                await self._record(request, sample, "-", 0)
        except UnavailableError as error:
            _log.error("a visit was not recorded: %s", error.message)
        return Hijack(b"", _hang_up)

    async def _answer(self, request: Request, sample: Sample) -> Response | Hijack:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            await _read(request.body.__aiter__(), sample, BODY_BYTES)
        asked = _read_request(request, bytes(sample.kept))
        reply = answer(self._persona, self._visitors.of(request.peer.address), asked, self._now_s())
        await self._record(
            request, sample, asked.operation, _SWITCHING if isinstance(reply, TakeOver) else reply.status
        )
        return self._take_over(request, reply, asked.operation) if isinstance(reply, TakeOver) else reply

    def _take_over(self, request: Request, reply: TakeOver, operation: str) -> Hijack:
        async def run(stream: Stream) -> None:
            sample = Sample()
            try:
                async with asyncio.timeout(STREAM_S):
                    await _converse(stream, sample, reply)
            except (TimeoutError, ConnectionResetError):
                stream.abort()  # long enough, or he left: what he typed is what counts
            stream.close()
            try:
                await self._record(request, sample, f"{operation} input", 0)
            except UnavailableError as error:
                _log.error("a visit was not recorded: %s", error.message)

        upgraded = bool(request.headers.get("upgrade"))
        return Hijack(reply.head(upgraded), run)

    async def _record(self, request: Request, sample: Sample, operation: str, status: int) -> None:
        visit = DecoyVisit(
            address=request.peer.address,
            method=request.method[:16],
            target=_bounded_target(request.target),
            operation=operation,
            status=status,
            user_agent=(request.headers.get("user-agent") or "")[:256],
            document=sample.text,
            document_bytes=sample.size_bytes,
            digest=sample.digest,
            suppressed=self._budget.suppressed,
        )
        if not self._budget.take(_LINE_BYTES + len(visit.document) + len(visit.target)):
            return
        await self._audit.write(Kind.DECOY, visit)
        self._budget.told(visit.suppressed)


async def _hang_up(stream: Stream) -> None:
    stream.abort()


async def _read(body: AsyncIterator[bytes], sample: Sample, limit_bytes: int) -> None:
    async for data in body:
        sample.add(data)
        if sample.size_bytes > limit_bytes:
            return  # the rest stays unread, and the connection is closed after the answer


async def _converse(stream: Stream, sample: Sample, reply: TakeOver) -> None:
    """A shell of few words: what is typed is echoed on a terminal, and every line gets a new prompt."""
    if reply.tty:
        await stream.write(reply.prompt)
    while sample.size_bytes < STREAM_BYTES and (data := await stream.read(4096)):
        sample.add(data)
        if reply.tty:
            echoed = data.replace(b"\r", b"\n").replace(b"\n", b"\r\n" + reply.prompt)
            await stream.write(echoed)


def _read_request(request: Request, body: bytes) -> Asked:
    try:
        path, query = split_target(request.target)
        found = match(request.method, path)
    except (NotFoundError, InvalidParameterError):
        return Asked("-", "", "", body)
    return Asked(found.operation.operation_id, next(iter(found.parameters.values()), ""), query, body)


def _bounded_target(target: str) -> str:
    return bounded(target) if len(target) > 2048 else target
