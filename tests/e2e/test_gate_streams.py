"""Streams through the gate before Debian's dockerd: gigabytes, slow and vanished clients, connections taken over.

What the gate holds of them is measured: the peak of its worker's memory while they pass.
"""

import base64
import hashlib
import os
import re
import ssl
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.e2e.raw_client import ask, connect, read_head, send_chunks, send_head
from tests.e2e.running_engine import needs_cli
from tests.e2e.running_gate import Fronted, debian_dockerd, gate_before, save_busybox

pytestmark = [
    needs_cli,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: engines, namespaces and mounts"),
    pytest.mark.timeout(400),
]
GIB = 1 << 30
HELD_BYTES = 48 << 20
"""What the worker may hold more than before: buffers of both sides, and what its allocator keeps."""
MASK = b"\1\2\3\4"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    archive = save_busybox(tmp_path_factory.mktemp("image"))
    with (
        debian_dockerd(archive, tmp_path_factory.mktemp("engine")) as (sock, netns),
        gate_before(sock, netns) as fronted,
    ):
        yield fronted


@pytest.fixture
def sink(gate: Fronted) -> Iterator[str]:
    """A container that takes files, with nothing on its standard output."""
    gate.ok("run", "-d", "--name", "sink", "--network", "none", "busybox", "sleep", "1000")
    yield "sink"
    gate.ok("rm", "-f", "sink")


