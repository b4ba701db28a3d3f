"""As ``test_every_option``, for the documents inside: mounts, devices, policies, health checks, bindings.

For each of them there is one that says nothing special, and what each field of it may say instead.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from tests.unit.engine.outcome import outcome

from tidegate.base.errors import TidegateError
from tidegate.spec import container as spec

Document = Mapping[str, object]


class Part(NamedTuple):
    """``put`` makes a document of create of the part; ``plain`` is the part, ``changes`` what a field says instead.

    ``idle`` are fields that have no effect, with the reason.
    """

    kind: type[msgspec.Struct]
    put: Callable[[Document], Document]
    plain: Document
    changes: Document
    idle: Mapping[str, tuple[object, str]] = {}


def in_host(field: str) -> Callable[[Document], Document]:
    return lambda part: {"HostConfig": {field: [part]}}


def in_mount(field: str, **mount: object) -> Callable[[Document], Document]:
    return lambda part: {"HostConfig": {"Mounts": [{**mount, field: part}]}}


def in_volume(part: Document) -> Document:
    return in_mount("VolumeOptions", Type="volume", Source="data", Target="/mnt")({"DriverConfig": part})


_BIND = {"Type": "bind", "Source": "/tmp", "Target": "/mnt"}
PARTS = (
    Part(
        spec.Mount,
        in_host("Mounts"),
        _BIND,
        {
            "Type": "volume",
            "Source": "/var",
            "Target": "/other",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rshared"},
            "VolumeOptions": {"NoCopy": True},
            "ImageOptions": {"Subpath": "x"},
            "TmpfsOptions": {"SizeBytes": 1 << 20},
            "ClusterOptions": {},
        },
        {"Consistency": ("cached", "for Docker Desktop's shared folders; Docker takes it on Linux too")},
    ),
    Part(
        spec.BindOptions,
        in_mount("BindOptions", Type="bind", Source="/tmp/not-there", Target="/mnt", ReadOnly=True),
        {},
        {"CreateMountpoint": True},
    ),
    Part(
        spec.BindOptions,
        in_mount("BindOptions", **_BIND, ReadOnly=True),
        {},
        {
            "Propagation": "rslave",
            "NonRecursive": True,
            "ReadOnlyNonRecursive": True,
        },
        {"ReadOnlyForceRecursive": (True, "refuses kernels before 5.12, which cannot; on others it is so anyway")},
    ),
    Part(
        spec.VolumeOptions,
        in_mount("VolumeOptions", Type="volume", Source="data", Target="/mnt"),
        {},
        {"NoCopy": True, "Labels": {"a": "b"}, "Subpath": "x", "DriverConfig": {"Name": "nfs"}},
    ),
    Part(
        spec.MountDriver, in_volume, {"Name": "local"}, {"Name": "nfs", "Options": {"type": "tmpfs", "device": "tmpfs"}}
    ),
    Part(
        spec.TmpfsOptions,
        in_mount("TmpfsOptions", Type="tmpfs", Target="/mnt"),
        {},
        {"SizeBytes": 1 << 20, "Mode": 0o700, "Options": [["exec"]]},
    ),
    Part(
        spec.RestartPolicy,
        lambda part: {"HostConfig": {"RestartPolicy": part}},
        {"Name": "on-failure"},
        {"Name": "always", "MaximumRetryCount": 3},
    ),
    Part(
        spec.DeviceMapping,
        in_host("Devices"),
        {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x"},
        {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/y", "CgroupPermissions": "r"},
    ),
    Part(
        spec.DeviceRequest,
        in_host("DeviceRequests"),
        {"Driver": "cdi"},
        {
            "Driver": "nvidia",
            "Count": 1,
            "DeviceIDs": ["example.com/thing=one"],
            "Options": {"a": "b"},
        },
        {"Capabilities": ([["gpu"]], "a CDI device is asked for by its name")},
    ),
    Part(
        spec.Ulimit,
        in_host("Ulimits"),
        {"Name": "nofile", "Soft": 5, "Hard": 9},
        {"Name": "nproc", "Soft": 6, "Hard": 10},
    ),
    Part(
        spec.LogConfig,
        lambda part: {"HostConfig": {"LogConfig": part}},
        {"Type": "json-file"},
        {"Type": "none", "Config": {"max-size": "1m"}},
    ),
    Part(
        spec.PortBinding,
        lambda part: {"HostConfig": {"PortBindings": {"80/tcp": [part]}}},
        {},
        {"HostIp": "127.0.0.1", "HostPort": "8080"},
    ),
    Part(
        spec.HealthConfig,
        lambda part: {"Healthcheck": part},
        {"Test": ["CMD", "true"]},
        {
            "Test": ["CMD", "false"],
            "Interval": 10**9,
            "Timeout": 10**9,
            "StartPeriod": 10**9,
            "StartInterval": 10**9,
            "Retries": 7,
        },
    ),
    Part(
        spec.EndpointIPAMConfig,
        lambda part: {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"IPAMConfig": part}}}},
        {},
        {"IPv4Address": "172.17.0.9", "IPv6Address": "2001:db8::9", "LinkLocalIPs": ["169.254.1.1"]},
    ),
)
CASES = [(part, field) for part in PARTS for field in part.changes]


def settled(document: Document, home: Path) -> object:
    """The outcome, or the refusal."""
    try:
        return outcome(document, home)
    except TidegateError as refusal:
        return refusal.message


@pytest.mark.parametrize("kind", {part.kind for part in PARTS}, ids=lambda kind: kind.__name__)
def test_every_field_of_a_part_is_decided(kind: type[msgspec.Struct]) -> None:
    decided = {name for part in PARTS if part.kind is kind for name in (*part.changes, *part.idle)}
    assert decided == {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(("part", "field"), CASES, ids=[f"{part.kind.__name__}.{field}" for part, field in CASES])
def test_a_field_of_a_part_is_honoured_or_refused(part: Part, field: str, tmp_path: Path) -> None:
    plain = settled(part.put(part.plain), tmp_path)
    changed = settled(part.put({**part.plain, field: part.changes[field]}), tmp_path)
    assert changed != plain, f"{part.kind.__name__}.{field} is accepted and ignored"


@pytest.mark.parametrize("part", [part for part in PARTS if part.idle], ids=lambda part: part.kind.__name__)
def test_what_is_known_to_have_no_effect_in_a_part_has_none(part: Part, tmp_path: Path) -> None:
    for field, (value, reason) in part.idle.items():
        assert reason
        changed = settled(part.put({**part.plain, field: value}), tmp_path)
        assert changed == settled(part.put(part.plain), tmp_path), field
