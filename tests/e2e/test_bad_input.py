"""Malformed requests in raw bytes at both doors: the right status, a message that names the field, nothing left."""

import io
import json
import os
import socket
import ssl
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from tests.e2e.running_engine import RunningEngine, running_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tidegate up must run as root")
CRLF = b"\r\n"
HOST = b"Host: docker\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


Connect = Callable[[], socket.socket]


@pytest.fixture(params=[True, False], ids=["mtls", "unix"])
def connect(engine: RunningEngine, request: pytest.FixtureRequest) -> Connect:
    """Makes a connection to one of the doors."""

    def unix() -> socket.socket:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(30)
        plain.connect(f"{engine.root}/docker.sock")
        return plain

    def mtls() -> socket.socket:
        admin = engine.root / "data/pki/clients/admin"
        context = ssl.create_default_context(cafile=admin / "ca.pem")
        context.load_cert_chain(admin / "cert.pem", admin / "key.pem")
        plain = engine.in_its_network(lambda: socket.create_connection(("127.0.0.1", engine.port), 30))
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    return mtls if request.param else unix


@dataclass(frozen=True)
class Answer:
    status: int
    message: str


def ask(connect: Connect, request: bytes, *, half_close: bool = False) -> Answer:
    """Send the bytes, read the answer to the connection's end or the body's."""
    with closing(connect()) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    reader = connection.makefile("rb")
    status = int(reader.readline().split()[1])
    headers = {}
    while line := reader.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
    else:
        body = reader.read(int(headers["content-length"]))
    return Answer(status, message_of(body))


def message_of(body: bytes) -> str:
    """Of an error: from its document, or from the last line of a stream of progress."""
    document = json.loads(body.strip().splitlines()[-1])
    return str(document["message"] if "message" in document else document["error"])


