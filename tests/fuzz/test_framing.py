"""Whatever bytes a client sends, the server sees no request in them that Go does not see, nor sees it otherwise."""

import asyncio
import shutil
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fuzz.go_reader import GoReader
from tests.fuzz.hostile_http import hostile_request

from tidegate.http.messages import Request, Response
from tidegate.http.server import Server

Seen = list[list[str]]


def served(wire: bytes) -> Seen:
    """Method, target and body of every request that a handler was given whole."""
    seen: Seen = []

    async def handler(request: Request) -> Response:
        body = await request.read_all(1 << 20)
        seen.append([request.method, request.target, body.decode("latin-1")])
        return Response()

    async def main() -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind("")  # an abstract address of the kernel's choice
        server = Server(handler)
        await server.listen(sock)
        reader, writer = await asyncio.open_unix_connection(sock.getsockname())
        writer.write(wire)
        writer.write_eof()
        await reader.read()
        writer.close()
        await server.close(grace_s=0)

    asyncio.run(main())
    return seen


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on this machine")
@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**48))
@example(0)
def test_go_sees_every_request_that_the_server_sees(go: GoReader, seed: int) -> None:
    wire = hostile_request(seed)
    ours = served(wire)
    theirs = go.read("http", wire.removeprefix(b"\r\n"))  # RFC 9112, section 2.2, has us skip an empty line
    assert isinstance(theirs, list)
    assert ours == theirs[: len(ours)], wire


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**48))
def test_nothing_is_smuggled(seed: int) -> None:
    """A request is refused and nothing behind it served, or it has the one body that it says."""
    wire = hostile_request(seed)
    seen = served(wire)
    assert seen in ([], seen[:1], [*seen[:1], ["POST", "/smuggled", ""]]), wire
    assert all(body in ("abc", "") for _, _, body in seen), wire
