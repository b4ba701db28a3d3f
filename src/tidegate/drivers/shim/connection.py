"""The control connection to the shim: one JSON object a line, answers matched by id, events in a queue.

What the operations mean is in ``tidegate.shim``; what the engine makes of them in ``drivers/shim/runtime.py``.

- One connection serves every caller; answers may come in any order.
- A lost connection fails every call under way with ConnectionLostError and puts None at the end of the events.
"""

import asyncio
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.base.errors import (
    ConflictError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
    NotSupportedError,
    TidegateError,
    UnavailableError,
)

LINE_LIMIT_BYTES = 64 * 1024 * 1024
_KINDS: Mapping[str, type[TidegateError]] = {
    "not_found": NotFoundError,
    "invalid_parameter": InvalidParameterError,
    "conflict": ConflictError,
    "not_supported": NotSupportedError,
    "unavailable": UnavailableError,
}


class ConnectionLostError(UnavailableError):
    """The shim's worker went away: whether it did what was asked is not known. The next one may be asked."""


def error_from(answer: Mapping[str, Any]) -> TidegateError:
    """The error a shim's ``{"kind", "message"}`` stands for; an unknown kind is an internal fault."""
    return _KINDS.get(str(answer.get("kind")), InternalError)(str(answer.get("message", "the shim gave no reason")))


class ShimConnection:
    """One open control connection. Made by :meth:`open`; ended by :meth:`close` or by the peer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self.events: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self._broken = False
        self._receiver = asyncio.create_task(self._receive(), name="shim-connection")

    @classmethod
    async def open(cls, socket_path: Path) -> "ShimConnection":
        """Raises UnavailableError when nothing listens there."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(socket_path), limit=LINE_LIMIT_BYTES)
        except OSError as error:
            raise UnavailableError(f"the shim does not answer at {socket_path}: {error.strerror}") from error
        return cls(reader, writer)

    @property
    def lost(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._broken or self._receiver.done() or self._writer.is_closing()

    async def call(self, op: str, **arguments: object) -> Mapping[str, Any]:
        """Send one operation and wait for its answer. Raises the kind of error the shim names, ConnectionLostError."""
        if self.lost:
            raise ConnectionLostError("the connection to the shim is closed")
        number = next(self._ids)
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n")
            await self._writer.drain()
            return await future
        except OSError as error:
            self._broken = True
            raise ConnectionLostError(f"the shim went away during {op}") from error
        finally:
            self._waiting.pop(number, None)
            if future.done() and not future.cancelled():
                future.exception()  # both the write and the answer failed: one error is enough

    async def close(self) -> None:
        """Idempotent."""
        self._receiver.cancel()
        self._writer.close()
        await asyncio.gather(self._receiver, return_exceptions=True)

    async def _receive(self) -> None:
        try:
            while line := await self._reader.readline():
                self._dispatch(json.loads(line))
        except (OSError, ValueError) as error:
            self._fail_waiting(f"the connection to the shim broke: {error}")
        finally:
            self._fail_waiting("the shim closed the connection")
            self.events.put_nowait(None)

    def _dispatch(self, message: Mapping[str, Any]) -> None:
        if "event" in message:
            self.events.put_nowait(message)
            return
        future = self._waiting.get(int(message["id"]))
        if future is None or future.done():
            return  # its caller was cancelled; the undo of that call finds what it made
        if "error" in message:
            future.set_exception(error_from(message["error"]))
        else:
            future.set_result(message["ok"] or {})

    def _fail_waiting(self, reason: str) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionLostError(reason))