def resident_bytes(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@contextmanager
def flat_memory(gate: Fronted, what: str) -> Iterator[None]:
    """The worker's memory does not follow what passes."""
    pid = gate.worker_pid()
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew: proc_pid_clear_refs(5)
    before = resident_bytes(pid, "VmRSS")
    yield
    held = resident_bytes(pid, "VmHWM") - before
    print(f"{what}: {before >> 20} MiB before, at most {held / (1 << 20):.1f} MiB more")
    assert held < HELD_BYTES


def tar_head(name: str, size_bytes: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    return entry.tobuf(tarfile.GNU_FORMAT)


def pour(gate: Fronted, archive: list[bytes | int], *words: str) -> "subprocess.CompletedProcess[bytes]":
    """``docker`` with an archive on its standard input; a number is so many zero bytes."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(gate.root), "DOCKER_BUILDKIT": "0", **gate.through()}
    command = ["nsenter", f"--net={gate.netns}", "timeout", "-s", "KILL", "180", "docker", *words]
    zeros = bytes(1 << 20)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None and process.stdout is not None
        for piece in archive:
            if isinstance(piece, bytes):
                process.stdin.write(piece)
                continue
            for _ in range(piece >> 20):
                process.stdin.write(zeros)
        process.stdin.close()
        output = process.stdout.read()
    return subprocess.CompletedProcess(command, process.returncode, output)


def big_archive(size_bytes: int, *small: tuple[str, bytes]) -> list[bytes | int]:
    """Small files, and one of ``size_bytes``."""
    pieces: list[bytes | int] = []
    for name, content in small:
        pieces += [tar_head(name, len(content)), content.ljust(-(-len(content) // 512) * 512, b"\0")]
    return [*pieces, tar_head("big", size_bytes), size_bytes, bytes(1024)]


def test_gigabytes_go_up_in_flat_memory(gate: Fronted, sink: str) -> None:
    with flat_memory(gate, "docker cp of 1 GiB"):
        copied = pour(gate, big_archive(GIB), "cp", "-", f"{sink}:/tmp")
        assert copied.returncode == 0, copied.stdout
    assert gate.ok("exec", sink, "stat", "-c", "%s", "/tmp/big") == f"{GIB}\n"
    gate.ok("exec", sink, "rm", "/tmp/big")
    with flat_memory(gate, "docker build of 1 GiB"):
        built = pour(
            gate, big_archive(GIB, ("Dockerfile", b"FROM busybox\nLABEL built=yes\n")), "build", "-t", "big", "-"
        )
        assert built.returncode == 0, built.stdout
    assert gate.ok("image", "inspect", "-f", "{{.Config.Labels.built}}", "big") == "yes\n"
    gate.ok("rmi", "big")
    with flat_memory(gate, "docker load of 2 GiB"):
        loaded = pour(gate, big_archive(2 * GIB, ("manifest.json", b"[]")), "load")
        assert loaded.returncode == 0, loaded.stdout


def wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_client_that_does_not_read_holds_up_nobody_but_itself(gate: Fronted, sink: str) -> None:
    gate.ok("exec", sink, "sh", "-c", "head -c 100000000 /dev/urandom > /tmp/file")
    expected = gate.ok("exec", sink, "sha256sum", "/tmp/file").split()[0]
    with closing(connect(gate, receive_bytes=1 << 16)) as sock:
        with flat_memory(gate, "an archive of 100 MB that nobody reads"):
            send_head(sock, f"GET /v1.41/containers/{sink}/archive?path=/tmp/file", "Connection: close")
            assert read_head(sock).startswith("HTTP/1.1 200")
            for _ in range(20):
                assert ask(gate, "GET /_ping")[0] == 200
                time.sleep(0.1)
        with tarfile.open(fileobj=_Unchunked(sock), mode="r|") as archive:
            member = archive.next()
            assert member is not None
            content = archive.extractfile(member)
            assert content is not None
            assert hashlib.file_digest(content, "sha256").hexdigest() == expected


class _Unchunked:
    """The body of an answer in chunks, as a file."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._file = sock.makefile("rb")
        self._left = 0

    def read(self, size: int) -> bytes:
        pieces = []
        while size:
            if not self._left:
                self._left = int(self._file.readline() or b"0", 16)
                if not self._left:
                    break
            piece = self._file.read(min(size, self._left))
            pieces.append(piece)
            size -= len(piece)
            self._left -= len(piece)
            if not self._left:
                self._file.readline()
        return b"".join(pieces)


def test_logs_that_nobody_reads_wait_at_the_engine(gate: Fronted) -> None:
    text, lines = "0123456789abcdef" * 256, 25_000
    script = f"yes {text} | head -n {lines}"
    ran = gate.docker("run", "-d", "--name", "talker", "--network", "none", "busybox", "sh", "-c", script)
    assert ran.returncode == 0, ran.stderr
    try:
        assert gate.ok("wait", "talker") == "0\n"
        with closing(connect(gate, receive_bytes=1 << 16)) as sock:
            with flat_memory(gate, "logs of 100 MB that nobody reads"):
                send_head(sock, "GET /v1.41/containers/talker/logs?stdout=1&follow=1", "Connection: close")
                assert read_head(sock).startswith("HTTP/1.1 200")
                time.sleep(2)
            reader, heard = _Unchunked(sock), 0
            while head := reader.read(8):
                heard += reader.read(struct.unpack(">xxxxI", head)[0]).count(f"{text}\n".encode())
        assert heard == lines
    finally:
        gate.ok("rm", "-f", "talker")


def test_a_container_that_does_not_read_holds_its_client_up(gate: Fronted) -> None:
    gate.ok("create", "-i", "--name", "deaf", "--network", "none", "busybox", "sh", "-c", "sleep 4; wc -c")
    try:
        with closing(connect(gate)) as sock:
            query = "stream=1&stdin=1&stdout=1"
            send_head(sock, f"POST /v1.41/containers/deaf/attach?{query}", "Connection: Upgrade", "Upgrade: tcp")
            assert read_head(sock).startswith("HTTP/1.1 101")
            gate.ok("start", "deaf")
            sent = 0
            with flat_memory(gate, "input that nobody reads"):
                sock.settimeout(1)
                with pytest.raises(TimeoutError):
                    while sent < GIB:
                        sent += sock.send(bytes(1 << 16))
            assert sent < 64 << 20
    finally:
        gate.ok("rm", "-f", "deaf")


def test_100_continue_comes_when_the_request_is_allowed_and_not_before(gate: Fronted, sink: str) -> None:
    expecting = ("Expect: 100-continue", "Transfer-Encoding: chunked", "Content-Type: application/x-tar")
    with closing(connect(gate)) as sock:
        send_head(sock, f"PUT /v1.41/containers/{sink}/archive?path=/tmp", *expecting)
        assert read_head(sock) == "HTTP/1.1 100 Continue\r\n\r\n"
        send_chunks(sock, [tar_head("hello", 5), b"hello".ljust(512, b"\0"), bytes(1024)])
        sock.sendall(b"0\r\n\r\n")
        assert read_head(sock).startswith("HTTP/1.1 200")
    assert gate.ok("exec", sink, "cat", "/tmp/hello") == "hello"
    with closing(connect(gate, "dev")) as sock:
        send_head(sock, f"PUT /v1.41/containers/{sink}/archive?path=/tmp", *expecting)
        assert read_head(sock).startswith("HTTP/1.1 404")


def frame(opcode: int, content: bytes) -> bytes:
    """From a client, and therefore masked: RFC 6455, section 5.3."""
    masked = bytes(byte ^ MASK[number % 4] for number, byte in enumerate(content))
    return bytes([0x80 | opcode, 0x80 | len(content)]) + MASK + masked


def test_a_websocket_carries_a_terminal(gate: Fronted) -> None:
    gate.ok("run", "-dit", "--name", "term", "--network", "none", "busybox", "cat")
    try:
        with closing(connect(gate)) as sock:
            key = base64.b64encode(os.urandom(16)).decode()
            upgrade = (
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Origin: http://docker",
            )
            line = "GET /v1.41/containers/term/attach/ws?stream=1&stdin=1&stdout=1"
            send_head(sock, line, *upgrade, f"Sec-WebSocket-Key: {key}")
            head = read_head(sock)
            assert head.startswith("HTTP/1.1 101")
            digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
            assert f"sec-websocket-accept: {base64.b64encode(digest).decode()}".lower() in head.lower()
            sock.sendall(frame(1, b"through the socket\n"))
            heard = b""
            while b"through the socket" not in heard:
                opcode, size = received(sock, 2)
                assert opcode & 15 in (1, 2)
                heard += received(sock, size)
            sock.sendall(frame(8, b""))
    finally:
        gate.ok("rm", "-f", "term")


@pytest.mark.parametrize(("target", "others"), [("/session", 101), ("/grpc", 403)])
def test_http_2_is_carried_where_it_belongs(gate: Fronted, target: str, others: int) -> None:
    """A session serves the files of a build that is decided on; nothing decides in BuildKit's own protocol."""
    offer = ("Connection: Upgrade", "Upgrade: h2c")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with closing(connect(gate)) as sock:
        send_head(sock, f"POST {target}", *offer, "X-Docker-Expose-Session-Uuid: one")
        assert read_head(sock).startswith("HTTP/1.1 101")
        if target == "/grpc":  # where the engine is the server of it
            sock.sendall(preface + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        else:
            assert received(sock, len(preface)) == preface
        assert received(sock, 4)[3] == 4  # SETTINGS: RFC 9113, section 6.5
    with closing(connect(gate, "dev")) as sock:
        send_head(sock, f"POST {target}", *offer, "X-Docker-Expose-Session-Uuid: two")
        assert read_head(sock).startswith(f"HTTP/1.1 {others}")
    assert ask(gate, f"POST {target}", "Connection: Upgrade", "Upgrade: spdy/3")[0] == 400


def received(sock: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, "the connection ended"
        data += piece
    return data


def test_who_vanishes_amid_an_upload_leaves_nothing(gate: Fronted, sink: str) -> None:
    descriptors = Path(f"/proc/{gate.worker_pid()}/fd")
    images = gate.ok("images", "-aq")
    kept = sorted(gate.upstream.parent.glob("data/tmp/*"))
    settled = len(list(descriptors.iterdir()))
    for target in (
        "POST /v1.41/images/load",
        "POST /v1.41/build?t=half",
        f"PUT /v1.41/containers/{sink}/archive?path=/tmp",
    ):
        sock = connect(gate)
        send_head(sock, target, "Transfer-Encoding: chunked", "Content-Type: application/x-tar")
        send_chunks(sock, [tar_head("big", GIB), *[bytes(1 << 20)] * 20])
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER of nothing: the kernel sends a reset
        sock.close()
        wait_until(lambda: len(list(descriptors.iterdir())) <= settled + 1, f"{target}: the gate keeps a connection")
    wait_until(lambda: sorted(gate.upstream.parent.glob("data/tmp/*")) == kept, "the engine keeps half an upload")
    assert gate.ok("images", "-aq") == images
    assert "tidegate-gate" in Path(f"/proc/{gate.worker_pid()}/comm").read_text()
    assert gate.ok("exec", sink, "echo", "well") == "well\n"
