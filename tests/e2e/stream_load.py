"""Many open streams through the gate, and when each of them ended."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from tidegate.pki.authority import Authority
from tidegate.pki.clients import Clients

T = TypeVar("T")
_OPENING_AT_ONCE = 16


class Gated(Protocol):
    """What has a gate on ``port`` of its network namespace, and its keys under ``root / "data"``."""

    @property
    def root(self) -> Path: ...

    @property
    def port(self) -> int: ...

    def in_its_network(self, work: Callable[[], T]) -> T: ...


@dataclass
class Streams:
    """Followed events of one client; ``ended_s`` are readings of the monotonic clock, ``heard`` is who heard any."""

    certificates: Path
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    heard: set[asyncio.StreamReader] = field(default_factory=set)

    async def open(self, engine: Gated, count: int) -> None:
        """``count`` more streams, each answered and waiting."""
        context = ssl.create_default_context(cafile=str(self.certificates / "ca.pem"))
        context.load_cert_chain(self.certificates / "cert.pem", self.certificates / "key.pem")
        turns = asyncio.Semaphore(_OPENING_AT_ONCE)

        async def one() -> None:
            async with turns:
                sock = engine.in_its_network(lambda: connect(engine.port))
                reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="127.0.0.1")
                writer.write(b"GET /v1.41/events HTTP/1.1\r\nHost: d\r\n\r\n")
                status = await reader.readuntil(b"\r\n\r\n")
            assert status.startswith(b"HTTP/1.1 200"), status
            self.writers.append(writer)
            self.tasks.append(asyncio.create_task(self._watch(reader), name="stream"))

        await asyncio.gather(*(one() for _ in range(count)))

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        try:
            while await reader.read(65536):
                self.heard.add(reader)
        except (ConnectionResetError, ssl.SSLError):
            pass  # cut: what this is about
        self.ended_s.append(time.monotonic())

    async def close(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


async def time_of_revocation(engine: Gated, leaver: Path, stayer: Path, each: int) -> tuple[list[float], int]:
    """Open ``each`` streams of both, revoke the leaver's certificate, wait for the cuts.

    Returns the delays from the moment the revocation began to be written to the end of each of the leaver's streams, in
    seconds, and how many of the stayer's ended.
    """
    leaving, staying = Streams(leaver), Streams(stayer)
    try:
        await leaving.open(engine, each)
        await staying.open(engine, each)
        revoked_s = await asyncio.to_thread(_revoke, engine, leaver.name)
        deadline = time.monotonic() + 30
        while len(leaving.ended_s) < each and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert len(leaving.ended_s) == each, f"{each - len(leaving.ended_s)} streams outlived the revocation"
        return [ended_s - revoked_s for ended_s in leaving.ended_s], len(staying.ended_s)
    finally:
        await leaving.close()
        await staying.close()


def _revoke(engine: Gated, name: str) -> float:
    """The moment before the revocation was written."""
    clients = Clients(Authority(engine.root / "data"))
    begun_s = time.monotonic()
    clients.revoke(name)
    return begun_s
