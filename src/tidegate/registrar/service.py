"""The registrar's end of its socket: snapshots to every gate worker, answers to their calls.

- A worker gets the present snapshot when it connects, and each new one when it is published.
- Calls are answered in any order; what does them is the desk's.
- A worker that does not read is dropped: it would go on deciding by what is no longer true.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from tidegate.base.errors import InternalError, InvalidParameterError, NotSupportedError, TidegateError
from tidegate.pki.registrar_messages import (
    CALL_LIMIT_BYTES,
    PREFIX,
    Answer,
    Call,
    Reply,
    Request,
    decode_call,
    encode_message,
    refuse,
)
from tidegate.pki.snapshot import Snapshot

_log = logging.getLogger("tidegate.registrar")
_CREDENTIALS = struct.Struct("3i")
_UNREAD_BYTES = 512 * 1024 * 1024
_CALLS_AT_ONCE = 64

Desk = Mapping[type[Any], Callable[[Any], Awaitable[Reply]]]
"""For each kind of request what does it; raises TidegateError or OSError."""


class RegistrarService:
    """``publish`` is owed a first snapshot before the socket is served."""

    def __init__(self, desk: Desk, uids: frozenset[int]) -> None:
        self._desk = desk
        self._uids = uids
        self._channels: set[asyncio.StreamWriter] = set()
        self._deserted = asyncio.Event()
        self._deserted.set()
        self._news = b""
        self._permits = asyncio.Semaphore(_CALLS_AT_ONCE)
        self._calls: set[asyncio.Task[None]] = set()

    def publish(self, snapshot: Snapshot) -> None:
        """To all workers, now and from now on."""
        self._news = encode_message(snapshot)
        for channel in list(self._channels):
            channel.write(self._news)
            if channel.transport.get_write_buffer_size() > _UNREAD_BYTES:
                _log.error("a gate worker does not read what it is sent: its channel is closed")
                channel.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One worker, until it goes away."""
        uid = _peer_uid(writer)
        if uid not in self._uids:
            _log.warning("uid %d is not admitted to the registrar's socket", uid)
            writer.close()
            return
        writer.write(self._news)
        self._channels.add(writer)
        self._deserted.clear()
        try:
            while True:
                call = await _next_call(reader)
                await self._permits.acquire()
                task = asyncio.create_task(self._answer(call, writer), name=f"registrar-call-{call.number}")
                self._calls.add(task)
                task.add_done_callback(self._answered)
        except (asyncio.IncompleteReadError, ConnectionError):
            _log.debug("a gate worker has gone")
        except InvalidParameterError as error:
            _log.error("a gate worker sent what is no call: %s", error.message)
        finally:
            self._channels.discard(writer)
            if not self._channels:
                self._deserted.set()
            writer.close()

    async def close(self, grace_s: float = 0.0) -> None:
        """Drop every worker and what it still waits for; first let them go by themselves for ``grace_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._deserted.wait()
        for task in list(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        for channel in list(self._channels):
            channel.transport.abort()

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> None:
        reply = await self._do(call.request)
        if not writer.is_closing():
            writer.write(encode_message(Answer(call.number, reply)))

    async def _do(self, request: Request) -> Reply:
        work = self._desk.get(type(request))
        try:
            if work is None:
                raise NotSupportedError(f"this registrar does not {type(request).__name__.lower()}")
            return await work(request)
        except TidegateError as error:
            return refuse(error)
        except Exception:  # noqa: BLE001 - whatever it was, the worker is owed an answer
            _log.exception("a call failed: %s", type(request).__name__)
            return refuse(InternalError("the registrar could not do this; its log tells why"))

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._permits.release()


async def _next_call(reader: asyncio.StreamReader) -> Call:
    (size,) = PREFIX.unpack(await reader.readexactly(PREFIX.size))
    if size > CALL_LIMIT_BYTES:
        raise InvalidParameterError(f"a call of {size} bytes")
    return decode_call(await reader.readexactly(size))


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)
