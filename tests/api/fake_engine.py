"""The whole engine on fakes, spoken to in raw HTTP over a unix socket; its clock moves only when told."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.files import FakeFiles
from tests.fakes.filesystems import FakeMounts, FakeRootFilesystems, FakeUserNamespaces, FakeVolumeStore
from tests.fakes.network import FakeBridgeNetwork
from tests.fakes.registry import FakeLayerStore, FakeRegistry, layer_tar
from tests.fakes.remote_logs import FakeRemoteLogs
from tests.fakes.runtime import FakeRuntime
from tests.fakes.state import FakeStateStore

from tidegate.api.pipeline import Api
from tidegate.daemon.drivers import Drivers
from tidegate.daemon.process_settings import EngineProcessSettings
from tidegate.daemon.wiring import Engine
from tidegate.drivers.content import ContentDirectory
from tidegate.drivers.resources import process_limits
from tidegate.engine.file_ports import Change
from tidegate.engine.networks import BridgeFacts
from tidegate.engine.ports import (
    BridgeAttachment,
    ContainerProcess,
    ExecProcess,
    LogRecord,
    LogRequest,
    LogTarget,
    Render,
    Stdio,
)
from tidegate.engine.stats import Meters
from tidegate.http.server import Server
from tidegate.kernel.cgroups.usage import CgroupUsage, CPUUsage, IOCount, MemoryUsage
from tidegate.kernel.host import CgroupAbilities, HostFacts
from tidegate.kernel.host_usage import InterfaceUsage
from tidegate.model.container import Container
from tidegate.spec.stored import stored_request

SECOND = 1_000_000_000
BIRTH_NS = 1_700_000_000 * SECOND
DEADLINE_S = 10.0
HOST = HostFacts(
    hostname="host", operating_system="Debian GNU/Linux 13 (trixie)", os_version="13", kernel_version="6.12.0",
    machine="x86_64", cpus=2, memory_bytes=8 << 30, ipv4_forwarding=True,
    cgroups=CgroupAbilities(
        "2", memory=True, swap=True, oom_kill_disable=False, cpu_quota=True, cpu_shares=True, cpu_set=True, pids=True,
        block_weight=True, block_throttle=True, cpus="0-1", memory_nodes="0",
    ),
)  # fmt: skip
USAGE = CgroupUsage(
    CPUUsage(5 * SECOND, 3 * SECOND, 2 * SECOND),
    MemoryUsage(12 << 20, 64 << 20, counters={"anon": 1 << 20, "file": 2 << 20}),
    3, 100, {"io_service_bytes_recursive": [IOCount(8, 0, "read", 4096)]},
)  # fmt: skip

DEMO = {
    "created": "2023-11-14T20:00:00Z", "author": "somebody",
    "config": {
        "Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"of": "image"}, "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}}, "WorkingDir": "/work", "User": "1000",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """An answer as it came; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class FakePlans:
    """Fits ``Plans``."""

    async def container(
        self, container: Container, rootfs: Path, netns_path: str | None, attachment: BridgeAttachment | None
    ) -> ContainerProcess:
        log = LogTarget(Path("/log"), 1, 1)
        tty = stored_request(container.document).tty
        return ContainerProcess(container.id, {"root": {"path": str(rootfs)}}, Stdio(tty), log)

    def exec(self, container: Container, exec_id: str, document: bytes) -> ExecProcess:
        return ExecProcess(container.id, exec_id, {}, Stdio())

    def directory(self, container_id: str) -> Path:
        return Path("/containers") / container_id

    def log_path(self, container: Container) -> Path | None:
        return self.directory(container.id) / "container.log"

    def readable_log(self, container: Container) -> Path | None:
        return self.log_path(container)

    def drop_alias(self, container: Container, alias: str) -> None:
        return None


class FakeChanges:
    """Fits ``ContainerLayers``."""

    async def changes(self, container_id: str) -> Sequence[Change]:
        return [Change("/etc", "modified"), Change("/etc/new", "added"), Change("/bin/old", "deleted")]

    async def diff(self, container_id: str) -> AsyncIterator[bytes]:
        yield layer_tar("new")


async def read_log(path: Path, request: LogRequest, render: Render, finished: asyncio.Event) -> AsyncIterator[bytes]:
    """Two lines, whatever the container."""
    records = [
        LogRecord("out\n", "stdout", "2023-11-14T22:13:21.000000000Z"),
        LogRecord("err\n", "stderr", "2023-11-14T22:13:22.000000000Z"),
    ]
    yield b"".join(render(record) for record in records if request.accepts(record))


