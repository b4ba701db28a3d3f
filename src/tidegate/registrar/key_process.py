"""The registrar's end of the process that works with keys (``key_work``): started when asked, ended when idle.

The keys of the PKI are never in the memory of the process that the gate speaks to.
"""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Protocol

import msgspec

from tidegate.base.errors import InternalError
from tidegate.base.logs import TEXT
from tidegate.pki.registrar_messages import PREFIX, Refused, raised
from tidegate.registrar.key_work import Grantable, Granted, KeepUp, Kept, KeyReply, KeyRequest

IDLE_S = 2.0
_replies: msgspec.json.Decoder[KeyReply] = msgspec.json.Decoder(KeyReply)


class Keys(Protocol):
    """What the desk has done with the keys of the PKI; raises the TidegateErrors of ``pki``."""

    async def grant(self, request: Grantable) -> Granted: ...
    async def keep_up(self, server: Path | None) -> list[str]: ...
    async def close(self) -> None: ...


class KeyProcess:
    """Fits ``Keys``; one request at a time."""

    def __init__(self, data_root: Path, log_format: str = TEXT, idle_s: float = IDLE_S) -> None:
        self._data_root = data_root
        self._log_format = log_format
        self._idle_s = idle_s
        self._turn = asyncio.Lock()
        self._running: asyncio.subprocess.Process | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def grant(self, request: Grantable) -> Granted:
        reply = await self._ask(request)
        if isinstance(reply, Kept):
            raise InternalError("the process that works with keys gave another answer than it was asked for")
        return reply

    async def keep_up(self, server: Path | None) -> list[str]:
        reply = await self._ask(KeepUp(None if server is None else str(server)))
        return reply.warnings if isinstance(reply, Kept) else []

    async def close(self) -> None:
        """Wait for what is under way, and for the end of the process."""
        async with self._turn:
            await self._end()

    async def _ask(self, request: KeyRequest) -> Granted | Kept:
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                reply = await self._exchange(request)
            except BaseException as error:
                self._hang_up()  # its answer, if one is still to come, is not that to the next request
                if isinstance(error, OSError | asyncio.IncompleteReadError):
                    raise InternalError("the process that works with keys ended; the log tells why") from error
                raise
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._hang_up)
        if isinstance(reply, Refused):
            raise raised(reply)
        return reply

    async def _exchange(self, request: KeyRequest) -> KeyReply:
        reader, writer = self._streams or await self._start()
        document = msgspec.json.encode(request)
        writer.write(PREFIX.pack(len(document)) + document)
        (size,) = PREFIX.unpack(await reader.readexactly(PREFIX.size))
        return _replies.decode(await reader.readexactly(size))

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await self._end()
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tidegate.registrar.key_work", str(self._data_root), self._log_format]
        with theirs:
            self._running = await asyncio.create_subprocess_exec(*command, stdin=theirs.fileno())
        self._streams = await asyncio.open_connection(sock=ours)
        return self._streams

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _end(self) -> None:
        self._hang_up()
        if self._idle is not None:
            self._idle.cancel()
        if self._running is not None:
            await self._running.wait()
            self._running = None
