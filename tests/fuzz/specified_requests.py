"""Requests to the API as the specification describes them, right and wrong: hypothesis strategies.

Parameters and bodies come from the specification; what a text means comes from ``WORDS``, by the name of its field, so
that requests get past the first check. Nothing that they ask for reaches the host: binds are of a directory of ours,
devices are harmless ones, registries are not there. What the host would notice (``HOST_ONLY``) is never asked for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from tests.api import specification
from tests.fakes.registry import layer_tar

from tidegate.spec.api_version import NEWEST, OLDEST, text
from tidegate.spec.catalogue import OPERATIONS, Operation

GROUPS = ("Container", "Exec", "System", "Volume", "Image")
LEFT_OUT = frozenset({"ImageBuild", "BuildPrune", "ImagePush", "ImageSearch", "ImageAttestations", "VolumeUpdate"})
VERSIONS = ["", *(f"/v{text((1, minor))}" for minor in range(OLDEST[1], NEWEST[1] + 1))]
NAMES = ("web", "other", "job")
JUNK = ("", "x", "a b", "é", "-1", "..", "/", "a" * 300, "%", "\\", "0x1", "none", "\t")
HOST_ONLY = frozenset({"CgroupParent", "UTSMode", "ClusterOptions"})
_TIMES = ("", "0", "1700000000", "1700000000.5", "10m", "2023-11-14T22:13:20Z", "x", "-5")
_FILTERS = (
    "", "{}", "null", "x", "[]", '{"label":["a=b"]}', '{"label":{"a":true}}', '{"status":["running","exited"]}',
    '{"name":["web"]}', '{"id":["a"]}', '{"dangling":["true"]}', '{"dangling":["x"]}', '{"until":["10m"]}',
    '{"type":["container"]}', '{"event":["die"]}', '{"before":["web"]}', '{"ancestor":["busybox"]}', '{"x":["y"]}',
    '{"exited":["0"]}', '{"health":["none"]}', '{"expose":["80/tcp"]}', '{"publish":["1-9"]}', '{"volume":["named"]}',
    '{"network":["bridge"]}', '{"is-task":["true"]}', '{"reference":["*"]}', '{"name":["("]}', '{"name":[1]}',
)  # fmt: skip
COMMANDS = (["true"], ["sleep", "2"], ["false"], ["cat"], ["/nothing"], ["sh", "-c", "echo out; echo err >&2"])
WORDS: Mapping[str, Sequence[object]] = {
    "Image": ("busybox", "busybox:latest", "nothing", ""), "Cmd": COMMANDS, "Entrypoint": ([], ["sh", "-c"], [""]),
    "name": ("", *NAMES, "a/b", "-x"), "repo": ("made", "made:1", ":", "A", ""), "tag": ("1", "", "x" * 200),
    "fromImage": ("localhost:1/x", ":::", ""), "fromSrc": ("-", "http://127.0.0.1:1/x"),
    "platform": ("linux/amd64", "x"), "container": NAMES, "signal": ("TERM", "9", "SIGHUP", "0", "65", "x"),
    "condition": ("", "not-running", "x"),
    "path": ("/", "/etc/passwd", "/nothing", "", "..", "etc/../..", "/proc/self/root"),
    "ps_args": ("", "-ef", "aux", "x"), "filters": _FILTERS, "since": _TIMES, "until": _TIMES,
    "detachKeys": ("", "ctrl-p,ctrl-q", "x", "ctrl-"), "tail": ("all", "0", "1", "-1", "x"),
    "changes": ("CMD true", "ENV A=1", "FROM x", ""), "names": ("busybox", "x"),
    "type": ("container", "image", "volume", "x"), "User": ("", "0", "nobody", "1:1", "nobody:x"),
    "WorkingDir": ("", "/tmp", "x"),
    "Binds": ("named:/data", "named:/data:ro", "{own}:/own", "{own}:/own:ro,z", "x", ":", "a:b:c:d"),
    "NetworkMode": ("", "bridge", "none", "host", "container:web", "x"),
    "IpcMode": ("", "private", "shareable", "none", "container:web", "x"),
    "PidMode": ("", "host", "container:web", "x"), "UsernsMode": ("", "host", "x"),
    "CgroupnsMode": ("", "private", "host", "x"), "VolumesFrom": ("web", "other:ro", "x:y:z"),
    "Links": ("web:db", "web", "x"), "Runtime": ("", "crun", "x"),
    "SecurityOpt": ("no-new-privileges", "seccomp=unconfined", "seccomp={}", "apparmor=unconfined", "x"),
    "CapAdd": ("NET_ADMIN", "ALL", "X"), "CapDrop": ("ALL", "CHOWN"),
    "Type": ("volume", "bind", "tmpfs", "image", "json-file", "x"), "Source": ("named", "{own}", "busybox", ""),
    "Target": ("/mnt", "/data", "x", "/"), "PathOnHost": ("/dev/null", "/dev/nothing"),
    "PathInContainer": ("/dev/x", "x", ""), "CgroupPermissions": ("rwm", "r", "x"), "Path": ("/dev/null", "/x"),
    "DeviceCgroupRules": ("c 1:3 rwm", "x"), "Name": ("", "no", "always", "on-failure", "nofile", "named", "x"),
    "ExtraHosts": ("a:10.0.0.1", "a:host-gateway", "x"), "Dns": ("10.0.0.1", "x"), "StopSignal": ("", "KILL", "x"),
    "CpusetCpus": ("", "0", "99", "x"), "CpusetMems": ("", "0", "x"), "GroupAdd": ("0", "nobody", "x"),
    "Isolation": ("", "default", "x"), "Driver": ("", "local", "x"),
    "serveraddress": ("", "localhost:1", "http://127.0.0.1:1/"), "MacAddress": ("", "02:42:ac:11:00:09", "x"),
    "HostPort": ("", "0", "65536", "x", "20000-20009"), "HostIp": ("", "127.0.0.1", "::1", "x"),
    "Propagation": ("", "rprivate", "x"), "Test": (["NONE"], ["CMD", "true"], ["CMD-SHELL", "false"], ["x"]),
    "Env": ("A=1", "B", "=", "PATH=/bin"), "Shell": (["sh"],), "Tmpfs": ("", "size=1m", "rw,exec", "x=y"),
    "Hostname": ("", "box", "a b", "x" * 70), "Domainname": ("", "example"), "MaskedPaths": ("/proc/acpi",),
    "ReadonlyPaths": ("/proc/sys",), "ContainerIDFile": ("",), "Subpath": ("", "x", ".."),
}  # fmt: skip
KEYS: Mapping[str, Sequence[str]] = {
    "ExposedPorts": ("80/tcp", "53/udp", "x"), "PortBindings": ("80/tcp", "81", "x/y"), "Volumes": ("/vol", "x", "/"),
    "EndpointsConfig": ("bridge", "none", "x"),
    "Sysctls": ("net.ipv4.ip_forward", "kernel.shmmax", "kernel.hostname", "x"), "Tmpfs": ("/run", "x"),
    "Config": ("max-size", "max-file", "mode", "x"), "StorageOpt": ("size",), "DriverOpts": ("x",),
}  # fmt: skip
NUMBERS = (0, 1, -1, 2, 10, 512, 1000, 6 << 20, 64 << 20, 1 << 31, 1 << 40, 2**63 - 1, -(2**63), 2**64)


@dataclass(frozen=True)
class FuzzedRequest:
    """``{id}`` in ``target`` stands for a container or exec that there may be; see ``filled``."""

    operation: Operation
    target: str
    body: bytes
    headers: tuple[str, ...]

    def __repr__(self) -> str:
        return f"{self.operation.method} {self.target} {self.body[:2000]!r} {self.headers}"


def operations() -> Sequence[Operation]:
    """Those whose requests are made."""
    return [each for each in OPERATIONS if each.group in GROUPS and each.operation_id not in LEFT_OUT]


@st.composite
def requests(draw: st.DrawFn, own: str) -> FuzzedRequest:
    """``own`` is a directory of the host that containers may be given."""
    op = draw(st.sampled_from(operations()))
    described = specification.read(specification.NEWEST)["paths"][op.template][op.method.lower()]
    path, query, body = op.template, [], b""
    for parameter in described.get("parameters", ()):
        name, place = parameter["name"], parameter["in"]
        if place == "path":
            path = path.replace(f"{{{name}}}", quote(draw(_identity(op)), safe=""))
        elif place == "query" and draw(st.integers(0, 3)) > 0:
            query.append(f"{quote(name)}={quote(str(draw(_argument(name, parameter))), safe='')}")
        elif place == "body":
            body = draw(_body(parameter, own))
    headers = draw(st.sampled_from(_headers(op)))
    if body and op.method != "PUT" and "Content-Type: application/x-tar" not in headers:
        headers = (*headers, "Content-Type: application/json")
    target = draw(st.sampled_from(VERSIONS)) + path + ("?" + "&".join(query) if query else "")
    return FuzzedRequest(op, target, body, headers)


def _headers(op: Operation) -> Sequence[tuple[str, ...]]:
    if op.hijack:
        websocket = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        upgrade = ("Connection: Upgrade", "Upgrade: tcp")
        return [(), upgrade, ("Connection: Upgrade", "Upgrade: websocket", *websocket)]
    return [(), ("X-Registry-Auth: e30=",), ("X-Registry-Auth: x",), ("Accept: application/json-seq",)]


def _identity(op: Operation) -> st.SearchStrategy[str]:
    known = {"Exec": ("{exec}",), "Image": ("busybox", "made:1", "{image}"), "Volume": ("named", "x")}
    return st.sampled_from([*known.get(op.group, NAMES), *NAMES[:1], "nothing", "a" * 64, *JUNK[1:6]])


def _argument(name: str, parameter: Mapping[str, Any]) -> st.SearchStrategy[object]:
    if name in WORDS:
        return st.sampled_from([*WORDS[name], *JUNK[:3]])
    kinds = {"boolean": ("1", "0", "", "true", "no", "x"), "integer": ("0", "1", "-1", "24", "99999", "x", "9" * 30)}
    return st.sampled_from(kinds.get(parameter.get("type", ""), JUNK))


def _body(parameter: Mapping[str, Any], own: str) -> st.SearchStrategy[bytes]:
    schema = parameter["schema"]
    if schema.get("type") == "string":
        return st.sampled_from([b"", layer_tar("x"), layer_tar("x")[:700], b"junk" * 99])
    documents = _value("", schema, own).map(lambda value: json.dumps(value).encode())
    return st.one_of(documents, documents, documents, st.sampled_from([b"", b"null", b"[]", b"{", b'"x"', b"\xff{}"]))


def _value(name: str, schema: Mapping[str, Any], own: str) -> st.SearchStrategy[Any]:
    right = _right(name, schema, own)
    if name in ("", "HostConfig"):
        return right
    return st.integers(0, 19).flatmap(lambda n: st.sampled_from([None, "x", 1, True, [], {}]) if n == 0 else right)


def _right(name: str, schema: Mapping[str, Any], own: str) -> st.SearchStrategy[Any]:
    document = specification.read(specification.NEWEST)
    if "$ref" in schema:
        return _right(name, document["definitions"][schema["$ref"].rpartition("/")[2]], own)
    if "allOf" in schema:
        schema = specification.merged(document, schema)
    if name in WORDS and schema.get("type") in ("string", "array") and "object" not in str(schema.get("items", "")):
        words = st.sampled_from([each.replace("{own}", own) if isinstance(each, str) else each for each in WORDS[name]])
        return words if schema["type"] == "string" or isinstance(WORDS[name][0], list) else st.lists(words, max_size=2)
    match schema.get("type", "object" if "properties" in schema else ""):
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return st.sampled_from(NUMBERS)
        case "array":
            return st.lists(_value(name, schema.get("items", {}), own), max_size=2)
        case "object" if "properties" in schema:
            fields = {key: _value(key, each, own) for key, each in schema["properties"].items() if key not in HOST_ONLY}
            return _some(fields)
        case "object":
            values = _value(name, schema.get("additionalProperties") or {"type": "string"}, own)
            return st.dictionaries(st.sampled_from(KEYS.get(name, ("a", "b", ""))), values, max_size=2)
    return st.sampled_from(JUNK)


def _some(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A document with a few of the fields; what a container cannot do without is nearly always there."""
    likely = {"Image": st.just("busybox"), "Cmd": st.sampled_from(COMMANDS)}
    needed = st.fixed_dictionaries({key: likely.get(key, fields[key]) for key in ("Image", "Cmd") if key in fields})
    chosen = st.sets(st.sampled_from(sorted(fields)), max_size=4) if fields else st.just(set())
    few = chosen.flatmap(lambda keys: st.fixed_dictionaries({key: fields[key] for key in sorted(keys)}))
    return st.tuples(needed, few).map(lambda both: {**both[0], **both[1]})
