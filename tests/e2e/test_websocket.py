"""Attaching by WebSocket, by both doors; the client here is as small as RFC 6455 allows."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root"), needs_cli]
KEY, PROOF = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
BINARY, CLOSE, PING, PONG = 0x82, 0x88, 0x89, 0x8A


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


class Client:
    """One WebSocket."""

    def __init__(self, sock: socket.socket, target: str, *headers: str) -> None:
        self._sock = sock
        lines = [f"GET {target} HTTP/1.1", "Host: engine", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", *headers]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        self._file = sock.makefile("rb")
        self.status = self._file.readline().decode()
        self.headers = {}
        while line := self._file.readline().decode().strip():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def send(self, first: int, payload: bytes) -> None:
        mask = os.urandom(4)
        hidden = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self._sock.sendall(bytes([first, 0x80 | len(payload)]) + mask + hidden)

    def receive(self) -> tuple[int, bytes]:
        first, size = self._file.read(2)
        if size == 126:
            size = int.from_bytes(self._file.read(2), "big")
        return first, self._file.read(size)

    def rest(self) -> bytes:
        return self._file.read()


@pytest.fixture(params=[True, False], ids=["mtls", "unix"])
def converse(engine: RunningEngine, request: pytest.FixtureRequest) -> Callable[[Callable[..., None]], None]:
    def connect() -> socket.socket:
        if not request.param:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{engine.root}/docker.sock")
        else:
            admin = engine.root / "data/pki/clients/admin"
            context = ssl.create_default_context(cafile=str(admin / "ca.pem"))
            context.load_cert_chain(admin / "cert.pem", admin / "key.pem")
            plain = socket.create_connection(("127.0.0.1", engine.port))
            sock = context.wrap_socket(plain, server_hostname="127.0.0.1")
        sock.settimeout(20)
        return sock

    def run(conversation: Callable[..., None]) -> None:
        def work() -> None:
            with closing(connect()) as sock:
                conversation(lambda target, *headers: Client(sock, target, *headers))

        engine.in_its_network(work)

    return run


def target(name: str, **options: int) -> str:
    query = "&".join(f"{key}={value}" for key, value in options.items())
    return f"/v1.43/containers/{name}/attach/ws?{query}"


@pytest.mark.parametrize("options", [["-i"], ["-it"]], ids=["plain", "tty"])
def test_a_conversation(engine: RunningEngine, converse: Callable[..., None], options: list[str]) -> None:
    script = "stty -echo 2>/dev/null; echo ready; while read line; do echo got $line; done"
    words = ["run", "-d", *options, "--name", "web", "--network", "none", "busybox", "sh", "-c", script]
    assert engine.docker(*words).returncode == 0
    while "ready" not in engine.docker("logs", "web").stdout:
        continue

    def conversation(open_client: Callable[..., Client]) -> None:
        client = open_client(target("web", stream=1, stdin=1, stdout=1, stderr=1, logs=1))
        assert client.status.startswith("HTTP/1.1 101 ")
        assert client.headers["sec-websocket-accept"] == PROOF
        assert client.headers["upgrade"] == "websocket"
        first, payload = client.receive()
        assert (first, payload.strip()) == (BINARY, b"ready")
        client.send(BINARY, b"hel")
        client.send(BINARY, b"lo\n")
        assert client.receive()[1].strip() == b"got hello"
        client.send(PING, b"there?")
        assert client.receive() == (PONG, b"there?")
        client.send(CLOSE, b"\x03\xe8")
        assert client.receive() == (CLOSE, b"\x03\xe8")
        assert client.rest() == b""

    try:
        converse(conversation)
        assert engine.docker("inspect", "-f", "{{.State.Running}}", "web").stdout == "true\n"
    finally:
        assert engine.docker("rm", "-f", "web").returncode == 0


def test_the_end_of_the_process_is_a_goodbye(engine: RunningEngine, converse: Callable[..., None]) -> None:
    words = ["run", "-d", "-i", "--name", "ends", "--network", "none", "busybox", "head", "-n", "1"]
    assert engine.docker(*words).returncode == 0

    def conversation(open_client: Callable[..., Client]) -> None:
        client = open_client(target("ends", stream=1, stdin=1, stdout=1))
        client.send(BINARY, b"last\n")
        assert client.receive() == (BINARY, b"last\n")
        assert client.receive() == (CLOSE, b"\x03\xe8")

    try:
        converse(conversation)
    finally:
        assert engine.docker("rm", "-f", "ends").returncode == 0


def test_pages_of_other_sites_are_refused(engine: RunningEngine, converse: Callable[..., None]) -> None:
    assert engine.docker("create", "--name", "here", "--network", "none", "busybox", "true").returncode == 0

    def conversation(open_client: Callable[..., Client]) -> None:
        assert " 403 " in open_client(target("here", stream=1), "Origin: https://evil.example").status

    converse(conversation)
    assert engine.docker("rm", "here").returncode == 0
