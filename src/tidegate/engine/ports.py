"""What the engine asks of the outside world.

One port call is one recoverable effect. A driver fits a port by shape; ``daemon/wiring.py`` proves the fit to the type
checker. Contracts every driver keeps:

- an undo (``unmount``, ``release``, ``disconnect``, ``remove``) is idempotent: an object already gone is success;
- a cancelled call either did nothing or left something its undo finds by the same id;
- failures are raised as kinds of ``base.errors``, with the cause chained.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tidegate.engine.logging.remote import RemoteLog

# ----------------------------------------------------------------------------- runtime: processes and their stdio


class Stdio(msgspec.Struct, frozen=True):
    """How a process's standard streams are connected. ``console_size`` is (rows, columns).

    ``owner`` is who can open them anew (``/dev/stdout``): uid and gid on the host; the runtime's choice where None.
    """

    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    console_size: tuple[int, int] | None = None
    owner: tuple[int, int] | None = None


class LogTarget(msgspec.Struct, frozen=True):
    """Where a container's output is recorded, on this host: files of JSON records, rotated by size.

    ``max_size_bytes`` below zero is no limit. ``attributes`` stand in each record. ``remote`` is where it goes then.
    """

    path: Path
    max_size_bytes: int
    max_files: int
    compress: bool = False
    attributes: Mapping[str, str] = msgspec.field(default_factory=dict)
    remote: RemoteLog | None = None


class ProcessLimits(msgspec.Struct, frozen=True):
    """The OCI ``linux.resources`` object of a container, as decoded JSON."""

    resources: Mapping[str, Any] = msgspec.field(default_factory=dict)


class ContainerProcess(msgspec.Struct, frozen=True):
    """Everything needed to run a container: its OCI configuration, written to the bundle by the driver.

    ``log`` is None for output that is not recorded.
    ``runtime`` is the program of another OCI runtime than the engine's own, with its first arguments.
    """

    container_id: str
    oci_config: Mapping[str, Any]
    stdio: Stdio
    log: LogTarget | None
    runtime: tuple[str, ...] = ()


class ExecProcess(msgspec.Struct, frozen=True):
    """A further process in a running container; ``oci_process`` is an OCI ``process`` object."""

    container_id: str
    exec_id: str
    oci_process: Mapping[str, Any]
    stdio: Stdio


class Exited(msgspec.Struct, frozen=True):
    """A container's init (``exec_id`` None) or an exec ended; its output is already in the log.

    ``exit_code`` is 0-255 as Docker reports it (128+N for signal N); ``finished_at_ns`` is unix time.
    """

    container_id: str
    exec_id: str | None
    exit_code: int
    finished_at_ns: int
    oom_killed: bool = False


class OutOfMemory(msgspec.Struct, frozen=True):
    """The kernel killed a process of the container for want of memory; the container may live on."""

    container_id: str


class RunningProcess(msgspec.Struct, frozen=True):
    """What the supervisor knows of a process at boot: ``exit`` is set if it ended while the engine was away."""

    container_id: str
    exec_id: str | None
    pid: int
    started_at_ns: int
    paused: bool
    exit: Exited | None


class AttachStream(Protocol):
    """One client's view of a process's streams.

    ``read`` yields chunks already in Docker's stream framing ([1|2, 0, 0, 0, length] header) unless the process has a
    TTY, then raw bytes; b"" is the end. ``write`` applies back pressure. ``close_stdin`` is this client's half-close.
    """

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def close_stdin(self) -> None: ...
    async def close(self) -> None: ...


class Runtime(Protocol):
    """Processes under the shim. ``create`` makes streams and log, so that clients can attach before ``start``."""

    async def create(self, process: ContainerProcess) -> None: ...

    async def start(self, container_id: str) -> int:
        """Run the created container; returns the pid of its init on the host.

        Raises InvalidParameterError with Docker's wording when the command cannot be executed (exit codes 126 and 127
        are read from it by clients), InternalError otherwise. On an error nothing of it runs and ``release`` is owed.
        """
        ...

    async def exec_create(self, process: ExecProcess) -> None: ...
    async def exec_start(self, container_id: str, exec_id: str) -> int: ...

    async def attach(
        self, container_id: str, exec_id: str | None, *, stdin: bool, stdout: bool, stderr: bool
    ) -> AttachStream: ...

    async def resize(self, container_id: str, exec_id: str | None, height: int, width: int) -> None: ...

    async def signal(self, container_id: str, signal: int) -> None:
        """Send to the container's init. A process already gone is NotFoundError."""
        ...

    async def pause(self, container_id: str) -> None: ...
    async def unpause(self, container_id: str) -> None: ...

    async def update(self, container_id: str, limits: ProcessLimits) -> None: ...

    async def pids(self, container_id: str) -> Sequence[int]:
        """Host pids of every process in the container's cgroup."""
        ...

    async def release(self, container_id: str) -> None:
        """Forget the container: kill what is left, remove cgroups, bundle, streams and the record of its exit."""
        ...

    def events(self) -> AsyncIterator[Exited | OutOfMemory]:
        """Exits as they happen, each delivered at least once until ``release`` (or ``exec_release``)."""
        ...

    async def exec_release(self, container_id: str, exec_id: str) -> None: ...

    async def recover(self) -> Sequence[RunningProcess]:
        """Every process the supervisor holds; reconnects to it, or starts a supervisor where none lives."""
        ...


