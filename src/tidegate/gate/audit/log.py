"""The audit of one gate worker: a line for each decision before it is carried out, and one for its outcome after.

- ``decision`` returns when its line has been handed over, and raises AuditUnavailableError when it could not be: the
  request must then not be carried out. Its line is handed over later, with an outcome that says so.
- Lines of one turn of the loop are written with one system call.
- While anything waits to be written, nothing new is taken up; so what waits is bounded by the requests in flight.
- The head is signed every CHECKPOINT_LINES lines or CHECKPOINT_S seconds, after it is on disk. A signer that stays away
  until MOST_UNSIGNED_LINES stops the requests: an audit without signatures could be written anew.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable

import msgspec

from tidegate.base.errors import TidegateError, UnavailableError
from tidegate.gate.audit.sinks import Sink
from tidegate.spec.audit.chain import Head, seal
from tidegate.spec.audit.records import Checkpoint, Decision, Kind, Outcome, Segment, tidy
from tidegate.spec.audit.verify import MOST_UNSIGNED_LINES

CHECKPOINT_LINES = 1000
CHECKPOINT_S = 10.0
FILE_BYTES = 64 * 1024 * 1024

_STOP_AT = MOST_UNSIGNED_LINES // 2  # outcomes of what is in flight still find room
_UNAVAILABLE = 503
_log = logging.getLogger(__name__)

Sign = Callable[[str, int, str], Awaitable[Checkpoint]]
"""``sign_checkpoint(chain, seq, hash)`` of the registrar; raises TidegateError."""
NextFile = Callable[[], Awaitable[int]]
"""A descriptor of a new file for this chain, from whoever may open one; raises TidegateError or OSError."""


class AuditUnavailableError(UnavailableError):
    """The audit cannot be written or signed; what was asked is not carried out."""


class AuditLog:
    """The writer of one chain. ``begin`` first; ``keep`` runs beside the requests; ``close`` last."""

    def __init__(
        self,
        chain: str,
        head: Head,
        sink: Sink,
        clock_ns: Callable[[], int] = time.time_ns,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self.head = head
        self._chain = chain
        self._sink = sink
        self._clock_ns = clock_ns
        self._file_bytes = file_bytes
        self._lines: list[bytes] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._flush_planned = False
        self._unsigned = 0
        self._wake = asyncio.Event()
        self._failing = False

    def begin(self, segment: Segment) -> None:
        """Write where this writer begins. Raises AuditUnavailableError when it cannot be written."""
        self._append(Kind.SEGMENT, segment)
        lines, self._lines = self._lines, []
        try:
            self._sink.write(lines)
        except OSError as error:
            raise _cannot_write(error) from error

    async def decision(self, record: Decision) -> int:
        """Write ``record``; returns its number, for ``outcome``. Raises AuditUnavailableError: refuse the request."""
        return await self.write(Kind.DECISION, tidy(record))

    async def write(self, kind: Kind, record: msgspec.Struct) -> int:
        """Write any line; returns and raises as ``decision`` does."""
        self.refuse_while_behind()
        seq = self._append(kind, record)
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((seq, written))
        self._plan_flush()
        await written
        return seq

    def outcome(self, record: Outcome) -> None:
        """Note what came of a decision, as ``note`` does."""
        self.note(Kind.OUTCOME, record)

    def note(self, kind: Kind, record: msgspec.Struct) -> None:
        """Take up a line that nobody waits for: it is written with the next ones, at the latest in this turn."""
        self._append(kind, record)
        self._plan_flush()

    async def keep(self, sign: Sign, next_file: NextFile | None = None) -> None:
        """Have the head signed, and change the file when it is full, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECKPOINT_S):
                    await self._wake.wait()
            self._wake.clear()
            if self._unsigned:
                await self._checkpoint(sign)
            if next_file is not None and self._sink.size_bytes >= self._file_bytes:
                await self._rotate(next_file)

    async def close(self, sign: Sign | None = None) -> None:
        """Write what waits and have it signed. Raises nothing: what fails is in the log of the gate."""
        self._flush()
        if sign is not None and self._unsigned:
            await self._checkpoint(sign)
            self._flush()
        self._sink.close()

    def _append(self, kind: Kind, record: msgspec.Struct) -> int:
        line, self.head = seal(self._chain, self.head, kind, self._clock_ns(), record)
        self._lines.append(line)
        if kind != Kind.CHECKPOINT:
            self._unsigned += 1
            if self._unsigned % CHECKPOINT_LINES == 0:
                self._wake.set()
        return self.head.seq

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        lines, self._lines = self._lines, []
        waiting, self._waiting = self._waiting, []
        if not lines:
            return
        try:
            self._sink.write(lines)
        except OSError as error:
            self._refuse(waiting, error)
            return
        self._note_success()
        if self._sink.size_bytes >= self._file_bytes:
            self._wake.set()
        for _, written in waiting:
            if not written.done():
                written.set_result(None)

    def _refuse(self, waiting: list[tuple[int, asyncio.Future[None]]], error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _log.error("the audit cannot be written, and requests are refused: %s", error)
        for seq, written in waiting:
            self._append(Kind.OUTCOME, Outcome(seq, _UNAVAILABLE, 0.0, error="refused: the audit could not be written"))
            if not written.done():
                written.set_exception(_cannot_write(error))
        lines, self._lines = self._lines, []
        with contextlib.suppress(OSError):  # the sink keeps them, and has just told why
            self._sink.write(lines)

    def refuse_while_behind(self) -> None:
        """Raises AuditUnavailableError while nothing new can be taken up."""
        if self._sink.is_behind:
            try:
                self._sink.write(())
            except OSError as error:
                raise _cannot_write(error) from error
            self._note_success()
        if self._unsigned >= _STOP_AT:
            self._wake.set()
            raise AuditUnavailableError("the audit's signer does not answer, so the request was not carried out")

    def _note_success(self) -> None:
        if self._failing:
            self._failing = False
            _log.warning("the audit can be written again")

    async def _checkpoint(self, sign: Sign) -> None:
        head, covered = self.head, self._unsigned
        try:
            self._flush()
            if self._sink.is_behind:
                return
            await asyncio.to_thread(self._sink.sync)
            checkpoint = await sign(self._chain, head.seq, head.hash)
        except (TidegateError, OSError) as error:
            _log.error("the audit's head could not be signed: %s", error)
            return
        self._unsigned -= covered
        self._append(Kind.CHECKPOINT, checkpoint)
        self._plan_flush()

    async def _rotate(self, next_file: NextFile) -> None:
        try:
            fd = await next_file()
        except (TidegateError, OSError) as error:
            _log.error("the audit goes on in a file that is full: no new one: %s", error)
            return
        self._flush()
        if self._sink.is_behind:
            os.close(fd)
            return
        self._sink.switch(fd)
        self._append(Kind.SEGMENT, Segment("rotated"))
        self._flush()


def _cannot_write(error: OSError) -> AuditUnavailableError:
    reason = error.strerror or str(error)
    return AuditUnavailableError(f"the audit cannot be written ({reason}), so the request was not carried out")
