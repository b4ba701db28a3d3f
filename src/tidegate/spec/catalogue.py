"""Every operation of the Engine API, and which of them a request line names.

- The path is decoded once, then cut at slashes: an encoded slash is a slash, and nothing is decoded twice.
- A path with an empty or a dot segment, a bad escape, bad UTF-8 or a control character names no operation and is
  refused, never repaired: the gate's verdict and the engine's reading cannot differ.
- Only images, plugins and distributions have names with slashes in them; and a link, which is removed as
  ``HOLDER/ALIAS``, has one.
- HEAD is not GET: the specification lists the two that exist.

``POST /grpc``, where a connection becomes BuildKit's protocol, is not in the specification: ``match`` does not find it.
A gate may let it pass to an engine that has it (``GRPC``).
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from tidegate.base.errors import InvalidParameterError, NotFoundError


class Operation(msgspec.Struct, frozen=True):
    """``template`` has at most one ``{parameter}``; ``hijack``: the connection leaves HTTP when it succeeds."""

    operation_id: str
    method: str
    template: str
    group: str
    hijack: bool = False


class Match(NamedTuple):
    """``version`` is None when the path has none; ``parameters`` are decoded."""

    version: str | None
    operation: Operation
    parameters: Mapping[str, str]


class _Pattern(NamedTuple):
    operation: Operation
    before: Sequence[str]
    parameter: str
    after: Sequence[str]


_VERSION = re.compile(r"v([0-9]+\.[0-9]+)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
_SLASHED = frozenset({"images", "plugins", "distribution"})
_LINKED = "ContainerDelete"


@lru_cache(maxsize=1024)
def match(method: str, raw_path: str) -> Match:
    """The operation that ``raw_path`` (still percent-encoded, without a query) names.

    Raises InvalidParameterError for a path no client should send, NotFoundError when no operation has it.
    """
    segments = parse_path(raw_path)
    version = None
    found = _VERSION.fullmatch(segments[0])
    if found:
        version, segments = found.group(1), segments[1:]
    literal = _literals().get((method, "/" + "/".join(segments)))
    if literal:
        return Match(version, literal, _NO_PARAMETERS)
    for pattern in _patterns().get((method, segments[0] if segments else ""), ()):
        value = _parameter(pattern, segments)
        if value is not None:
            return Match(version, pattern.operation, MappingProxyType({pattern.parameter: value}))
    raise NotFoundError("page not found")


def parse_path(raw_path: str) -> Sequence[str]:
    """Decoded segments of an absolute path; at least one. Raises InvalidParameterError."""
    if not raw_path.startswith("/") or "?" in raw_path or "#" in raw_path or _BAD_ESCAPE.search(raw_path):
        raise InvalidParameterError("invalid request path")
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeError as error:
        raise InvalidParameterError("invalid request path: not UTF-8") from error
    segments = path[1:].split("/")
    if _CONTROL.search(path) or any(segment in ("", ".", "..") for segment in segments):
        raise InvalidParameterError("invalid request path: empty or dot segment, or control character")
    return segments


def _parameter(pattern: _Pattern, segments: Sequence[str]) -> str | None:
    first, last = len(pattern.before), len(segments) - len(pattern.after)
    if first >= last or list(segments[:first]) != list(pattern.before) or list(segments[last:]) != list(pattern.after):
        return None
    most = 2 if pattern.operation.operation_id == _LINKED else 1
    if last - first > most and pattern.before[0] not in _SLASHED:
        return None
    return "/".join(segments[first:last])


@cache
def _literals() -> Mapping[tuple[str, str], Operation]:
    return {(op.method, op.template): op for op in OPERATIONS if "{" not in op.template}


@cache
def _patterns() -> Mapping[tuple[str, str], Sequence[_Pattern]]:
    """By method and first segment; the longest tail first, so that DELETE-like open ends come last."""
    found: dict[tuple[str, str], list[_Pattern]] = {}
    for op in OPERATIONS:
        if "{" in op.template:
            head, _, rest = op.template[1:].partition("{")
            parameter, _, tail = rest.partition("}")
            before = head.strip("/").split("/")
            pattern = _Pattern(op, before, parameter, tail.strip("/").split("/") if tail else [])
            found.setdefault((op.method, before[0]), []).append(pattern)
    for patterns in found.values():
        patterns.sort(key=lambda pattern: -len(pattern.after))
    return found


def operation(operation_id: str) -> Operation:
    """Raises KeyError: the ids are ours."""
    return _by_id()[operation_id]


@cache
def _by_id() -> Mapping[str, Operation]:
    return {op.operation_id: op for op in OPERATIONS}


OPERATIONS: Sequence[Operation] = (
    Operation("ContainerList", "GET", "/containers/json", "Container"),
    Operation("ContainerCreate", "POST", "/containers/create", "Container"),
    Operation("ContainerInspect", "GET", "/containers/{id}/json", "Container"),
    Operation("ContainerTop", "GET", "/containers/{id}/top", "Container"),
    Operation("ContainerLogs", "GET", "/containers/{id}/logs", "Container"),
    Operation("ContainerChanges", "GET", "/containers/{id}/changes", "Container"),
    Operation("ContainerExport", "GET", "/containers/{id}/export", "Container"),
    Operation("ContainerStats", "GET", "/containers/{id}/stats", "Container"),
    Operation("ContainerResize", "POST", "/containers/{id}/resize", "Container"),
    Operation("ContainerStart", "POST", "/containers/{id}/start", "Container"),
    Operation("ContainerStop", "POST", "/containers/{id}/stop", "Container"),
    Operation("ContainerRestart", "POST", "/containers/{id}/restart", "Container"),
    Operation("ContainerKill", "POST", "/containers/{id}/kill", "Container"),
    Operation("ContainerUpdate", "POST", "/containers/{id}/update", "Container"),
    Operation("ContainerRename", "POST", "/containers/{id}/rename", "Container"),
    Operation("ContainerPause", "POST", "/containers/{id}/pause", "Container"),
    Operation("ContainerUnpause", "POST", "/containers/{id}/unpause", "Container"),
    Operation("ContainerAttach", "POST", "/containers/{id}/attach", "Container", hijack=True),
    Operation("ContainerAttachWebsocket", "GET", "/containers/{id}/attach/ws", "Container", hijack=True),
    Operation("ContainerWait", "POST", "/containers/{id}/wait", "Container"),
    Operation("ContainerDelete", "DELETE", "/containers/{id}", "Container"),
    Operation("ContainerArchiveInfo", "HEAD", "/containers/{id}/archive", "Container"),
    Operation("ContainerArchive", "GET", "/containers/{id}/archive", "Container"),
    Operation("PutContainerArchive", "PUT", "/containers/{id}/archive", "Container"),
    Operation("ContainerPrune", "POST", "/containers/prune", "Container"),
    Operation("ImageList", "GET", "/images/json", "Image"),
    Operation("ImageBuild", "POST", "/build", "Image"),
    Operation("BuildPrune", "POST", "/build/prune", "Image"),
    Operation("ImageCreate", "POST", "/images/create", "Image"),
    Operation("ImageInspect", "GET", "/images/{name}/json", "Image"),
    Operation("ImageAttestations", "GET", "/images/{name}/attestations", "Image"),
    Operation("ImageHistory", "GET", "/images/{name}/history", "Image"),
    Operation("ImagePush", "POST", "/images/{name}/push", "Image"),
    Operation("ImageTag", "POST", "/images/{name}/tag", "Image"),
    Operation("ImageDelete", "DELETE", "/images/{name}", "Image"),
    Operation("ImageSearch", "GET", "/images/search", "Image"),
    Operation("ImagePrune", "POST", "/images/prune", "Image"),
    Operation("SystemAuth", "POST", "/auth", "System"),
    Operation("SystemInfo", "GET", "/info", "System"),
    Operation("SystemVersion", "GET", "/version", "System"),
    Operation("SystemPing", "GET", "/_ping", "System"),
    Operation("SystemPingHead", "HEAD", "/_ping", "System"),
    Operation("ImageCommit", "POST", "/commit", "Image"),
    Operation("SystemEvents", "GET", "/events", "System"),
    Operation("SystemDataUsage", "GET", "/system/df", "System"),
    Operation("ImageGet", "GET", "/images/{name}/get", "Image"),
    Operation("ImageGetAll", "GET", "/images/get", "Image"),
    Operation("ImageLoad", "POST", "/images/load", "Image"),
    Operation("ContainerExec", "POST", "/containers/{id}/exec", "Exec"),
    Operation("ExecStart", "POST", "/exec/{id}/start", "Exec", hijack=True),
    Operation("ExecResize", "POST", "/exec/{id}/resize", "Exec"),
    Operation("ExecInspect", "GET", "/exec/{id}/json", "Exec"),
    Operation("VolumeList", "GET", "/volumes", "Volume"),
    Operation("VolumeCreate", "POST", "/volumes/create", "Volume"),
    Operation("VolumeInspect", "GET", "/volumes/{name}", "Volume"),
    Operation("VolumeUpdate", "PUT", "/volumes/{name}", "Volume"),
    Operation("VolumeDelete", "DELETE", "/volumes/{name}", "Volume"),
    Operation("VolumePrune", "POST", "/volumes/prune", "Volume"),
    Operation("NetworkList", "GET", "/networks", "Network"),
    Operation("NetworkInspect", "GET", "/networks/{id}", "Network"),
    Operation("NetworkDelete", "DELETE", "/networks/{id}", "Network"),
    Operation("NetworkCreate", "POST", "/networks/create", "Network"),
    Operation("NetworkConnect", "POST", "/networks/{id}/connect", "Network"),
    Operation("NetworkDisconnect", "POST", "/networks/{id}/disconnect", "Network"),
    Operation("NetworkPrune", "POST", "/networks/prune", "Network"),
    Operation("PluginList", "GET", "/plugins", "Plugin"),
    Operation("GetPluginPrivileges", "GET", "/plugins/privileges", "Plugin"),
    Operation("PluginPull", "POST", "/plugins/pull", "Plugin"),
    Operation("PluginInspect", "GET", "/plugins/{name}/json", "Plugin"),
    Operation("PluginDelete", "DELETE", "/plugins/{name}", "Plugin"),
    Operation("PluginEnable", "POST", "/plugins/{name}/enable", "Plugin"),
    Operation("PluginDisable", "POST", "/plugins/{name}/disable", "Plugin"),
    Operation("PluginUpgrade", "POST", "/plugins/{name}/upgrade", "Plugin"),
    Operation("PluginCreate", "POST", "/plugins/create", "Plugin"),
    Operation("PluginPush", "POST", "/plugins/{name}/push", "Plugin"),
    Operation("PluginSet", "POST", "/plugins/{name}/set", "Plugin"),
    Operation("NodeList", "GET", "/nodes", "Node"),
    Operation("NodeInspect", "GET", "/nodes/{id}", "Node"),
    Operation("NodeDelete", "DELETE", "/nodes/{id}", "Node"),
    Operation("NodeUpdate", "POST", "/nodes/{id}/update", "Node"),
    Operation("SwarmInspect", "GET", "/swarm", "Swarm"),
    Operation("SwarmInit", "POST", "/swarm/init", "Swarm"),
    Operation("SwarmJoin", "POST", "/swarm/join", "Swarm"),
    Operation("SwarmLeave", "POST", "/swarm/leave", "Swarm"),
    Operation("SwarmUpdate", "POST", "/swarm/update", "Swarm"),
    Operation("SwarmUnlockkey", "GET", "/swarm/unlockkey", "Swarm"),
    Operation("SwarmUnlock", "POST", "/swarm/unlock", "Swarm"),
    Operation("ServiceList", "GET", "/services", "Service"),
    Operation("ServiceCreate", "POST", "/services/create", "Service"),
    Operation("ServiceInspect", "GET", "/services/{id}", "Service"),
    Operation("ServiceDelete", "DELETE", "/services/{id}", "Service"),
    Operation("ServiceUpdate", "POST", "/services/{id}/update", "Service"),
    Operation("ServiceLogs", "GET", "/services/{id}/logs", "Service"),
    Operation("TaskList", "GET", "/tasks", "Task"),
    Operation("TaskInspect", "GET", "/tasks/{id}", "Task"),
    Operation("TaskLogs", "GET", "/tasks/{id}/logs", "Task"),
    Operation("SecretList", "GET", "/secrets", "Secret"),
    Operation("SecretCreate", "POST", "/secrets/create", "Secret"),
    Operation("SecretInspect", "GET", "/secrets/{id}", "Secret"),
    Operation("SecretDelete", "DELETE", "/secrets/{id}", "Secret"),
    Operation("SecretUpdate", "POST", "/secrets/{id}/update", "Secret"),
    Operation("ConfigList", "GET", "/configs", "Config"),
    Operation("ConfigCreate", "POST", "/configs/create", "Config"),
    Operation("ConfigInspect", "GET", "/configs/{id}", "Config"),
    Operation("ConfigDelete", "DELETE", "/configs/{id}", "Config"),
    Operation("ConfigUpdate", "POST", "/configs/{id}/update", "Config"),
    Operation("DistributionInspect", "GET", "/distribution/{name}/json", "Distribution"),
    Operation("Session", "POST", "/session", "Session", hijack=True),
)

GRPC = Operation("Grpc", "POST", "/grpc", "Session", hijack=True)
GATE_OPERATIONS: Sequence[Operation] = (*OPERATIONS, GRPC)
"""What a policy may speak of."""