# ----------------------------------------------------------------------------- logs


class LogRecord(msgspec.Struct):
    """One record of a container's log. ``time`` is RFC 3339 with nanoseconds, in UTC, so that it compares as text."""

    log: str
    stream: str
    time: str
    attrs: Mapping[str, str] | None = None


class LogRequest(msgspec.Struct, frozen=True):
    """What of a log is wanted. ``since`` and ``until`` are times as LogRecord has them; ``tail`` None means all."""

    stdout: bool = True
    stderr: bool = True
    since: str = ""
    until: str = ""
    tail: int | None = None
    follow: bool = False

    def accepts(self, record: LogRecord) -> bool:
        """Whether the record is of a stream and time asked for."""
        wanted = self.stdout if record.stream == "stdout" else self.stderr
        return wanted and record.time >= self.since and (not self.until or record.time <= self.until)


Render = Callable[[LogRecord], bytes]


class ReadLog(Protocol):
    """Yields the rendered records of the log at ``path`` in order, many at a time; follows until ``finished``."""

    def __call__(
        self, path: Path, request: LogRequest, render: Render, finished: asyncio.Event
    ) -> AsyncIterator[bytes]: ...


# ----------------------------------------------------------------------------- images and root filesystems


class Descriptor(msgspec.Struct, frozen=True):
    """An OCI descriptor: ``digest`` is ``sha256:<hex>``."""

    media_type: str
    digest: str
    size: int


class ContentStore(Protocol):
    """Blobs by digest, under DATA_ROOT/content/blobs/sha256/HEX: written to a temporary name, fsynced, renamed."""

    def exists(self, digest: str) -> bool: ...
    async def read(self, digest: str) -> bytes: ...
    def path(self, digest: str) -> Path: ...
    async def write(self, data: bytes, expected_digest: str | None = None) -> Descriptor: ...
    async def ingest(
        self, chunks: AsyncIterator[bytes], expected_digest: str | None, expected_size: int | None
    ) -> Descriptor:
        """Store a stream; InvalidParameterError when digest or size differ, and nothing is left behind."""
        ...

    async def remove(self, digest: str) -> None: ...
    async def digests(self) -> Sequence[str]: ...


class LayerStore(Protocol):
    """Unpacked layers by chain id, under DATA_ROOT/layers."""

    def exists(self, chain_id: str) -> bool: ...

    async def unpack(self, chain_id: str, parent: str | None, blob_path: Path, media_type: str, diff_id: str) -> int:
        """Unpack a (compressed) tar as a layer in a confined child; checks ``diff_id``; returns bytes on disk."""
        ...

    async def remove(self, chain_id: str) -> None: ...
    async def chain_ids(self) -> Sequence[str]: ...
    def size_bytes(self, chain_id: str) -> int: ...


