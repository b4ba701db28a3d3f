"""Requests in whose bytes a gate and an engine could see different ones: refused, or sent on as the one read."""

import json
from pathlib import Path

import pytest
from tests.unit.gate.harness import Seen, audited, exchange, through_gate

CREATE = b'{"Image":"a"}'
EVIL = b"POST /containers/evil/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHUNKED = b"d\r\n" + CREATE + b"\r\n0\r\n\r\n"


def post(
    *lines: bytes, target: bytes = b"/containers/create", version: bytes = b"HTTP/1.1", end: bytes = b"\r\n"
) -> bytes:
    head = [b"POST " + target + b" " + version, b"Host: d", b"Content-Type: application/json", *lines]
    return end.join(head) + end * 2


@pytest.mark.parametrize(
    "wire",
    [
        post(b"Content-Length: 13", b"Content-Length: 0") + CREATE,
        post(b"Content-Length: 13", b"Content-Length: 13") + CREATE,
        post(b"Content-Length: 13, 13") + CREATE,
        post(b"Content-Length: +13") + CREATE,
        post(b"Content-Length: 13", b"Transfer-Encoding: chunked") + CHUNKED,
        post(b"Transfer-Encoding: chunked", b"Content-Length: 5") + CHUNKED,
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + CHUNKED,
        post(b"Transfer-Encoding: xchunked") + CHUNKED,
        post(b"Transfer-Encoding: ,chunked") + CHUNKED,
        post(b"Transfer-Encoding: gzip, chunked") + CHUNKED,
        post(b"Transfer-Encoding: chunked;q=1") + CHUNKED,
        post(b"Transfer-Encoding: \x0bchunked") + CHUNKED,
        post(b"Transfer-Encoding : chunked") + CHUNKED,
        post(b"Transfer-Encoding:", b" chunked") + CHUNKED,
        post(b"Transfer-Encoding: chunked", b"Trailer: Content-Length") + CHUNKED,
        post(b"Transfer-Encoding: chunked") + CHUNKED[:-2] + b"Content-Length\r\n\r\n",
        post(b"Content-Length : 13") + CREATE,
        post(b"X: y\r\n\tContent-Length: 13") + CREATE,
        post(b"X: y\nContent-Length: 13") + CREATE,
        post(b"X: y\rContent-Length: 13") + CREATE,
        post(b"Content-Length: 13", end=b"\n") + CREATE,
        post(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + CHUNKED,
        post(b"Content-Length: 13", version=b"HTTP/2.0") + CREATE,
        post(b"Content-Length: 13", b"Host: other") + CREATE,
        post(b"Transfer-Encoding: chunked") + b"0d\nx" + CHUNKED,
        post(b"Transfer-Encoding: chunked") + b"d ;x\r\n" + CREATE + b"\r\n0\r\n\r\n",
        post(b"Transfer-Encoding: chunked") + b"0xd\r\n" + CREATE + b"\r\n0\r\n\r\n",
        post(b"Transfer-Encoding: chunked") + b"d;x=\ny\r\n" + CREATE + b"\r\n0\r\n\r\n",
        post(b"Transfer-Encoding: chunked") + b"d\r\n" + CREATE + b"0\r\n\r\n",
        post(b"Content-Length: 13", target=b"/containers//create") + CREATE,
        post(b"Content-Length: 13", target=b"/containers/./create") + CREATE,
        post(b"Content-Length: 13", target=b"/containers/x/../create") + CREATE,
        post(b"Content-Length: 13", target=b"/containers/x/%2e%2e/create") + CREATE,
        post(b"Content-Length: 13", target=b"/containers/create%00") + CREATE,
        post(b"Content-Length: 13", target=b"/containers/create%") + CREATE,
        post(b"Content-Length: 13", target=b"/containers/create#x") + CREATE,
        post(b"Content-Length: 13", target=b"ftp://d/containers/create") + CREATE,
        post(b"Content-Length: 13", target=b"*") + CREATE,
        post(b"Content-Length: 13", target=b"/containers/create?name=a;name=b") + CREATE,
        (post(b"Content-Length: 13") + CREATE).replace(b"application/json", b"application/x-www-form-urlencoded"),
        post(b"Content-Length: 13", target=b"/v1.23/containers/create") + CREATE,
        post(b"Content-Length: 13", target=b"/v1.9999/containers/create") + CREATE,
        post(b"Content-Length: 13", b"Content-Encoding: gzip") + CREATE,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)  # fmt: skip
def test_what_could_be_read_differently_is_refused(tmp_path: Path, wire: bytes) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await exchange(gate, wire + EVIL)
        assert answer.split(b" ")[1] in {b"400", b"404", b"501", b"505"}, answer
        assert b"message" in answer
        # After what is only no operation the connection goes on: what follows is a request of its own, and audited.
        assert seen in ([], [("POST", "/containers/evil/start", b"")])
        assert answer.count(b"HTTP/1.1 ") == len(seen) + 1

    through_gate(tmp_path, scenario)
    decisions = [line for line in audited(tmp_path) if line["kind"] == "decision" and line["allowed"]]
    assert all(line["operation"] == "ContainerStart" and line["object"] == "evil" for line in decisions)


@pytest.mark.parametrize(
    "wire",
    [
        post(b"Content-Length: 013") + CREATE,
        post(b"Transfer-Encoding: Chunked") + CHUNKED,
        post(b"Transfer-Encoding:\tchunked") + CHUNKED,
        post(b"Transfer-Encoding: chunked") + b"D;name=value\r\n" + CREATE + b"\r\n000;x\r\nContent-Length: 5\r\n\r\n",
        post(b"Content-Length: 13", target=b"/containers/%63reate") + CREATE,
        post(b"Content-Length: 13", target=b"/containers%2Fcreate") + CREATE,
        post(b"Content-Length: 13", target=b"http://other/containers/create") + CREATE,
        post(b"Content-Length: 13", b"Connection: content-length, content-type, host") + CREATE,
        post(b"Content-Length: 13", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AA")
        + CREATE,
        post(b"Content-Length: 13", b"Content_Length: 5", b"X-Http-Method-Override: DELETE") + CREATE,
    ],
)
def test_what_is_read_is_what_is_sent_on(tmp_path: Path, wire: bytes) -> None:
    async def scenario(gate: Path, seen: Seen) -> None:
        answer = await exchange(gate, wire + EVIL)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        (method, target, body), *others = seen
        assert (method, target) == ("POST", "/containers/create")
        assert json.loads(body)["Image"] == "a"
        assert others == [("POST", "/containers/evil/start", b"")]

    through_gate(tmp_path, scenario)
    operations = [line["operation"] for line in audited(tmp_path) if line["kind"] == "decision"]
    assert operations == ["ContainerCreate", "ContainerStart"]


@pytest.mark.parametrize("upgrade", [b"Connection: Upgrade\r\nUpgrade: tcp\r\n", b""])
def test_what_follows_a_take_over_that_did_not_happen_is_a_request_of_its_own(tmp_path: Path, upgrade: bytes) -> None:
    """The engine answers exec start without taking over: a client that sent on at once reaches no engine unseen."""

    async def scenario(gate: Path, seen: Seen) -> None:
        document = b'{"Detach":false}'
        head = b"POST /exec/abc/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n" + upgrade
        answer = await exchange(gate, head + b"Content-Length: %d\r\n\r\n" % len(document) + document + EVIL)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert [target for _, target, _ in seen] == ["/exec/abc/start", "/containers/evil/start"]

    through_gate(tmp_path, scenario)
    operations = [line["operation"] for line in audited(tmp_path) if line["kind"] == "decision"]
    assert operations == ["ExecStart", "ContainerStart"]
