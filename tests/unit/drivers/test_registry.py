"""The registry client against a small server on loopback; Debian's docker-registry is used in tests/kernel."""

import asyncio
import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from msgspec.structs import replace

from tidegate.base.errors import InvalidParameterError, NotFoundError, UnauthorizedError
from tidegate.drivers.registry.client import Endpoint, HTTPRegistry, login_host, may_be_plaintext, plan_endpoints
from tidegate.drivers.registry.transport import RegistryConfig
from tidegate.engine.ports import Descriptor, RegistryAuth
from tidegate.spec.oci_image import OCI_MANIFEST, digest_of

BLOB = bytes(range(256)) * 4000
MANIFEST = b'{"schemaVersion":2}'
AUTH = RegistryAuth(username="u", password="p")


class Handler(BaseHTTPRequestHandler):
    """Repository ``a``; blobs break off after 100,000 bytes; ``auth`` asks for basic; ``bad`` serves wrong bytes."""

    seen: list[str]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
        self.seen.append(f"{self.path} {self.headers.get('Range')}")
        expected = "Basic " + base64.b64encode(b"u:p").decode()
        if (self.path == "/v2/" or "/auth/" in self.path) and self.headers.get("Authorization") != expected:
            self.answer(401, b"", {"WWW-Authenticate": 'Basic realm="r"'})
        elif self.path == "/v2/":
            self.answer(200, b"{}", {})
        elif "/manifests/" in self.path and "missing" not in self.path:
            self.answer(200, MANIFEST, {"Content-Type": OCI_MANIFEST + "; charset=utf-8"})
        elif "/moved/blobs/" in self.path:
            self.answer(307, b"", {"Location": self.path.replace("moved", "a")})
        elif "/blobs/" in self.path:
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            data = (b"x" * len(BLOB) if "/bad/" in self.path else BLOB)[start:]
            self.answer(206 if start else 200, data[:400_000], {"Content-Length": str(len(data))})
        else:
            self.answer(404, b"", {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def served() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"seen": seen}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.contextmanager
def client() -> Iterator[HTTPRegistry]:
    registry = HTTPRegistry(RegistryConfig(timeout_s=5, backoff_s=0))
    yield registry
    registry.close()


async def collect(registry: HTTPRegistry, repository: str) -> bytes:
    descriptor = Descriptor("", digest_of(BLOB), len(BLOB))
    return b"".join([chunk async for chunk in registry.blob(repository, descriptor, None)])


def test_manifest(served: tuple[str, list[str]]) -> None:
    with client() as registry:
        descriptor, raw = asyncio.run(registry.manifest(f"{served[0]}/a", "latest", None))
        assert (descriptor, raw) == (Descriptor(OCI_MANIFEST, digest_of(MANIFEST), len(MANIFEST)), MANIFEST)
        with pytest.raises(InvalidParameterError, match="verification failed"):
            asyncio.run(registry.manifest(f"{served[0]}/a", digest_of(b"other"), None))
        with pytest.raises(NotFoundError, match="manifest unknown"):
            asyncio.run(registry.manifest(f"{served[0]}/a", "missing", None))


def test_basic_authentication(served: tuple[str, list[str]]) -> None:
    with client() as registry:
        assert asyncio.run(registry.manifest(f"{served[0]}/auth/a", "latest", AUTH))[1] == MANIFEST
        for auth in (None, RegistryAuth(username="u", password="x")):
            with pytest.raises(
                NotFoundError, match=f"pull access denied for {served[0]}/auth/a, .*: (no basic|unauth)"
            ):
                asyncio.run(registry.manifest(f"{served[0]}/auth/a", "latest", auth))


def test_login(served: tuple[str, list[str]]) -> None:
    with client() as registry:
        for address in (f"http://{served[0]}/auth/", served[0]):
            assert asyncio.run(registry.login(replace(AUTH, server_address=address))) == ""
        with pytest.raises(UnauthorizedError, match=f"login attempt to http://{served[0]}/v2/ failed with status: 401"):
            asyncio.run(registry.login(RegistryAuth("u", "x", server_address=served[0])))
        with pytest.raises(InvalidParameterError, match="serveraddress: 'a b' names no registry"):
            asyncio.run(registry.login(RegistryAuth("u", "x", server_address="a b")))


def test_the_registry_a_login_means() -> None:
    assert {login_host(text) for text in ("", "https://index.docker.io/v1/", "docker.io")} == {"docker.io"}
    assert login_host("https://Reg.example:5000/v2/") == "reg.example:5000"
    assert login_host("[::1]:5000") == "[::1]:5000"
    for wrong in ("x y", "user@host", "https://a:b:c"):
        with pytest.raises(InvalidParameterError):
            login_host(wrong)


@pytest.mark.parametrize("repository", ["a", "moved"])
def test_blob_resumes_where_it_broke_off(served: tuple[str, list[str]], repository: str) -> None:
    with client() as registry:
        assert asyncio.run(collect(registry, f"{served[0]}/{repository}")) == BLOB
    assert any("bytes=400000-" in line for line in served[1])


def test_blob_of_wrong_content(served: tuple[str, list[str]]) -> None:
    with client() as registry, pytest.raises(InvalidParameterError, match="verification failed"):
        asyncio.run(collect(registry, f"{served[0]}/bad"))


def test_endpoints() -> None:
    config = RegistryConfig(mirrors=["http://m:5000"], insecure=["10.0.0.0/8", "reg:5000"])
    assert plan_endpoints("docker.io/library/a", config) == (
        [Endpoint("http", "m:5000", is_mirror=True), Endpoint("https", "registry-1.docker.io")],
        "library/a",
    )
    assert [may_be_plaintext(host, config.insecure) for host in ("10.1.2.3:5", "reg:5000", "[::1]:5", "ghcr.io")] == [
        True,
        True,
        True,
        False,
    ]