async def list_processes(options: Sequence[str]) -> str:
    return "PID USER COMMAND\n" + "".join(f"{pid} root sleep 9\n" for pid in range(100, 200))


@dataclass
class FakeEngine:
    """``runtime`` and the others are the world; ``ask`` is a client."""

    root: Path
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    rootfs: FakeRootFilesystems = field(default_factory=FakeRootFilesystems)
    bridge: FakeBridgeNetwork = field(default_factory=FakeBridgeNetwork)
    mounts: FakeMounts = field(default_factory=FakeMounts)
    volumes: FakeVolumeStore = field(default_factory=FakeVolumeStore)
    state: FakeStateStore = field(default_factory=FakeStateStore)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    layers: FakeLayerStore = field(default_factory=FakeLayerStore)
    files: FakeFiles = field(default_factory=lambda: FakeFiles("/etc/passwd", "/tmp"))
    now_ns: int = BIRTH_NS
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wait(0)

    def drivers(self) -> Drivers:
        """The fakes as the engine takes them."""

        async def nothing() -> None:
            return None

        return Drivers(
            state=self.state,
            content=ContentDirectory(self.root / "content"),
            layers=self.layers,
            runtime=self.runtime,
            rootfs=self.rootfs,
            hold=self.files.hold,
            changed=FakeChanges(),
            files=self.files,
            volumes=self.volumes,
            bridge=self.bridge,
            bridge_facts=lambda: BridgeFacts("172.17.0.0/16", "172.17.0.1", {"com.docker.network.bridge.name": "tg0"}),
            registry=self.registry,
            mounts=self.mounts,
            user_namespaces=FakeUserNamespaces(),
            remote_logs=FakeRemoteLogs(),
            plans=lambda _links: FakePlans(),
            plan_resources=process_limits,
            resolve_in_root=lambda rootfs, path: rootfs / path.lstrip("/"),
            read_log=read_log,
            list_processes=list_processes,
            meters=Meters(lambda _id: USAGE, lambda: 9 * SECOND, lambda _pid: {"eth0": InterfaceUsage(1, 2)}),
            read_host=lambda: HOST,
            clock=lambda: self.now_ns,
            open=nothing,
            close=nothing,
            reload=lambda _settings: None,
        )

    def wait(self, delay_ns: int) -> None:
        """Let time pass."""
        self.now_ns += delay_ns
        self.runtime.now_ns = self.now_ns

    async def ask(
        self, method: str, target: str, body: object = None, headers: tuple[str, ...] = (), *, then: bytes = b""
    ) -> Answer:
        """One exchange on a connection of its own. ``body`` is sent as JSON unless it is bytes; ``then`` is what the
        client writes after a take-over, before it half-closes."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {target} HTTP/1.1", "Host: docker", *headers]
        lines += [] if any(line.lower().startswith("connection:") for line in headers) else ["Connection: close"]
        lines += [f"Content-Length: {len(data)}"] if data else []
        lines += ["Content-Type: application/json"] if data and not isinstance(body, bytes) else []
        reader, writer = await asyncio.open_unix_connection(str(self.root / "sock"))
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + data + then)
            if then:
                writer.write_eof()
            return parse(await asyncio.wait_for(reader.read(), DEADLINE_S))
        finally:
            writer.close()


def parse(raw: bytes) -> Answer:
    """An answer that ends with its connection."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = _unchunked(body)
    return Answer(int(first.split()[1]), headers, body)


def _unchunked(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        found, body = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return found


@asynccontextmanager
async def fake_engine(root: Path) -> AsyncIterator[FakeEngine]:
    """One that serves at ``root/sock`` beside a registry with the images ``demo`` and ``bare``."""
    world = FakeEngine(root)
    settings = EngineProcessSettings(
        parent_pid=os.getpid(), data_root=Path("/var/lib/tidegate"), exec_root=root, sockets=(), gate_socket=root / "g"
    )
    engine = Engine(settings, world.drivers())
    await engine.start()
    server = Server(Api(engine.handlers()).handle)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "sock"))
    await server.listen(listener)
    world.registry.put_image("docker.io/library/bare", "latest", ["a"])
    world.registry.put_image("docker.io/library/demo", "latest", ["b"], DEMO)
    try:
        yield world
    finally:
        await server.close()
        await engine.close()
