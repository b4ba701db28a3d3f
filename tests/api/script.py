"""What the golden answers answer: one conversation, step by step, that asks every operation built of its groups."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api.fake_engine import BIRTH_NS, SECOND, FakeEngine
from tests.fakes.registry import layer_tar

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
HANDSHAKE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
WEB: dict[str, Any] = {
    "Image": "demo", "Cmd": ["sleep", "9"], "Labels": {"app": "web"}, "ExposedPorts": {"53/udp": {}},
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30 * SECOND},
    "HostConfig": {
        "Memory": 64 << 20, "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}, "Annotations": {"note": "kept"},
        "Binds": ["named:/named", "/srv:/srv:ro"], "Mounts": [{"Type": "tmpfs", "Target": "/run"}],
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    },
}  # fmt: skip
AUTH = {"username": "me", "password": "right", "serveraddress": "registry.example"}


@dataclass(frozen=True)
class Step:
    """``case`` names the answer in the golden file of ``operation``; ``{...}`` of the target are answers' ids that
    earlier steps ``keep``. ``before`` is what happens in the world first, ``then`` what the client writes at last."""

    operation: str
    case: str
    target: str
    body: object = None
    headers: tuple[str, ...] = ()
    keep: str = ""
    before: Callable[[FakeEngine], None] | None = None
    then: bytes = b""


def _exits(name: str, code: int) -> Callable[[FakeEngine], None]:
    def before(world: FakeEngine) -> None:
        running = [key for key in world.runtime.running if key[1] is None]
        container_id = next(key[0] for key in running if world.names[name] == key[0])
        world.runtime.exit(container_id, code)

    return before


def _exec_exits(world: FakeEngine) -> None:
    container_id, exec_id = next(key for key in world.runtime.running if key[1] is not None)
    world.runtime.exit(container_id, 3, exec_id)


def _says_hello(world: FakeEngine) -> None:
    world.runtime.output = [b"\x01\x00\x00\x00\x00\x00\x00\x05hello"]


def _says_hello_and_ends(world: FakeEngine) -> None:
    world.runtime.short_execs = True
    _says_hello(world)


def _long_after(world: FakeEngine) -> None:
    world.wait(1000 * SECOND)


def _later(seconds: int) -> int:
    return BIRTH_NS // SECOND + seconds


SCRIPT: tuple[Step, ...] = (
    Step("SystemPing", "ping", "/_ping"),
    Step("SystemPingHead", "ping", "/_ping"),
    Step("SystemVersion", "version", "/version"),
    Step("SystemInfo", "before anything", "/info"),
    Step("SystemAuth", "good", "/auth", AUTH),
    Step("SystemAuth", "bad", "/auth", AUTH | {"password": "wrong"}),
    Step("ImageCreate", "pull", "/images/create?fromImage=demo&tag=latest"),
    Step("ImageCreate", "pull of what is not there", "/images/create?fromImage=nothing&tag=latest"),
    Step("ImageCreate", "pull without details", "/images/create?fromImage=bare&tag=latest"),
    Step("ImageCreate", "import", "/images/create?fromSrc=-&repo=made&tag=1", layer_tar("made")),
    Step("ImageTag", "tag", "/images/demo/tag?repo=other&tag=1"),
    Step("ImageList", "list", "/images/json"),
    Step("ImageList", "shared sizes", "/images/json?shared-size=1"),
    Step("ImageList", "by reference", '/images/json?filters={"reference":["other:1"]}'),
    Step("ImageInspect", "full", "/images/demo/json"),
    Step("ImageInspect", "bare", "/images/bare/json"),
    Step("ImageInspect", "missing", "/images/nothing/json"),
    Step("ImageHistory", "history", "/images/demo/history"),
    Step("VolumeCreate", "named", "/volumes/create", {"Name": "named", "Labels": {"a": "b"}}),
    Step("VolumeList", "list", "/volumes"),
    Step("VolumeList", "none", '/volumes?filters={"name":["zzz"]}'),
    Step("VolumeInspect", "named", "/volumes/named"),
    Step("VolumeInspect", "missing", "/volumes/nothing"),
    Step("ContainerList", "empty", "/containers/json?all=1"),
    Step("ContainerCreate", "web", "/containers/create?name=web", WEB, keep="web"),
    Step("ContainerCreate", "taken name", "/containers/create?name=web", WEB),
    Step("ContainerCreate", "no image", "/containers/create", {"Image": "nothing"}),
    Step("ContainerCreate", "plain", "/containers/create?name=plain", {"Image": "bare", "Cmd": ["true"]}, keep="plain"),
    Step("ContainerInspect", "created", "/containers/plain/json"),
    Step("ContainerStart", "start", "/containers/web/start"),
    Step("ContainerStart", "again", "/containers/web/start"),
    Step("ContainerList", "running", "/containers/json"),
    Step("ContainerList", "all with sizes", "/containers/json?all=1&size=1"),
    Step("ContainerInspect", "running", "/containers/web/json"),
    Step("ContainerInspect", "with size", "/containers/web/json?size=1"),
    Step("ContainerInspect", "missing", "/containers/nothing/json"),
    Step("ContainerTop", "top", "/containers/web/top?ps_args=-o pid,user,cmd"),
    Step("ContainerLogs", "logs", "/containers/web/logs?stdout=1&stderr=1&timestamps=1"),
    Step("ContainerLogs", "no stream", "/containers/web/logs"),
    Step("ContainerStats", "once", "/containers/web/stats?stream=0"),
    Step("ContainerStats", "one shot", "/containers/web/stats?stream=0&one-shot=1"),
    Step("ContainerStats", "at rest", "/containers/plain/stats?stream=0"),
    Step("ContainerChanges", "changes", "/containers/web/changes"),
    Step("ContainerExport", "export", "/containers/web/export"),
    Step("ContainerArchiveInfo", "stat", "/containers/web/archive?path=/etc/passwd"),
    Step("ContainerArchiveInfo", "missing", "/containers/web/archive?path=/nothing"),
    Step("ContainerArchive", "get", "/containers/web/archive?path=/etc/passwd"),
    Step("PutContainerArchive", "put", "/containers/web/archive?path=/tmp", layer_tar("x")),
    Step("ContainerResize", "resize", "/containers/web/resize?h=24&w=80"),
    Step("ContainerAttach", "upgrade", "/containers/web/attach?stream=1&stdout=1", None, UPGRADE, before=_says_hello,
         then=b"x"),
    Step("ContainerAttach", "no upgrade", "/containers/web/attach?logs=1&stdout=1", then=b"x"),
    Step("ContainerAttachWebsocket", "handshake", "/containers/web/attach/ws?logs=1&stdout=1", None, HANDSHAKE,
         then=b"\x88\x80\x00\x00\x00\x00"),
    Step("ContainerPause", "pause", "/containers/web/pause"),
    Step("ContainerList", "paused", "/containers/json"),
    Step("ContainerUnpause", "unpause", "/containers/web/unpause"),
    Step("ContainerUnpause", "not paused", "/containers/web/unpause"),
    Step("ContainerRename", "rename", "/containers/web/rename?name=site"),
    Step("ContainerUpdate", "update", "/containers/site/update", {"Memory": 128 << 20, "MemorySwap": -1}),
    Step("ContainerKill", "signal", "/containers/site/kill?signal=HUP"),
    Step("ContainerKill", "bad signal", "/containers/site/kill?signal=NONE"),
    Step("ContainerExec", "create", "/containers/site/exec", {"Cmd": ["ls", "-l"], "AttachStdout": True}, keep="exec"),
    Step("ExecInspect", "created", "/exec/{exec}/json"),
    Step("ExecStart", "detached", "/exec/{exec}/start", {"Detach": True}),
    Step("ExecStart", "again", "/exec/{exec}/start", {"Detach": True}),
    Step("ExecResize", "resize", "/exec/{exec}/resize?h=24&w=80"),
    Step("ExecInspect", "running", "/exec/{exec}/json"),
    Step("ExecInspect", "exited", "/exec/{exec}/json", before=_exec_exits),
    Step("ExecInspect", "missing", "/exec/nothing/json"),
    Step("ContainerExec", "for a stream", "/containers/site/exec", {"Cmd": ["cat"], "AttachStdout": True}, keep="cat"),
    Step("ExecStart", "upgrade", "/exec/{cat}/start", {}, UPGRADE, before=_says_hello_and_ends,
         then=b"x"),
    Step("ImageCommit", "commit", "/commit?container=site&repo=site&tag=1&comment=made", {}),
    Step("ImageInspect", "committed", "/images/site:1/json"),
    Step("SystemDataUsage", "usage", "/system/df"),
    Step("SystemDataUsage", "verbose", "/system/df?verbose=1"),
    Step("SystemDataUsage", "containers", "/system/df?type=container"),
    Step("ContainerRestart", "restart", "/containers/site/restart?t=1"),
    Step("ContainerStop", "stop", "/containers/site/stop?t=1"),
    Step("ContainerStop", "again", "/containers/site/stop"),
    Step("ContainerWait", "stopped", "/containers/site/wait"),
    Step("ContainerWait", "bad condition", "/containers/site/wait?condition=never"),
    Step("ContainerInspect", "stopped", "/containers/site/json"),
    Step("ContainerExec", "not running", "/containers/site/exec", {"Cmd": ["ls"]}),
    Step("ContainerStart", "plain", "/containers/plain/start"),
    Step("ContainerWait", "exit", "/containers/plain/wait", before=_exits("plain", 7)),
    Step("ContainerList", "exited", '/containers/json?filters={"status":["exited"]}'),
    Step("ContainerDelete", "delete", "/containers/plain?v=1"),
    Step("ContainerDelete", "missing", "/containers/plain"),
    Step("VolumeDelete", "in use", "/volumes/named"),
    Step("ContainerPrune", "prune", "/containers/prune"),
    Step("ContainerPrune", "nothing left", "/containers/prune"),
    Step("VolumePrune", "prune", "/volumes/prune"),
    Step("VolumeDelete", "delete", "/volumes/named?force=1"),
    Step("VolumeCreate", "anonymous", "/volumes/create", {}),
    Step("ImageGet", "save", "/images/bare/get"),
    Step("ImageDelete", "untag", "/images/other:1"),
    Step("ImageDelete", "delete", "/images/demo"),
    Step("ImagePrune", "prune", '/images/prune?filters={"dangling":["false"]}'),
    Step("SystemInfo", "after all", "/info"),
    Step("SystemEvents", "all", f"/events?since=1&until={_later(500)}", before=_long_after),
    Step("SystemEvents", "as a sequence", f'/events?since=1&until={_later(500)}&filters={{"type":["volume"]}}', None,
         ("Accept: application/json-seq",)),
    Step("SystemEvents", "as lines", f'/events?since=1&until={_later(500)}&filters={{"type":["volume"]}}', None,
         ("Accept: application/jsonl",)),
)  # fmt: skip
