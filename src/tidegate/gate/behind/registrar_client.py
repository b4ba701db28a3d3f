"""The gate's end of the registrar's socket: snapshots as they come, calls answered by the registrar.

There is no reconnecting: a gate without its registrar would decide by what is no longer true, so it ends with it.
"""

import asyncio
import socket
from collections.abc import AsyncIterator

from tidegate.base.errors import InternalError, InvalidParameterError, UnavailableError
from tidegate.pki.registrar_messages import (
    PREFIX,
    SNAPSHOT_LIMIT_BYTES,
    Answer,
    Call,
    CertificateStatus,
    CheckOCSP,
    Enrol,
    Issued,
    Refused,
    Renew,
    Reply,
    Request,
    Retire,
    SignCheckpoint,
    Signed,
    decode_news,
    encode_message,
    raised,
)
from tidegate.pki.snapshot import Snapshot
from tidegate.spec.audit.records import Checkpoint

CALL_TIMEOUT_S = 15.0


class RegistrarClient:
    """One connection. ``close`` is owed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._newest: Snapshot | None = None
        self._news = asyncio.Event()
        self._ended = False
        self._reason = ""
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._number = 0
        self._task = asyncio.create_task(self._receive(reader), name="registrar-client")

    @classmethod
    async def over(cls, connection: socket.socket) -> "RegistrarClient":
        """On a connected socket. Raises OSError."""
        return cls(*await asyncio.open_unix_connection(sock=connection))

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """The newest, then each newer one, until the registrar ends; what was overtaken meanwhile is left out.

        One reader at a time.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            if self._ended or self._newest is None:
                return
            yield self._newest

    async def enrol(self, request: Enrol) -> Issued:
        """Raises what the registrar refuses with; UnavailableError without an answer."""
        return _issued(await self._call(request))

    async def renew(self, request: Renew) -> Issued:
        """Raises what the registrar refuses with; UnavailableError without an answer."""
        return _issued(await self._call(request))

    async def retire(self, request: Retire) -> None:
        """Raises what the registrar refuses with; UnavailableError without an answer."""
        await self._call(request)

    async def sign_checkpoint(self, chain: str, seq: int, line_hash: str) -> Checkpoint:
        """Raises ConflictError for a chain that went back; UnavailableError without an answer."""
        reply = await self._call(SignCheckpoint(chain, seq, line_hash))
        if not isinstance(reply, Signed):
            raise _unexpected(reply)
        return reply.checkpoint

    async def check_ocsp(self, certificate_pem: str) -> CertificateStatus:
        """Raises UnavailableError when it cannot be checked."""
        reply = await self._call(CheckOCSP(certificate_pem))
        if not isinstance(reply, CertificateStatus):
            raise _unexpected(reply)
        return reply

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        self._end("the gate is closing")

    async def _call(self, request: Request) -> Reply:
        if self._ended:
            raise UnavailableError(self._reason)
        self._number += 1
        number = self._number
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(encode_message(Call(number, request)))
            async with asyncio.timeout(CALL_TIMEOUT_S):
                reply = await future
        except TimeoutError as error:
            raise UnavailableError(f"the registrar did not answer within {CALL_TIMEOUT_S:.0f} s") from error
        finally:
            self._waiting.pop(number, None)
        if isinstance(reply, Refused):
            raise raised(reply)
        return reply

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (size,) = PREFIX.unpack(await reader.readexactly(PREFIX.size))
                if size > SNAPSHOT_LIMIT_BYTES:
                    raise InvalidParameterError(f"a message of {size} bytes")
                self._take(decode_news(await reader.readexactly(size)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self._end(f"the registrar is gone: {error}")
        except InvalidParameterError as error:
            self._end(f"the registrar cannot be understood: {error.message}")

    def _take(self, news: Answer | Snapshot) -> None:
        if isinstance(news, Answer):
            future = self._waiting.get(news.number)
            if future is not None and not future.done():
                future.set_result(news.reply)
            return
        self._newest = news
        self._news.set()

    def _end(self, reason: str) -> None:
        self._ended = True
        self._reason = reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(UnavailableError(reason))
        self._news.set()


def _issued(reply: Reply) -> Issued:
    if not isinstance(reply, Issued):
        raise _unexpected(reply)
    return reply


def _unexpected(reply: Reply) -> InternalError:
    return InternalError(f"the registrar answered {type(reply).__name__}")
