"""A registrar and a TLS port before it, on loopback, in a thread: what a joining machine meets; no engine behind."""

import asyncio
import itertools
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.base.errors import (
    ConflictError,
    ForbiddenError,
    InvalidParameterError,
    NotFoundError,
    TidegateError,
    UnauthorizedError,
)
from tidegate.gate.behind.registrar_client import RegistrarClient
from tidegate.gate.enrolment import EnrolmentDoor, is_enrolment
from tidegate.gate.rates import Rates, open_rates
from tidegate.http.messages import ProtocolError, Request, Response
from tidegate.http.server import Server
from tidegate.http.tls import TLSListener
from tidegate.http.tls_context import context_of_texts
from tidegate.pki.snapshot import Snapshot
from tidegate.registrar.key_work import Grantable, Granted, grant, keep_up
from tidegate.registrar.process import RegistrarProcessSettings, prepare_registrar, serve_registrar
from tidegate.registrar.sources import TLSFiles

_STATUS: dict[type[TidegateError], int] = {
    InvalidParameterError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
}


class KeysAtHand:
    """Fits ``registrar.key_process.Keys`` without a process of its own."""

    def __init__(self, data_root: Path) -> None:
        self._data_root = data_root

    async def grant(self, request: Grantable) -> Granted:
        return await asyncio.to_thread(grant, self._data_root, request)

    async def keep_up(self, server: Path | None) -> list[str]:
        return await asyncio.to_thread(keep_up, self._data_root, server)

    async def close(self) -> None:
        return


class FrontDoor:
    """``snapshot`` is the newest; ``seen`` the serial numbers of clients that were answered."""

    def __init__(self, data_root: Path) -> None:
        self.data_root = data_root
        self.port = 0
        self.snapshot = Snapshot(generation=0)
        self.seen: list[str] = []
        self.failure: BaseException | None = None
        self._context: ssl.SSLContext | None = None
        self._ready = threading.Event()
        self._changed = threading.Condition()
        self._stop: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="front-door")

    def __str__(self) -> str:
        return f"localhost:{self.port}"

    def open(self) -> None:
        self._thread.start()
        assert self._ready.wait(20)
        assert self.failure is None, self.failure

    def close(self) -> None:
        self._stop()
        self._thread.join(20)

    def wait_for(self, is_so: Callable[[Snapshot], bool]) -> Snapshot:
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self.snapshot), 20)
            return self.snapshot

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told by open
            self.failure = error
        self._ready.set()

    async def _serve(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        pki, where = self.data_root / "pki", self.data_root / "registrar.sock"
        files = TLSFiles(pki / "ca.pem", pki / "server/cert.pem", pki / "server/key.pem")
        uids = frozenset({os.geteuid()})
        settings = RegistrarProcessSettings(self.data_root, where, files, uids, grace_s=0)
        registrar = asyncio.create_task(
            serve_registrar(settings, prepare_registrar(settings), stop, KeysAtHand(self.data_root))
        )
        client = await RegistrarClient.over(await _connected(where))
        following = asyncio.create_task(self._follow(client))
        turns_fd = open_rates()
        door = EnrolmentDoor(client, Rates(turns_fd), itertools.count(0, 10).__next__)  # nobody has to wait

        async def handle(request: Request) -> Response:
            try:
                return await self._answer(door, request)
            except ProtocolError:
                raise
            except TidegateError as error:
                return Response(_STATUS[type(error)], (), json.dumps({"message": error.message}).encode())

        server, sock = Server(handle), socket.socket()
        sock.bind(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        while self._context is None:
            await asyncio.sleep(0)
        await server.listen(sock, TLSListener(self._present_context))
        self._ready.set()
        await registrar
        await following
        await server.close(grace_s=0)
        await client.close()
        os.close(turns_fd)

    async def _follow(self, client: RegistrarClient) -> None:
        async for snapshot in client.snapshots():
            texts = snapshot.ca_pem, snapshot.certificate_pem, snapshot.key_pem
            self._context = context_of_texts(*texts, optional=True)
            with self._changed:
                self.snapshot = snapshot
                self._changed.notify_all()

    def _present_context(self) -> ssl.SSLContext:
        assert self._context is not None
        return self._context

    async def _answer(self, door: EnrolmentDoor, request: Request) -> Response:
        if is_enrolment(request.target):
            return await door.answer(request, self.snapshot)
        if request.peer.subject is None:
            raise UnauthorizedError("no certificate was sent")
        serial = str(request.peer.subject["serialNumber"])
        record = self.snapshot.clients[serial]
        self.seen.append(serial)
        return Response(200, (), f"{record.name} {record.role} {record.revoked_at_s is not None}".encode())


async def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    while True:
        try:
            await asyncio.get_running_loop().sock_connect(connection, str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0)
        else:
            return connection


@contextmanager
def front_door(data_root: Path) -> Iterator[FrontDoor]:
    """One that is open; ``data_root`` has a PKI."""
    door = FrontDoor(data_root)
    door.open()
    try:
        yield door
    finally:
        door.close()
    assert door.failure is None, door.failure
