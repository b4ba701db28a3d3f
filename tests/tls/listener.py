"""The gate's TLS listener alone, for testers of TLS: prints its port, and answers every request until its input ends.

``listener.py PROFILE KIND CLIENTS``: ``modern`` or ``intermediate``; an ``rsa`` or an ``ecdsa`` certificate of its own
(that of a gate is ECDSA, many testers know RSA alone); whether client certificates are asked for, as by the gate
(``ask``), or not (``none``), for testers that cannot answer. ``cert.pem`` and ``key.pem`` of a client that is let in
are in the working directory, an RSA one.
"""

import asyncio
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tidegate.http.listeners import bind_tcp
from tidegate.http.messages import Request, Response
from tidegate.http.server import Server
from tidegate.http.tls import TLSListener
from tidegate.http.tls_context import TLSProfile, context_of_texts


def make_pair(kind: str) -> tuple[str, str]:
    """A certificate of localhost that signed itself, and its key."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
        rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=9)
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return certificate, key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


async def answer(_request: Request) -> Response:
    return Response(200, (("content-type", "text/plain"),), b"OK")


async def serve(profile: TLSProfile, kind: str, clients: str) -> None:
    client, client_key = make_pair("rsa")
    Path("cert.pem").write_text(client)
    Path("key.pem").write_text(client_key)
    context = context_of_texts(client, *make_pair(kind), optional=True, profile=profile)
    if clients == "none":
        context.verify_mode = ssl.CERT_NONE
    server = Server(answer)
    (sock,) = bind_tcp("127.0.0.1", 0)
    await server.listen(sock, TLSListener(lambda: context))
    print(sock.getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.close(grace_s=0)


if __name__ == "__main__":
    uvloop.run(serve(TLSProfile(sys.argv[1]), *sys.argv[2:]))
