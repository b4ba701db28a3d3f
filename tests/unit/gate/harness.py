"""A gate between a client and an engine that answers by the path, all on real unix sockets."""

import asyncio
import io
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from tidegate.gate.audit.log import AuditLog
from tidegate.gate.audit.sinks import FileSink
from tidegate.gate.audit.trail import Trail
from tidegate.gate.behind.authz_plugins import AuthzPlugins
from tidegate.gate.behind.registrar_client import RegistrarClient
from tidegate.gate.behind.usage import QuotaLocks
from tidegate.gate.doors import Door
from tidegate.gate.enrolment import EnrolmentDoor
from tidegate.gate.live import Live
from tidegate.gate.permits import Permits
from tidegate.gate.pipeline import Behind, Gate
from tidegate.gate.presences import Presences
from tidegate.gate.rates import Rates, open_rates
from tidegate.gate.request_log import RequestLog
from tidegate.http.client import UnixClient
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.messages import Request, Response
from tidegate.http.server import Server
from tidegate.pki.snapshot import Snapshot
from tidegate.spec.audit.chain import genesis
from tidegate.spec.audit.verify import Walk, pieces_of

Seen = list[tuple[str, str, bytes]]
"""Method, target and body of each request that reached the engine."""
Answers = Mapping[str, object]
"""What the engine answers by path (without version): JSON, bytes as they are, a whole response, or what makes one."""


def through_gate(
    tmp_path: Path,
    scenario: Callable[[Path, Seen], Awaitable[None]],
    engine: bool = True,
    write: Callable[[int, bytes], int] = os.write,
    role: str | None = "admin",
    answers: Answers | None = None,
    access: str = "",
    live: Live | None = None,
) -> str:
    """Run ``scenario`` with the socket of a gate whose clients have ``role``; ``access`` is the text of access.toml.

    With a role of None they have what ``access`` says.

    ``live`` is a new one that the scenario wants to look at. Returns the request log. The audit is in
    ``tmp_path / "audit"``, by way of ``write``.
    """
    seen: Seen = []
    log = io.BytesIO()
    fd = os.open(tmp_path / "audit", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    locks_fd, rates_fd = os.memfd_create("locks"), open_rates()

    async def main() -> None:
        handler = partial(_engine, seen, answers or {})
        servers = [await listen(tmp_path / "engine", handler)] if engine else []
        client = UnixClient(tmp_path / "engine")
        requests = RequestLog(log.write)
        audit = AuditLog("key/gate-1", genesis("key/gate-1"), FileSink(fd, 0, write))
        decides = live or Live(Presences())
        decides.adopt(Snapshot(generation=1, access={"access.toml": access}))
        enrolment = EnrolmentDoor(cast(RegistrarClient, None), Rates(rates_fd))  # which no door here leads to
        behind = Behind(client, Permits(client, QuotaLocks(locks_fd)), AuthzPlugins([]), enrolment)
        gate = Gate(behind, decides, Trail(audit, requests), Rates(rates_fd))
        servers.append(await listen(tmp_path / "gate", partial(gate.handle, Door("unix", role))))
        try:
            async with asyncio.timeout(20):
                await scenario(tmp_path / "gate", seen)
        finally:
            await client.close()
            for server in reversed(servers):
                await server.close(grace_s=0.1)
            requests.flush()
            await audit.close()

    asyncio.run(main())
    os.close(locks_fd)
    os.close(rates_fd)
    return log.getvalue().decode()


async def _engine(seen: Seen, answers: Answers, request: Request) -> Response | Hijack:
    body = await request.read_all(1 << 20)
    seen.append((request.method, request.target, body))
    if "attach" in request.target:

        async def echo(stream: Stream) -> None:
            while data := await stream.read():
                await stream.write(data.upper())
            await stream.write(b"end")
            stream.write_eof()

        return Hijack(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", echo)
    answer = answers.get(request.target.partition("?")[0])
    if callable(answer):
        answer = answer(request)
    if isinstance(answer, Response):
        return answer
    if answer is not None:
        return Response(200, (), answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    return Response(200, (("X-Engine", "yes"),), body[::-1] or b"plain")


async def listen(path: Path, handler: Callable[[Request], Awaitable[Response | Hijack]]) -> Server:
    """A server at ``path``."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    server = Server(handler)
    await server.listen(sock)
    return server


async def exchange(gate: Path, request: bytes) -> bytes:
    """All that comes back for ``request``."""
    reader, writer = await asyncio.open_unix_connection(str(gate))
    writer.write(request)
    writer.write_eof()
    data = await reader.read()
    writer.close()
    return data


async def ask(gate: Path, line: str, document: bytes = b"") -> bytes:
    """One request, with a JSON document if there is one."""
    head = f"{line} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
    if document:
        head += f"Content-Type: application/json\r\nContent-Length: {len(document)}\r\n"
    return await exchange(gate, head.encode() + b"\r\n" + document)


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    """What the audit says, which is whole."""
    content = (tmp_path / "audit").read_bytes()
    assert Walk("key/gate-1", lambda _message, _signature: True).run(pieces_of("f", [content])).findings == []
    return [json.loads(line) for line in content.splitlines()]
