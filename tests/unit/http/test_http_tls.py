"""TLS on the wire: half-close both ways, refusals, plain HTTP on the port."""

import asyncio
import gc
import socket
import ssl
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_harness import LOOPS, LoopFactory, make_certificates, run, serving_tls

from tidegate.base.errors import InvalidParameterError
from tidegate.http.hijack import Hijack, Stream
from tidegate.http.messages import Request
from tidegate.http.tls import TLSListener, TLSProtocol
from tidegate.http.tls_context import context_of_texts


@pytest.fixture(scope="module")
def certificates() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        make_certificates(Path(directory))
        yield Path(directory)


def server_context(directory: Path, key: str = "server-key.pem") -> ssl.SSLContext:
    return context_of_texts(*((directory / name).read_text() for name in ("ca.pem", "server.pem", key)))


def listener(directory: Path, failures: list[str], timeout_s: float = 10.0) -> TLSListener:
    context = server_context(directory)
    return TLSListener(lambda: context, timeout_s, lambda _, reason: failures.append(reason))


async def cat(raw: Stream) -> None:
    received = b""
    while data := await raw.read():
        received += data
    await raw.write(received.upper() * 1000)
    raw.write_eof()


async def hijack(request: Request) -> Hijack:
    assert request.peer.certificate
    return Hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n", cat)


async def tls_exchange(port: int, directory: Path, version: ssl.TLSVersion, name: str, data: bytes) -> bytes:
    """A client on MemoryBIO: sends ``data`` and close_notify, then reads to the server's close_notify."""
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}-key.pem")
    context.minimum_version = context.maximum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def turn() -> None:
        writer.write(outgoing.read())
        received = await reader.read(65536)
        if not received:
            raise ConnectionResetError("closed without close_notify")
        incoming.write(received)

    try:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await turn()
        tls.write(data)
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
        answer = b""
        while True:
            try:
                piece = tls.read(65536)
            except ssl.SSLWantReadError:
                await turn()
                continue
            except ssl.SSLZeroReturnError:
                return answer
            if not piece:
                return answer
            answer += piece
    finally:
        writer.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_half_close_leaves_the_other_direction(certificates: Path, loop: LoopFactory, version: ssl.TLSVersion) -> None:
    async def main() -> bytes:
        async with serving_tls(hijack, listener(certificates, [])) as port:
            data = b"POST / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhi"
            return await tls_exchange(port, certificates, version, "client", data)

    assert run(main(), loop) == b"HTTP/1.1 101 UPGRADED\r\n\r\n" + b"HI" * 1000


@pytest.mark.parametrize("loop", LOOPS)
def test_what_a_client_sent_before_it_left_is_read_after_a_failed_write(certificates: Path, loop: LoopFactory) -> None:
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "client.pem", certificates / "client-key.pem")

    def connected(port: int) -> ssl.SSLSocket:
        client = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(b"POST /exec HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n.")
        return client

    async def main() -> bytes:
        clients: list[ssl.SSLSocket] = []
        is_connected, is_over, read = asyncio.Event(), asyncio.Event(), bytearray()

        async def shell(raw: Stream) -> None:
            await raw.read()
            await is_connected.wait()
            clients[0].sendall(b"typed")  # on the loop's own thread, so that nothing is read before the write fails
            clients[0].close()
            with pytest.raises(ConnectionResetError):
                while True:
                    await raw.write(b"prompt")
            while data := await raw.read():
                read.extend(data)
            is_over.set()

        async def handler(request: Request) -> Hijack:
            return Hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n", shell)

        async with serving_tls(handler, listener(certificates, [])) as port:
            clients.append(await asyncio.to_thread(connected, port))
            is_connected.set()
            await is_over.wait()
        return bytes(read)

    assert run(main(), loop) == b"typed"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stranger_gets_an_alert(certificates: Path, loop: LoopFactory) -> None:
    failures: list[str] = []

    async def main() -> None:
        async with serving_tls(hijack, listener(certificates, failures)) as port:
            await tls_exchange(port, certificates, ssl.TLSVersion.TLSv1_3, "stranger", b"GET / HTTP/1.1\r\n\r\n")

    with pytest.raises(ssl.SSLError, match="(?i)unknown.ca"):
        run(main(), loop)
    assert failures == ["CERTIFICATE_VERIFY_FAILED"]


@pytest.mark.parametrize("loop", LOOPS)
def test_plain_http_and_silence(certificates: Path, loop: LoopFactory) -> None:
    failures: list[str] = []

    async def main() -> tuple[bytes, bytes]:
        async with serving_tls(hijack, listener(certificates, failures, 0.1)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /_ping HTTP/1.1\r\n" + b"X: y\r\n" * 10000)
            plain = await reader.read()
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                silent = await reader.read()
            except ConnectionResetError:
                silent = b""
            writer.close()
            return plain, silent

    plain, silent = run(main(), loop)
    assert plain.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert plain.endswith(b"\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
    assert silent == b""
    assert failures == ["plain HTTP on a TLS port", "handshake timeout"]


def test_mismatched_files_are_refused(certificates: Path) -> None:
    with pytest.raises(InvalidParameterError):
        server_context(certificates, key="client-key.pem")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_session_is_freed_with_its_connection(certificates: Path, loop: LoopFactory) -> None:
    """A session takes tens of kilobytes: what waits for the collector adds up on a busy port."""

    def sessions() -> int:
        return sum(isinstance(each, TLSProtocol | ssl.SSLObject) for each in gc.get_objects())

    async def main() -> None:
        async with serving_tls(hijack, listener(certificates, [])) as port:
            data = b"POST / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            await tls_exchange(port, certificates, ssl.TLSVersion.TLSv1_3, "client", data)
            while sessions() > before:
                await asyncio.sleep(0)

    gc.collect()
    gc.disable()
    before = sessions()
    try:
        run(main(), loop)
    finally:
        gc.enable()
