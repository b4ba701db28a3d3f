"""Bytes to and from the gate without a client library in between: over TLS as an administrator or a developer."""

import os
import socket
import ssl
from collections.abc import Iterable
from contextlib import closing

from tests.e2e.running_gate import Fronted

from tidegate.kernel.namespaces import in_network_namespace

PATIENCE_S = 60


def connect(gate: Fronted, name: str = "admin", receive_bytes: int = 0) -> ssl.SSLSocket:
    """A connection of ``name``; ``receive_bytes`` is the kernel's buffer for what is not read yet, 0 its own choice."""
    certificates = gate.certificates(name)
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")

    def dial() -> socket.socket:
        plain = socket.socket()
        if receive_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.settimeout(PATIENCE_S)
        plain.connect(("127.0.0.1", 2376))
        return plain

    fd = os.open(gate.netns, os.O_RDONLY)
    try:
        return context.wrap_socket(in_network_namespace(fd, dial), server_hostname="127.0.0.1")
    finally:
        os.close(fd)


def send_head(sock: ssl.SSLSocket, line: str, *headers: str) -> None:
    sock.sendall("\r\n".join([f"{line} HTTP/1.1", "Host: docker", *headers, "", ""]).encode())


def read_head(sock: ssl.SSLSocket) -> str:
    """Up to the end of an answer's head, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    return head.decode("latin-1")


def read_to_end(sock: ssl.SSLSocket) -> bytes:
    pieces = []
    while piece := sock.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def send_chunks(sock: ssl.SSLSocket, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))


def ask(gate: Fronted, line: str, *headers: str, body: bytes = b"", name: str = "admin") -> tuple[int, bytes]:
    """Status and body (as framed) of a whole exchange on a connection of its own."""
    with closing(connect(gate, name)) as sock:
        send_head(sock, line, "Connection: close", f"Content-Length: {len(body)}", *headers)
        sock.sendall(body)
        head, _, content = read_to_end(sock).partition(b"\r\n\r\n")
    return int(head.split()[1]), content
