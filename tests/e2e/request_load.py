"""Many clients with short requests: each reads its files, connects, asks a few times, and does so again."""

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.stream_load import Gated, connect

_ASKED_EACH = 4
_PAUSE_S = 0.1
_PATIENCE_S = 20
_REQUEST = b"GET /v1.41/containers/json HTTP/1.1\r\nHost: d\r\n\r\n"


@dataclass
class Requests:
    """``rounds`` counts each client's connections that were served to their end."""

    engine: Gated
    rounds: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def begin(self, certificates: Path, count: int) -> None:
        """``count`` more clients with the files in ``certificates``."""
        for _ in range(count):
            self.rounds.append(0)
            number = len(self.tasks)
            self.tasks.append(asyncio.create_task(self._ask_on(certificates, number), name="requests"))

    async def turn(self, limit_s: float = 60) -> None:
        """Wait until every client has begun a connection after now, and ended it."""
        wanted = [done + 2 for done in self.rounds]
        async with asyncio.timeout(limit_s):
            while any(done < least for done, least in zip(self.rounds, wanted, strict=True)):
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _ask_on(self, certificates: Path, number: int) -> None:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._ask_round(certificates)
            except (OSError, EOFError, TimeoutError, ssl.SSLError) as error:
                self.failures.append(f"{certificates.name}: {type(error).__name__}: {error}")
            self.rounds[number] += 1

    async def _ask_round(self, certificates: Path) -> None:
        context = _context(certificates)
        sock = self.engine.in_its_network(lambda: connect(self.engine.port))
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="127.0.0.1")
        try:
            for _ in range(_ASKED_EACH):
                writer.write(_REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    status = head.splitlines()[0].decode()
                    self.failures.append(f"{certificates.name}: {status}")
                    return
                sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(sizes[0].partition(b":")[2]))
                await asyncio.sleep(_PAUSE_S)
        finally:
            writer.transport.abort()


def _context(certificates: Path) -> ssl.SSLContext:
    """Of the files as they are now; read again when one of them was replaced in between."""
    while True:
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        try:
            context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        except ssl.SSLError as error:
            if "KEY_VALUES_MISMATCH" not in str(error):
                raise
            continue
        return context
