"""Server key, CA, policy, roles: all changed while clients ask and stream; whom it does not concern notices nothing."""

import asyncio
import http.client
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.e2e.request_load import Requests
from tests.e2e.running_engine import RunningEngine, needs_cli, running_engine
from tests.e2e.stream_load import Streams

from tidegate.pki.authority import Authority
from tidegate.pki.clients import Clients
from tidegate.pki.durable_files import write_durably

pytestmark = [
    needs_cli,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces and mounts"),
    pytest.mark.timeout(400),
]
NAMES = tuple(f"steady{number}" for number in range(5))
EACH = 10
ACCESS = """
[roles.silent]
like = "viewer"
operations = ["SystemPing", "ContainerList"]

[roles.unused]
like = "viewer"
rate = { per_second = %d, burst = 10 }
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine("--gate-workers", "2") as running:
        yield running


def tidegate(engine: RunningEngine, *words: str) -> str:
    command = ["nsenter", f"--net={engine.root}/netns", sys.executable, "-m", "tidegate", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def join(engine: RunningEngine, name: str, role: str, out: Path) -> Path:
    root = ("--data-root", f"{engine.root}/data")
    line = tidegate(engine, "client", "invite", name, *root, "--role", role, "--host", "127.0.0.1")
    words = next(each for each in line.splitlines() if "client join" in each).split()
    tidegate(engine, *words[1:], "--out", str(out / name))
    return out / name


def test_nobody_fails_whom_a_change_does_not_concern(engine: RunningEngine, tmp_path: Path) -> None:
    steady = [join(engine, name, "developer", tmp_path) for name in NAMES]
    changed = join(engine, "changed", "developer", tmp_path)
    asyncio.run(_everything_changes(engine, steady, changed))


async def _everything_changes(engine: RunningEngine, steady: list[Path], changed: Path) -> None:
    load, streams = Requests(engine), [Streams(path) for path in steady]
    leaving = Streams(changed)
    root = ("--data-root", f"{engine.root}/data")

    async def do(*words: str) -> None:
        await asyncio.to_thread(tidegate, engine, *words)
        await load.turn()
        assert load.failures == [], words
        assert [len(each.ended_s) for each in streams] == [0] * len(streams), words

    async def write_access(rate: int) -> None:
        text = (ACCESS % rate).encode()
        await asyncio.to_thread(write_durably, engine.root / "data/access/access.toml", text, 0o600)
        await load.turn()

    try:
        for each in streams:
            await each.open(engine, EACH)
        await leaving.open(engine, EACH)
        for path in steady:
            load.begin(path, EACH)
        await load.turn()
        await do("pki", "rotate-server", *root)
        await write_access(5)
        await do("client", "role", "changed", "silent", *root)
        assert len(leaving.ended_s) == EACH
        await write_access(6)
        await do("client", "role", NAMES[0], "operator", *root)
        await do("client", "role", NAMES[0], "developer", *root)
        await do("pki", "rotate-ca", "--begin", *root)
        for path in (*steady, changed):
            await asyncio.to_thread(tidegate, engine, "client", "renew", "--out", str(path))
        await do("pki", "rotate-ca", "--finish", *root)
        await do("pki", "rotate-server", *root)
        await do("client", "revoke", "changed", *root)
        for each in streams:
            each.heard.clear()
        made = await asyncio.to_thread(engine.docker, "volume", "create", "made-at-last")
        assert made.returncode == 0, made.stderr
        async with asyncio.timeout(20):
            while any(len(each.heard) < EACH for each in streams):
                await asyncio.sleep(0.05)
        assert load.failures == []
        print(f"{sum(load.rounds)} connections were served to their end")
    finally:
        await load.close()
        for each in (*streams, leaving):
            await each.close()


def test_a_client_whose_certificate_ends_is_told_in_every_answer(engine: RunningEngine, tmp_path: Path) -> None:
    long_ago = Authority(engine.root / "data", now=lambda: datetime.now(UTC) - timedelta(days=80))
    for name, content in Clients(long_ago).create("late", "viewer", timedelta(days=90)).files().items():
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    plain = engine.in_its_network(lambda: socket.create_connection(("127.0.0.1", engine.port)))
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        sock.sendall(b"GET /v1.41/info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(sock)
        answer.begin()
    assert answer.status == 200
    assert answer.headers["Tidegate-Certificate-Expires"]
    assert "ends in 9 days: renew it with `tidegate client renew`" in answer.headers["Warning"]
