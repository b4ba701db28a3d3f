"""Usage is the sum of what the engine shows; the lock excludes tasks and processes, and nobody else's owner."""

import asyncio
import json
import os
import socket
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tidegate.access.asked import Usage
from tidegate.base.errors import UnavailableError
from tidegate.gate.behind.usage import QuotaLocks, usage_of
from tidegate.http.client import UnixClient
from tidegate.http.messages import Request, Response
from tidegate.http.server import Server

HOST_CONFIGS = {
    "c1": {"Memory": 100, "NanoCpus": 5, "PortBindings": {"80/tcp": [{"HostPort": "1"}, {"HostPort": "2"}]}},
    "c2": {"Memory": 0, "CpuQuota": 50_000, "CpuPeriod": 0, "PortBindings": None},
    "c3": None,  # goes between list and inspection
}


def asked_usage(tmp_path: Path, without: str = "") -> Usage:
    async def handle(request: Request) -> Response:
        parts = urlsplit(request.target)
        if parts.path == "/containers/json":
            query = parse_qs(parts.query)
            assert query["all"] == ["1"]
            assert json.loads(query["filters"][0]) == {"label": ["tidegate.owner=a&b"]}
            return Response(200, (), json.dumps([{"Id": each} for each in HOST_CONFIGS]).encode())
        config = HOST_CONFIGS[parts.path.split("/")[2]]
        if config is None:
            return Response(404, (), b'{"message":"gone"}')
        return Response(200, (), json.dumps({"Id": "x", "HostConfig": config}).encode())

    async def main() -> Usage:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "engine"))
        server = Server(handle)
        await server.listen(sock)
        client = UnixClient(tmp_path / "engine")
        try:
            return await usage_of(client, "a&b", without)
        finally:
            await client.close()
            await server.close(grace_s=0.1)

    return asyncio.run(main())


def test_usage_is_the_sum_over_the_owners_containers(tmp_path: Path) -> None:
    assert asked_usage(tmp_path) == Usage(2, 100, 500_000_005, 2)


def test_what_is_updated_does_not_count_against_itself(tmp_path: Path) -> None:
    assert asked_usage(tmp_path, without="c1") == Usage(1, 0, 500_000_000, 0)


def test_one_owner_one_holder() -> None:
    fd = os.memfd_create("locks")

    async def main() -> None:
        locks = QuotaLocks(fd)
        seen: list[str] = []

        async def create(owner: str, label: str) -> None:
            async with locks.hold(owner):
                seen.append(f"{label} in")
                await asyncio.sleep(0)
                seen.append(f"{label} out")

        await asyncio.gather(create("a", "1"), create("a", "2"), create("b", "3"))
        assert seen.index("1 out") < seen.index("2 in")
        assert seen.index("3 in") < seen.index("1 out")

    asyncio.run(main())
    os.close(fd)


def test_another_worker_is_waited_for_and_not_for_ever() -> None:
    fd = os.memfd_create("locks")
    locked, go_on = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:

        async def hold() -> None:
            async with QuotaLocks(fd).hold("a"):
                os.write(locked[1], b"x")
                os.read(go_on[0], 1)

        asyncio.run(hold())
        os._exit(0)
    os.read(locked[0], 1)

    async def main() -> None:
        locks = QuotaLocks(fd, timeout_s=0.05)
        with pytest.raises(UnavailableError, match="try again"):
            async with locks.hold("a"):
                pass
        async with locks.hold("b"):
            os.write(go_on[1], b"x")
            os.waitpid(pid, 0)
        async with locks.hold("a"):
            pass

    asyncio.run(main())
    for each in (fd, *locked, *go_on):
        os.close(each)