class RootFilesystems(Protocol):
    """Writable overlay root filesystems of containers, under DATA_ROOT/rootfs/CONTAINER_ID."""

    async def prepare(self, container_id: str, chain_ids: Sequence[str], most_bytes: int = 0) -> None:
        """Make the upper and work directories; ``chain_ids`` are base first, ``most_bytes`` can be written (0: all).

        Raises NotSupportedError for a limit that the disk does not keep.
        """
        ...

    async def mount(self, container_id: str, *, mapped: bool = False) -> Path:
        """``mapped``: into the engine's user namespace; what is on disk keeps the ids that the container sees."""
        ...

    async def unmount(self, container_id: str) -> None: ...
    async def remove(self, container_id: str) -> None:
        """Take it away, mounted or not; what it held may be deleted after this returned."""
        ...

    async def container_ids(self) -> Sequence[str]: ...
    async def usage_bytes(self, container_id: str) -> int: ...


class RegistryAuth(msgspec.Struct, frozen=True):
    """Credentials from X-Registry-Auth, already decoded."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    server_address: str = ""


class Registry(Protocol):
    """A registry speaking the OCI distribution API, for one repository at a time."""

    async def manifest(self, repository: str, reference: str, auth: RegistryAuth | None) -> tuple[Descriptor, bytes]:
        """``repository`` is ``host/path`` normalised; ``reference`` a tag or digest. Raw bytes, digest checked."""
        ...

    def blob(self, repository: str, descriptor: Descriptor, auth: RegistryAuth | None) -> AsyncIterator[bytes]: ...

    async def login(self, auth: RegistryAuth) -> str:
        """Try the credentials at their server address; the identity token to keep instead of the password, or "".

        Raises UnauthorizedError when they are refused, UnavailableError when the registry cannot be asked.
        """
        ...


# ----------------------------------------------------------------------------- networks


class PortPublication(msgspec.Struct, frozen=True):
    """One published port: ``host_port`` 0 asks for an ephemeral one. ``protocol`` is tcp, udp or sctp.

    With a ``last_host_port`` the first free one of the range is asked for; what is published has none.
    """

    container_port: int
    protocol: str
    host_ip: str
    host_port: int
    last_host_port: int = 0


class BridgeAttachment(msgspec.Struct, frozen=True):
    """What a container gets on the default bridge."""

    container_id: str
    address: str
    prefix_length: int
    gateway: str
    mac_address: str
    ports: Sequence[PortPublication]


class BridgeNetwork(Protocol):
    """The default bridge: addresses, NAT, published ports."""

    async def ensure(self) -> None:
        """Make bridge and ruleset what they must be, from whatever is there."""
        ...

    async def connect(
        self, container_id: str, ports: Sequence[PortPublication], mac_address: str | None
    ) -> BridgeAttachment:
        """Make a network namespace with an interface on the bridge; ``netns_path`` then names it.

        Raises InvalidParameterError "Bind for 0.0.0.0:80 failed: port is already allocated" when a port is taken.
        """
        ...

    async def isolate(self, container_id: str) -> None:
        """Make a network namespace with only a loopback interface (network ``none``)."""
        ...

    def netns_path(self, container_id: str) -> str: ...

    def close_netns(self, container_id: str) -> None:
        """Drop the engine's own handle on the namespace, once processes hold it."""
        ...

    async def disconnect(self, container_id: str) -> None: ...

    async def adopt(self, attachments: Sequence[BridgeAttachment]) -> None:
        """At boot: keep exactly these attachments (reserve their addresses and ports), take down every other."""
        ...


# ----------------------------------------------------------------------------- state


class StateStore(Protocol):
    """Metadata records: (kind, key) -> JSON bytes, in SQLite.

    Whatever has returned survives a kill of the engine, and a loss of power too unless it is not ``durable``. A durable
    change makes durable all that came before it: after a loss of power there is never a later one without an earlier.
    """

    async def put(self, kind: str, key: str, value: bytes, *, durable: bool = True) -> None: ...
    async def delete(self, kind: str, key: str, *, durable: bool = True) -> None: ...
    async def apply(self, changes: Sequence[tuple[str, str, bytes | None]], *, durable: bool = True) -> None:
        """Several puts and deletes (None) as one transaction."""
        ...

    async def load(self, kind: str) -> Mapping[str, bytes]: ...


Clock = Callable[[], int]
"""Unix time in nanoseconds."""