def get(target: bytes, *headers: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"".join(header + CRLF for header in headers) + CRLF


def post(target: bytes, document: bytes = b"", content_type: bytes = b"application/json", extra: bytes = b"") -> bytes:
    head = b"POST " + target + b" HTTP/1.1\r\n" + HOST + b"Content-Type: " + content_type + CRLF + extra
    return head + b"Content-Length: %d\r\n\r\n" % len(document) + document


CREATE = b"/containers/create?name=bad"

FRAMING = {
    "no request line": (b"GARBAGE\r\n\r\n", 400, "malformed HTTP message"),
    "version 2.0": (b"GET /_ping HTTP/2.0\r\n" + HOST + CRLF, 505, "unsupported protocol version"),
    "no Host": (b"GET /_ping HTTP/1.1\r\n\r\n", 400, "exactly one Host header"),
    "two Hosts": (get(b"/_ping", b"Host: other"), 400, "exactly one Host header"),
    "a folded header": (get(b"/_ping", b"A: b\r\n c"), 400, "malformed header line"),
    "a bare LF": (b"GET /_ping HTTP/1.1\nHost: d\r\n\r\n", 400, "malformed header line"),
    "a space before the colon": (get(b"/_ping", b"A : b"), 400, "malformed header line"),
    "a NUL": (get(b"/_ping", b"A: b\0"), 400, "malformed header line"),
    "two lengths": (get(b"/_ping", b"Content-Length: 1", b"Content-Length: 2"), 400, "Content-Length"),
    "a signed length": (get(b"/_ping", b"Content-Length: +1"), 400, "Content-Length"),
    "length and coding": (
        get(b"/_ping", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        400,
        "Transfer-Encoding",
    ),
    "an unknown coding": (get(b"/_ping", b"Transfer-Encoding: gzip, chunked"), 501, "unsupported transfer coding"),
    "an unknown expectation": (get(b"/_ping", b"Expect: tea"), 417, "unknown expectation"),
    "a big header": (get(b"/_ping", b"A: " + b"x" * 40_000), 431, "header fields too large"),
    "many headers": (get(b"/_ping", *[b"A: b"] * 200), 431, "too many header fields"),
    "a chunk size": (
        b"POST " + CREATE + b" HTTP/1.1\r\n" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
        "malformed chunk",
    ),
    "a big document": (
        b"POST " + CREATE + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 17000000\r\n\r\n",
        413,
        "request body is larger than ",
    ),
    "no path": (b"GET docker HTTP/1.1\r\n" + HOST + CRLF, 400, ""),
    "an unknown path": (get(b"/nothing/here"), 404, "page not found"),
    "an unknown method": (b"BREW /_ping HTTP/1.1\r\n" + HOST + CRLF, 400, "malformed HTTP message"),
}

REQUESTS = {
    "API too new": (get(b"/v1.99/info"), 400, "client version 1.99 is too new. Maximum supported API version is"),
    "API too old": (get(b"/v1.10/info"), 400, "client version 1.10 is too old. Minimum supported API version is 1.24"),
    "JSON cut": (post(CREATE, b'{"Image": "busybox"'), 400, "invalid JSON"),
    "JSON and more": (post(CREATE, b'{"Image": "busybox"} {}'), 400, "invalid JSON"),
    "a list": (post(CREATE, b"[]"), 400, "invalid JSON: cannot unmarshal array"),
    "no document": (post(CREATE), 400, "invalid JSON"),
    "no JSON": (post(CREATE, b"Image=busybox", b"application/x-www-form-urlencoded"), 400, "Content-Type"),
    "a text for a number": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"Memory": "64m"}}'),
        400,
        "cannot unmarshal string into field HostConfig.Memory of type int64",
    ),
    "a number beyond 64 bits": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"Memory": 99999999999999999999}}'),
        400,
        "HostConfig.Memory",
    ),
    "a number for a text": (post(CREATE, b'{"Image": "busybox", "Cmd": ["a", 1]}'), 400, "Cmd"),
    "deep nesting": (post(CREATE, b'{"a":' * 5000 + b"1" + b"}" * 5000), 400, "invalid JSON"),
    "no image": (post(CREATE, b"{}"), 400, "no image specified"),
    "an image's name": (post(CREATE, b'{"Image": "UPPER"}'), 400, "invalid reference format"),
    "an image that is not there": (post(CREATE, b'{"Image": "absent"}'), 404, "No such image: absent:latest"),
    "a container's name": (
        post(b"/containers/create?name=..%2Fx", b'{"Image": "busybox"}'),
        400,
        "Invalid container name (../x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
    "a port": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"PortBindings": {"80/http": [{}]}}}'),
        400,
        "invalid port specification: '80/http'",
    ),
    "a host port": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}}'),
        400,
        "invalid port specification: 'x'",
    ),
    "a bind": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"Binds": ["/a:b"]}}'),
        400,
        "invalid volume specification: '/a:b'",
    ),
    "a bind's mode": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"Binds": ["/a:/b:rx"]}}'),
        400,
        "invalid mode: rx",
    ),
    "a signal": (post(CREATE, b'{"Image": "busybox", "StopSignal": "SIGNOPE"}'), 400, "Invalid signal: SIGNOPE"),
    "a restart policy": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"RestartPolicy": {"Name": "sometimes"}}}'),
        400,
        "invalid restart policy: unknown policy 'sometimes'",
    ),
    "too little memory": (
        post(CREATE, b'{"Image": "busybox", "HostConfig": {"Memory": 4096}}'),
        400,
        "Minimum memory limit allowed is 6MB",
    ),
    "a field that is not done": (
        post(b"/volumes/create", b'{"Name": "v", "ClusterVolumeSpec": {"Group": "g"}}'),
        501,
        "ClusterVolumeSpec: cluster volumes are not supported by this engine yet",
    ),
    "a filter that is no JSON": (get(b"/containers/json?filters=%7B"), 400, "filters"),
    "an unknown filter": (get(b"/containers/json?filters=%7B%22x%22%3A%5B%22y%22%5D%7D"), 400, "invalid filter 'x'"),
    "a limit": (get(b"/containers/json?limit=some"), 400, "invalid parameter limit='some'"),
    "no container": (get(b"/containers/nobody/json"), 404, "No such container: nobody"),
    "a condition": (post(b"/containers/nobody/wait?condition=later"), 400, "invalid condition: 'later'"),
    "a time": (get(b"/events?since=yesterday"), 400, "yesterday"),
    "a reference to pull": (post(b"/images/create?fromImage=UPPER"), 400, "invalid reference format"),
    "a tag to pull": (post(b"/images/create?fromImage=a&tag=b%2Fc"), 400, "invalid tag format"),
    "a platform": (post(b"/images/create?fromImage=localhost:1/a&platform=a/b/c/d"), 400, "a/b/c/d"),
    "credentials": (
        post(b"/images/create?fromImage=localhost:1/a", extra=b"X-Registry-Auth: ?\r\n"),
        400,
        "invalid X-Registry-Auth header",
    ),
    "a tag": (post(b"/images/busybox/tag?repo=UPPER"), 400, "invalid reference format"),
    "changes": (post(b"/images/create?fromSrc=-&changes=NOPE+x", b"x", b"application/x-tar"), 400, "NOPE"),
    "a volume's name": (post(b"/volumes/create", b'{"Name": "../x"}'), 400, "../x"),
    "a volume's driver": (post(b"/volumes/create", b'{"Name": "x", "Driver": "y"}'), 404, 'plugin "y" not found'),
    "a volume's option": (post(b"/volumes/create", b'{"Name": "x", "DriverOpts": {"z": "1"}}'), 400, '"z"'),
    "no network": (get(b"/networks/mine"), 404, "network mine not found"),
    "an operation that is not built": (post(b"/swarm/init", b"{}"), 501, "SwarmInit is not implemented"),
    "a login": (post(b"/auth", b'{"username": 1}'), 400, "username"),
    "a login's address": (post(b"/auth", b'{"serveraddress": "a b"}'), 400, "serveraddress: 'a b'"),
    "an archive": (post(b"/images/load", b"no archive" * 100, b"application/x-tar"), 200, "invalid archive"),
    "an encoded slash": (get(b"/containers/a%2Fb/json"), 404, "page not found"),
    "bad percent encoding": (get(b"/containers/%zz/json"), 400, ""),
}  # fmt: skip


