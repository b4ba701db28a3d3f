"""A server on a temporary unix or loopback socket, for tests that speak raw bytes to it; and certificates."""

import asyncio
import datetime
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tidegate.http.limits import Limits
from tidegate.http.server import Handler, Server
from tidegate.http.tls import TLSListener

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
LOOPS: list[LoopFactory] = [asyncio.new_event_loop, uvloop.new_event_loop]
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def run(main: Coroutine[None, None, T], loop: LoopFactory = asyncio.new_event_loop) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await main

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(bounded())


@asynccontextmanager
async def serving(handler: Handler, limits: Limits | None = None) -> AsyncIterator[Callable[[], Awaitable[Pair]]]:
    """A server on a unix socket; yields what connects to it. ``connect.path`` is not needed: see ``serving_at``."""
    async with serving_at(handler, limits) as path:
        yield lambda: asyncio.open_unix_connection(path)


@asynccontextmanager
async def serving_at(handler: Handler, limits: Limits | None = None) -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "s")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        server = Server(handler, limits)
        await server.listen(sock)
        try:
            yield path
        finally:
            await server.close(grace_s=0)


@asynccontextmanager
async def serving_tls(handler: Handler, tls: TLSListener) -> AsyncIterator[int]:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = Server(handler)
    await server.listen(sock, tls)
    try:
        yield sock.getsockname()[1]
    finally:
        await server.close(grace_s=0)


async def exchange(connect: Callable[[], Awaitable[Pair]], data: bytes) -> bytes:
    """Send ``data``, half-close, read to the end."""
    reader, writer = await connect()
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def make_certificates(directory: Path) -> None:
    """``ca.pem``, and ``{server,client}{,-key}.pem`` signed by it; ``stranger`` is signed by itself."""
    ca_key, ca = _certificate("test CA", None)
    (directory / "ca.pem").write_bytes(_pem(ca))
    for name in ("server", "client", "stranger"):
        key, cert = _certificate(name, None if name == "stranger" else (ca_key, ca))
        (directory / f"{name}.pem").write_bytes(_pem(cert))
        (directory / f"{name}-key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def _certificate(
    name: str, issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())
