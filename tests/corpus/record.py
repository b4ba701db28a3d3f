"""Records everyday sessions of real clients, as the corpus that the role ``developer`` must not be denied.

    python -m tests.corpus.record CLIENTS_DIRECTORY

Debian's dockerd is started aside (``bench.peers``); a proxy in front of it notes each request's line and, where it is
JSON, its body. ``CLIENTS_DIRECTORY`` holds unpacked Debian packages: ``bookworm`` (docker.io) and ``trixie``
(docker-cli, docker-compose, docker-buildx). One file a client is written to ``tests/corpus/sessions``.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.peers import dockerd, tidegate

from tidegate.base.errors import NotFoundError
from tidegate.gate.behind.forward import Sending, end_to_end_headers, forward
from tidegate.http.client import UnixClient
from tidegate.http.hijack import Hijack
from tidegate.http.messages import BytesBody, Request, Response, split_target
from tidegate.http.server import Server
from tidegate.pki.authority import Authority
from tidegate.spec.catalogue import Operation, match

SESSIONS = Path(__file__).parent / "sessions"
_GRPC = Operation("Grpc", "POST", "/grpc", "Session", hijack=True)
Lines = list[dict[str, str]]


async def record(engine: UnixClient, lines: Lines, request: Request) -> Response | Hijack:
    """Note the request and send it on as it is."""
    line = {"method": request.method, "target": request.target}
    if (request.headers.get("content-type") or "").startswith("application/json"):
        body = await request.read_all(1 << 24)
        line["body"] = body.decode()
        request = Request(request.method, request.target, request.headers, BytesBody(body), request.peer)
    if line not in lines:
        lines.append(line)
    try:
        operation = match(request.method, split_target(request.target)[0]).operation
    except NotFoundError:
        operation = _GRPC
    has_body = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    sending = Sending(
        request.method,
        request.target,
        tuple(end_to_end_headers(request)),
        aiter(request.body) if has_body else None,
        operation.hijack,
        request.headers.get("upgrade") or "",
    )
    return await forward(engine, sending)


async def proxied(engine_path: Path, proxy_path: Path, work: Callable[[], None]) -> Lines:
    """What a client said while ``work`` ran."""
    lines: Lines = []
    client = UnixClient(engine_path)
    server = Server(partial(record, client, lines))
    proxy_path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(proxy_path))
    await server.listen(sock)
    try:
        await asyncio.to_thread(work)
    finally:
        await server.close(grace_s=0.5)
        await client.close()
    return lines


def scripted(script: Path, environment: Mapping[str, str], directory: Path) -> None:
    """Run a session; single commands may fail (no registry can be reached), and the session goes on."""
    command = ["sh", "-x", str(script)] if script.suffix == ".sh" else [sys.executable, str(script)]
    subprocess.run(command, env={**os.environ, **environment}, cwd=directory, stdin=subprocess.DEVNULL, check=False)


def clients(directory: Path) -> list[tuple[str, Path, Mapping[str, str]]]:
    """Name, session and environment of each client."""
    here = Path(__file__).parent / "scripts"
    old, new = directory / "bookworm/usr/bin", directory / "trixie/usr/bin"
    path = os.environ["PATH"]
    return [
        ("docker-cli-20.10", here / "cli.sh", {"PATH": f"{old}:{path}", "DOCKER_BUILDKIT": "0"}),
        ("docker-cli-26.1", here / "cli.sh", {"PATH": f"{new}:{path}", "DOCKER_BUILDKIT": "0"}),
        ("compose-2.26", here / "compose.sh", {"PATH": f"{new}:{path}", "DOCKER_BUILDKIT": "0"}),
        ("docker-py-7.1", here / "docker_py.py", {}),
    ]


def main() -> None:
    """Record them all."""
    directory = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        authority = Authority(root)
        authority.ensure_all()
        image = root / "busybox.tar"
        with tidegate() as ours:
            ours.docker("save", "-o", str(image), "busybox")
        plugins = root / "config/cli-plugins"
        plugins.mkdir(parents=True)
        for plugin in (directory / "trixie/usr/libexec/docker/cli-plugins").iterdir():
            (plugins / plugin.name).symlink_to(plugin)
        with dockerd(directory / "bookworm", authority.directory, image) as peer:
            for name, script, environment in clients(directory):
                proxy, work_directory = root / "proxy.sock", root / name
                work_directory.mkdir()
                given = {**environment, "DOCKER_HOST": f"unix://{proxy}", "DOCKER_CONFIG": str(root / "config")}
                session = partial(scripted, script, given, work_directory)
                lines = asyncio.run(proxied(peer.socket_path, proxy, session))
                (SESSIONS / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
                print(f"{name}: {len(lines)} requests")


if __name__ == "__main__":
    main()