def held(engine: RunningEngine) -> tuple[list[str], int]:
    """All that a request may leave behind: files, and open descriptors."""
    data = engine.root / "data"
    kept = [*data.glob("content/blobs/sha256/*"), *data.glob("content/ingest/*"), *data.glob("layers/*")]
    kept += [*data.glob("rootfs/*"), *data.glob("volumes/*"), *(engine.root / "exec").glob("bundles/*")]
    return sorted(map(str, kept)), open_files(engine)


def open_files(engine: RunningEngine) -> int:
    """Once the connections are gone that just ended."""
    pids = engine.children().values()
    counts = [-1]
    while counts[-1] != (now := sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)):
        counts.append(now)
        time.sleep(0.3)
    return counts[-1]


@pytest.mark.parametrize("name", FRAMING)
def test_what_is_no_request_is_refused(connect: Connect, name: str) -> None:
    request, status, message = FRAMING[name]
    answer = ask(connect, request)
    assert answer.status == status
    assert message in answer.message


@pytest.mark.parametrize("name", REQUESTS)
def test_what_cannot_be_done_is_named(connect: Connect, name: str) -> None:
    request, status, message = REQUESTS[name]
    answer = ask(connect, request)
    assert (answer.status, message in answer.message) == (status, True), answer


def test_nothing_is_left_of_all_that(engine: RunningEngine, connect: Connect) -> None:
    with closing(connect()) as connection:
        connection.sendall(get(b"/_ping", b"Connection: close"))
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
    before = held(engine)
    for request, _, _ in [*FRAMING.values(), *REQUESTS.values()]:
        ask(connect, request)
    assert held(engine)[0] == before[0]
    assert held(engine)[1] < before[1] + 10  # connections are kept for the next request, descriptors of requests not


def test_a_body_that_is_cut_is_no_document(connect: Connect) -> None:
    for framing in (b"Content-Length: 100\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n64\r\n"):
        head = b"POST " + CREATE + b" HTTP/1.1\r\n" + HOST + JSON + framing
        answer = ask_and_leave(connect, head + b'{"Image": "busybox"}')
        assert answer in (None, Answer(400, "unexpected EOF in the body"))


def ask_and_leave(connect: Connect, request: bytes) -> Answer | None:
    """Send and finish writing; over TLS that is the end, for ssl cannot half-close."""
    with closing(connect()) as connection:
        connection.sendall(request)
        if isinstance(connection, ssl.SSLSocket):
            return None
        connection.shutdown(socket.SHUT_WR)
        return read_answer(connection)


def test_who_is_silent_is_let_go(engine: RunningEngine) -> None:
    """A handshake that does not begin, and heads that do not end, at both doors; the limit is ten seconds."""
    admin = engine.root / "data/pki/clients/admin"
    context = ssl.create_default_context(cafile=admin / "ca.pem")
    context.load_cert_chain(admin / "cert.pem", admin / "key.pem")
    results: dict[str, bytes] = {}

    def tcp() -> socket.socket:
        return engine.in_its_network(lambda: socket.create_connection(("127.0.0.1", engine.port), 30))

    def unix() -> socket.socket:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(30)
        plain.connect(f"{engine.root}/docker.sock")
        return plain

    def wait(name: str, connection: socket.socket, said: bytes) -> None:
        with closing(connection):
            connection.sendall(said)
            try:
                results[name] = connection.recv(4096)
            except ConnectionResetError:
                results[name] = b"reset"

    head = b"GET /_ping HTTP/1.1\r\nHost: d\r\n"
    waits = [
        ("handshake", tcp(), b""),
        ("half a handshake", tcp(), b"\x16\x03\x01\x02\x00\x01"),
        ("head over mtls", context.wrap_socket(tcp(), server_hostname="127.0.0.1"), head),
        ("head over unix", unix(), head),
    ]
    threads = [threading.Thread(target=wait, args=each) for each in waits]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert time.monotonic() - started < 20
    assert results["handshake"] in (b"", b"reset")
    assert results["half a handshake"] in (b"", b"reset")
    for name in ("head over mtls", "head over unix"):
        assert results[name].startswith(b"HTTP/1.1 408 ")
        assert b"the request's headers took too long" in results[name]


def test_layers_that_would_leave_the_root_are_refused(engine: RunningEngine, connect: Connect) -> None:
    before = held(engine)
    for path in ("../outside", "/../outside", "a/../../outside"):
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            member = tarfile.TarInfo(path)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"bad"))
        target = b"/images/create?fromSrc=-&repo=bad"
        answer = ask(connect, post(target, layer.getvalue(), b"application/x-tar"))
        assert answer.status == 400, answer
        assert "outside" in answer.message
    assert held(engine)[0] == before[0]
