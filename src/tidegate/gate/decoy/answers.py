"""What a lonely engine answers: the documents and headers of a stock dockerd on which nobody has ever run anything.

Pure. A persona is made once for a decoy, so that its answers agree with each other; nothing in it is of this host, and
nothing in it is Tidegate's.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.http.dates import http_date
from tidegate.http.messages import ProtocolError, Response

VERSION, API_VERSION, MIN_API_VERSION = "24.0.7", "1.43", "1.12"
_KERNEL, _SYSTEM = "5.15.0-91-generic", "Ubuntu 22.04.3 LTS"
_PROCESSORS, _MEMORY_BYTES = 4, 8_326_352_896
_DRIVER_STATUS = [["Backing Filesystem", "extfs"], ["Supports d_type", "true"], ["Using metacopy", "false"]]

Document = Mapping[str, Any]


class Persona(msgspec.Struct, frozen=True):
    """``seed`` makes this decoy's ids."""

    seed: str

    def digits(self, what: str, count: int = 64) -> str:
        """Hexadecimal digits that are always the same for ``what``."""
        return hashlib.sha256(f"{self.seed}\n{what}".encode()).hexdigest()[:count]

    @property
    def name(self) -> str:
        return f"srv-{self.digits('name', 6)}"


def respond(now_s: float, status: int, document: object = None, extra: Sequence[tuple[str, str]] = ()) -> Response:
    """An answer with dockerd's headers, in the order in which Go writes them; no document is no body."""
    body = b"" if document is None else json.dumps(document, separators=(",", ":")).encode() + b"\n"
    return respond_bytes(now_s, status, body, "application/json" if body else "", extra)


def respond_bytes(
    now_s: float, status: int, body: bytes, content_type: str = "", extra: Sequence[tuple[str, str]] = ()
) -> Response:
    """The same with any body."""
    headers = [
        ("Api-Version", API_VERSION),
        ("Docker-Experimental", "false"),
        ("Ostype", "linux"),
        ("Server", f"Docker/{VERSION} (linux)"),
        *extra,
    ]
    if content_type:
        headers.append(("Content-Type", content_type))
    return Response(status, (*sorted(headers), ("Date", http_date(now_s))), body)


def refuse_as_go(error: ProtocolError) -> Response:
    """Go's own answer to a request that is none."""
    reason = {431: "431 Request Header Fields Too Large", 413: "413 Request Entity Too Large"}
    text = reason.get(error.status, "400 Bad Request")
    status = error.status if error.status in reason else 400
    return Response(status, (("Content-Type", "text/plain; charset=utf-8"),), text.encode())


def ping(now_s: float, head: bool) -> Response:
    extra = (
        ("Builder-Version", "2"),
        ("Cache-Control", "no-cache, no-store, must-revalidate"),
        ("Pragma", "no-cache"),
        ("Swarm", "inactive"),
    )
    return respond_bytes(now_s, 200, b"" if head else b"OK", "text/plain; charset=utf-8", extra)


def version() -> Document:
    details = {
        "ApiVersion": API_VERSION,
        "Arch": "amd64",
        "BuildTime": "2023-10-26T09:08:02.000000000+00:00",
        "Experimental": "false",
        "GitCommit": "311b9ff",
        "GoVersion": "go1.20.10",
        "KernelVersion": _KERNEL,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
    }
    components = [
        {"Name": "Engine", "Version": VERSION, "Details": details},
        {
            "Name": "containerd",
            "Version": "1.6.26",
            "Details": {"GitCommit": "3dd1e886e55dd695541fdcd67420c2888645a495"},
        },
        {"Name": "runc", "Version": "1.1.10", "Details": {"GitCommit": "v1.1.10-0-g18a0cb0"}},
        {"Name": "docker-init", "Version": "0.19.0", "Details": {"GitCommit": "de40ad0"}},
    ]
    return {
        "Platform": {"Name": "Docker Engine - Community"},
        "Components": components,
        "Version": VERSION,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "311b9ff",
        "GoVersion": "go1.20.10",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": _KERNEL,
        "BuildTime": "2023-10-26T09:08:02.000000000+00:00",
    }


def info(persona: Persona, now: str, containers: int, images: int) -> Document:
    digits = persona.digits("id", 36)
    shown_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    return {
        "ID": shown_id,
        "Containers": containers,
        "ContainersRunning": containers,
        "ContainersPaused": 0,
        "ContainersStopped": 0,
        "Images": images,
        "Driver": "overlay2",
        "DriverStatus": [*_DRIVER_STATUS, ["Native Overlay Diff", "true"], ["userxattr", "false"]],
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"]},
        "MemoryLimit": True,
        "SwapLimit": True,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "IPv4Forwarding": True,
        "Debug": False,
        "NFd": 24,
        "OomKillDisable": False,
        "NGoroutines": 39,
        "SystemTime": now,
        "LoggingDriver": "json-file",
        "CgroupDriver": "systemd",
        "CgroupVersion": "2",
        "NEventsListener": 0,
        "KernelVersion": _KERNEL,
        "OperatingSystem": _SYSTEM,
        "OSVersion": "22.04",
        "OSType": "linux",
        "Architecture": "x86_64",
        "IndexServerAddress": "https://index.docker.io/v1/",
        "NCPU": _PROCESSORS,
        "MemTotal": _MEMORY_BYTES,
        "DockerRootDir": "/var/lib/docker",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": persona.name,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": VERSION,
        "Runtimes": {"io.containerd.runc.v2": {"path": "runc"}, "runc": {"path": "runc"}},
        "DefaultRuntime": "runc",
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": ""},
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "docker-init",
        "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
        "Warnings": ["[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption."],
    }


def networks(persona: Persona, now: str) -> list[Document]:
    rows = (("bridge", "bridge"), ("host", "host"), ("none", "null"))
    return [
        {"Name": name, "Id": persona.digits(name), "Created": now, "Scope": "local", "Driver": driver, "IPAM": {},
         "Internal": False, "Attachable": False, "Ingress": False, "Containers": {}, "Options": {}, "Labels": {}}
        for name, driver in rows
    ]  # fmt: skip


def image(persona: Persona, reference: str, now_s: float) -> Document:
    """A row of the list of images."""
    return {
        "Containers": -1,
        "Created": int(now_s) - 2_592_000,
        "Id": f"sha256:{persona.digits(reference)}",
        "Labels": None,
        "ParentId": "",
        "RepoDigests": [f"{reference.rpartition(':')[0]}@sha256:{persona.digits(reference + ' digest')}"],
        "RepoTags": [reference],
        "SharedSize": -1,
        "Size": 7_377_413,
    }


def pull_progress(persona: Persona, reference: str) -> list[Document]:
    """The lines of a pull of one layer."""
    name, _, tag = reference.rpartition(":")
    layer = persona.digits(f"layer of {reference}", 12)
    shown = name if "/" in name else f"library/{name}"
    return [
        {"status": f"Pulling from {shown}", "id": tag},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": layer},
        {"status": "Downloading", "progressDetail": {"current": 3_401_613, "total": 3_401_613}, "id": layer},
        {"status": "Download complete", "progressDetail": {}, "id": layer},
        {"status": "Extracting", "progressDetail": {"current": 3_401_613, "total": 3_401_613}, "id": layer},
        {"status": "Pull complete", "progressDetail": {}, "id": layer},
        {"status": f"Digest: sha256:{persona.digits(reference + ' digest')}"},
        {"status": f"Status: Downloaded newer image for {reference}"},
    ]
